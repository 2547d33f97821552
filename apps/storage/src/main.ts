import { randomBytes } from 'node:crypto';
import { join } from 'node:path';

import {
  createHealth,
  createLogger,
  createMetrics,
  readPrivateFile,
  runProcess,
  settingsOrExit,
  writePrivateFile,
} from '#libs/platform';

import { storageError } from '#libs/storage';
import { openStorageNode, type StorageNode } from './node.ts';
import { startRpcServer } from './rpc/server.ts';
import { storageSettings, type StorageSettings } from './settings.ts';
import { startGateway, type Gateway } from './transfer/gateway.ts';

/** The token that was set, or the one in the folder, or a fresh one written there (mode 0600). */
async function tokenOf(given: string | undefined, path: string): Promise<string> {
  if (given !== undefined) return given;
  const kept = await readPrivateFile(path);
  if (kept !== undefined && kept.length > 0) return Buffer.from(kept).toString('utf8').trim();
  const fresh = randomBytes(32).toString('hex');
  await writePrivateFile(path, `${fresh}\n`);
  return fresh;
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/;

function gatewayOf(
  settings: StorageSettings,
  node: StorageNode,
  logger: ReturnType<typeof createLogger>,
): Promise<Gateway> {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(settings.gateway);
  if (match === null)
    throw storageError(
      'STORAGE_FAILED',
      `SEELE_STORAGE_GATEWAY=${settings.gateway} is neither host:port nor off`,
    );
  const host = match[1] ?? (match[2] as string);
  return startGateway({
    node,
    host,
    port: Number(match[3]),
    streams: settings.streams,
    idleTimeoutMs: settings.idleTimeoutMs,
    requestTimeoutMs: settings.addTimeoutMs,
    blockReadConcurrency: settings.blockReadConcurrency,
    givesFiles: settings.gatewayFiles ?? LOOPBACK.test(host),
    logger,
  });
}

async function start(settings: StorageSettings, logger: ReturnType<typeof createLogger>) {
  const home = settings.storageHome ?? join(settings.home, 'storage');
  const swarm = settings.swarm.filter((address) => address !== 'off');
  const health = createHealth();
  const node = await openStorageNode({
    home,
    swarm,
    graceMs: settings.gcGraceMs,
    fetchTimeoutMs: settings.fetchTimeoutMs,
    reserveBytes: settings.reserveBytes,
  });
  health.add('disk', () => node.requireSpace());
  const server = await startRpcServer({
    node,
    token: await tokenOf(settings.token, join(home, 'token')),
    origins: settings.origins,
    host: settings.host,
    port: settings.port,
    requestTimeoutMs: settings.addTimeoutMs,
    idleTimeoutMs: settings.idleTimeoutMs,
    maxBodyBytes: settings.maxAddBytes,
    streams: settings.streams,
    blockReadConcurrency: settings.blockReadConcurrency,
    logger,
    health,
    metrics: createMetrics('storage'),
  });
  const gateway = settings.gateway === 'off' ? undefined : await gatewayOf(settings, node, logger);
  if (gateway !== undefined) {
    // Known to nobody who did not set the port: it stands beside the token.
    await writePrivateFile(join(home, 'gateway'), `${gateway.url}\n`);
    logger.info({ url: gateway.url }, 'gateway serves');
  }
  logger.info({ url: server.url, home, peer: node.helia.id }, 'storage serves');
  return {
    url: server.url,
    async stop() {
      await gateway?.close();
      await server.close();
      await node.close();
    },
  };
}

const settings = settingsOrExit(storageSettings);
const logger = createLogger({ name: 'storage', level: settings.logLevel });
await runProcess({
  name: 'storage',
  home: settings.home,
  logger,
  start: () => start(settings, logger),
});
