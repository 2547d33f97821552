/** The market process. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createSigner } from '#libs/crypto';
import {
  createNodeClient,
  createHealth,
  createLogger,
  createMetrics,
  createSystemClock,
  createSystemRandomness,
  endProcess,
  ensureHomeKey,
  homePassphrase,
  runProcess,
  settingsOrExit,
  startEmbeddedPostgres,
} from '#libs/platform';
import { createKuboBlobStore } from '#libs/storage';
import { startCatalogue } from './catalogue/catalogue.ts';
import { createHttpChainNode } from './chain/http-chain-node.ts';
import { createPostgresQueue, createRedisQueue } from './queue/bullmq-queue.ts';
import { marketSettings } from './settings.ts';
import { startMarket } from './start-market.ts';

const settings = settingsOrExit(marketSettings);
const logger = createLogger({ name: 'market', level: settings.logLevel });

/** The given database, or one of our own that ends with us. */
async function openDatabase() {
  if (settings.databaseUrl !== undefined)
    return { url: settings.databaseUrl, stop: () => Promise.resolve() };
  const postgres = await startEmbeddedPostgres({ directory: join(settings.home, 'postgres') });
  let stopping = false;
  void postgres.ended.then(() => {
    if (!stopping) endProcess(logger, undefined, 'the built-in PostgreSQL ended');
  });
  return {
    url: postgres.url,
    stop: () => {
      stopping = true;
      return postgres.stop();
    },
  };
}

await runProcess({
  name: 'market',
  home: settings.home,
  logger,
  start: async () => {
    const { home, redisUrl, storageToken } = settings;
    const node = createHttpChainNode(settings.nodeUrl);
    const openKey = async () =>
      ensureHomeKey(home, settings.key, await homePassphrase(home, settings.passphrase));
    // Opening the key takes the processor for a while; PostgreSQL starts beside it.
    const [database, keys, { chain }] = await Promise.all([
      openDatabase(),
      openKey(),
      node.status(),
    ]);
    const queue =
      redisUrl === undefined
        ? await createPostgresQueue({ url: database.url, logger })
        : await createRedisQueue({ url: redisUrl, logger });
    const { nodeUrl, storageUrl } = settings;
    await mkdir(join(home, 'market'), { recursive: true });
    const catalogue = startCatalogue({
      ...{ file: join(home, 'market', 'catalogue.sqlite'), chain, nodeUrl, storageUrl, logger },
      withSparql: settings.sparql,
      ...(storageToken !== undefined && { storageToken }),
    });
    const service = await startMarket({
      ...settings,
      name: settings.marketName,
      chain,
      signer: createSigner(keys.seed),
      node,
      blobs: createKuboBlobStore({
        url: settings.storageUrl,
        ...(storageToken !== undefined && { token: storageToken }),
      }),
      queue,
      databaseUrl: database.url,
      clock: createSystemClock(),
      randomness: createSystemRandomness(),
      logger,
      health: createHealth(),
      metrics: createMetrics('market'),
      times: { heartbeatMs: settings.heartbeatMs, leaseMs: settings.leaseMs },
      catalogue,
      webhooks: {
        policy: { allowLocal: settings.webhookLocal, ports: settings.webhookPorts },
      },
      disputes: createNodeClient(nodeUrl),
      fuelPrice: BigInt(settings.fuelPrice),
      onFatal: (error, why) => endProcess(logger, error, why),
    });
    return {
      ...service,
      stop: async () => {
        await service.stop();
        await database.stop();
      },
    };
  },
});
