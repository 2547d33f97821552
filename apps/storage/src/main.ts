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

import { openStorageNode } from './node.ts';
import { startRpcServer } from './rpc/server.ts';
import { storageSettings, type StorageSettings } from './settings.ts';

/** The token that was set, or the one in the folder, or a fresh one written there (mode 0600). */
async function tokenOf(given: string | undefined, path: string): Promise<string> {
  if (given !== undefined) return given;
  const kept = await readPrivateFile(path);
  if (kept !== undefined && kept.length > 0) return Buffer.from(kept).toString('utf8').trim();
  const fresh = randomBytes(32).toString('hex');
  await writePrivateFile(path, `${fresh}\n`);
  return fresh;
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
  logger.info({ url: server.url, home, peer: node.helia.id }, 'storage serves');
  return {
    url: server.url,
    async stop() {
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
