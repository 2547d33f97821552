/**
 * The repairer: a process that watches the deals which name its account, and brings lost shards to other
 * providers. Apart from the market, since making shards anew is bulk work; apart from providers, since
 * whoever can make every shard must hold none.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createSigner } from '#libs/crypto';
import {
  createChainSender,
  createDealReader,
  createRepairService,
  keepStorageOffer,
} from '#libs/deals';
import { formatAccount } from '#libs/kernel';
import {
  type Logger,
  createHealth,
  createLogger,
  createMetrics,
  createNodeClient,
  createSystemClock,
  describeSystemError,
  ensureHomeKey,
  homePassphrase,
  operationsAnswer,
  runProcess,
  settingsOrExit,
} from '#libs/platform';
import {
  createKuboBlobStore,
  createX25519KeyUnwrap,
  encryptionKeyPairFromSeed,
} from '#libs/storage';
import { type RepairerSettings, repairerSettings } from './settings.ts';

async function start(settings: RepairerSettings, logger: Logger) {
  const passphrase = await homePassphrase(settings.home, settings.passphrase);
  const { seed } = await ensureHomeKey(settings.home, settings.key, passphrase);
  const signer = createSigner(seed);
  const { secret, publicKey: encryptionKey } = encryptionKeyPairFromSeed(seed);
  const node = createNodeClient(settings.nodeUrl);
  const clock = createSystemClock();
  const { storageUrl: url, storageToken: token, gatewayUrl: gateway } = settings;
  const blobs = createKuboBlobStore({ url, ...(token === undefined ? {} : { token }) });
  const sender = createChainSender(node, signer, clock);
  const service = createRepairService({
    ...{ reader: createDealReader(node), sender, blobs, clock, node, logger },
    ...{ account: signer.account, source: gateway, pollMs: settings.pollMs },
    readers: [createX25519KeyUnwrap(secret)],
  });
  const ending = new AbortController();
  const offer = {
    ...{ name: settings.key, operator: signer.account, gateway, repairs: true, encryptionKey },
    ...{ capacityBytes: 0, pricePerGibDay: 0n, minEpochUs: 0, maxCollateral: 0n },
  };
  void keepStorageOffer({ node, sender, signer, offer, logger }, ending.signal);
  const metrics = createMetrics('repairer');
  metrics.gauge('seele_repairer_deals', 'Deals watched', () => service.status().deals);
  metrics.gauge('seele_repairer_repaired', 'Shards made anew', () => service.status().repaired);
  const health = createHealth();
  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?')[0] as string;
    const status = () => ({
      status: 200,
      contentType: 'application/json',
      body: `${JSON.stringify({ account: formatAccount(signer.account), ...service.status() })}\n`,
    });
    const answer =
      path === '/v1/status'
        ? Promise.resolve(status())
        : operationsAnswer({ health, metrics }, path);
    answer.then(
      ({ status: code, contentType, body }) =>
        response.writeHead(code, { 'content-type': contentType }).end(body),
      () => response.writeHead(500).end(),
    );
  });
  server.requestTimeout = 5_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(describeSystemError(error, `port ${settings.port}`)));
    server.listen(settings.port, '127.0.0.1', resolve);
  });
  service.start();
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    facts: { account: formatAccount(signer.account) },
    async stop() {
      health.stopping();
      ending.abort();
      await service.stop();
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      await blobs.close();
    },
  };
}

const settings = settingsOrExit(repairerSettings);
const logger = createLogger({ name: 'repairer', level: settings.logLevel });
await runProcess({
  name: 'repairer',
  home: settings.home,
  logger,
  start: () => start(settings, logger),
});
