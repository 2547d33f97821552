import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import {
  type EmbeddedPostgres,
  createLogger,
  freePort,
  removePostgresCluster,
  startEmbeddedPostgres,
} from '#libs/platform';
import { type QueueTimes, createPostgresQueue, createRedisQueue } from './bullmq-queue.ts';
import { describeQueuePort } from './queue.conformance.ts';

const logger = createLogger({ name: 'queue-test', level: 'silent' });

function spawnHolder(create: string, url: string, queue: string, times: QueueTimes): ChildProcess {
  const program = `
    const queues = await import('./dist/apps/market/src/queue/bullmq-queue.js');
    const { createLogger } = await import('#libs/platform');
    const logger = createLogger({ name: 'holder', level: 'silent' });
    const port = await queues.${create}({ url: ${JSON.stringify(url)}, logger, ...${JSON.stringify(times)} });
    await port.consume(${JSON.stringify(queue)}, () => {
      process.stdout.write('held\\n');
      return new Promise(() => {});
    });`;
  return spawn(process.execPath, ['--no-warnings', '--input-type=module', '-e', program], {
    cwd: join(import.meta.dirname, '../../../..'),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

describe('embedded PostgreSQL', () => {
  let home: string;
  let server: EmbeddedPostgres;
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'seele-queue-'));
    server = await startEmbeddedPostgres({ directory: join(home, 'postgres') });
  });
  afterAll(async () => {
    await server.stop();
    await removePostgresCluster(join(home, 'postgres'));
    await rm(home, { recursive: true, force: true });
  });
  describeQueuePort('PostgreSQL', {
    open: (times) => createPostgresQueue({ url: server.url, logger, ...times }),
    spawnHolder: (queue, times) => spawnHolder('createPostgresQueue', server.url, queue, times),
  });
});

const hasRedis = spawnSync('redis-server', ['--version'], { stdio: 'ignore' }).status === 0;
if (!hasRedis) console.warn('skipped: QueuePort on Redis, because redis-server is not installed');

(hasRedis ? describe : describe.skip)('redis-server (skipped when it is not installed)', () => {
  let child: ChildProcess;
  let url: string;
  beforeAll(async () => {
    const port = await freePort();
    child = spawn(
      'redis-server',
      ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
      { stdio: 'ignore' },
    );
    url = `redis://127.0.0.1:${port}`;
    const client = new Redis(url, { maxRetriesPerRequest: null, retryStrategy: () => 20 });
    client.on('error', () => undefined);
    await client.ping();
    await client.quit();
  });
  afterAll(async () => {
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await gone;
  });
  describeQueuePort('Redis', {
    open: (times) => createRedisQueue({ url, logger, ...times }),
    spawnHolder: (queue, times) => spawnHolder('createRedisQueue', url, queue, times),
  });
});
