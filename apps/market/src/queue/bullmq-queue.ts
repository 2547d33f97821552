/**
 * `QueuePort` on BullMQ 6, on PostgreSQL or on Redis. One BullMQ queue and worker per name, made when
 * first used; all share one small connection pool.
 */
import {
  type QueueOptions,
  Queue,
  Worker,
  type WorkerOptions,
  type PostgresConnectionOptions,
  createPostgresBackend,
  runMigrations,
  withBackend,
} from 'bullmq';
import { Redis } from 'ioredis';
import pg from 'pg';
import type { Logger } from '#libs/platform';
import type { QueueHandler, QueueMessage, QueuePort } from './queue-port.ts';

/** A holder silent for so long lost its message. */
const LOCK_MS = 15_000;
const STALLED_CHECK_MS = 5_000;
/** A message whose holders died so often is dropped; the reducer sends what it misses again. */
const STALLED_MAX = 10;
const ATTEMPTS = 10;
const RETRY_MS = 500;
const CONCURRENCY = 16;
const MESSAGE_NAME = 'message';
/** Connections: one that listens per worker, and a few for the rest. */
const POOL_MAX = 32;

export interface QueueTimes {
  readonly lockMs?: number;
  readonly stalledCheckMs?: number;
}

interface Backend {
  openQueue(name: string): Queue;
  openWorker(name: string, run: (data: unknown) => Promise<void>): Worker;
  ping(): Promise<void>;
  close(): Promise<void>;
}

type Options = Omit<WorkerOptions, 'connection'>;

function workerOptions(times: QueueTimes): Options {
  return {
    concurrency: CONCURRENCY,
    lockDuration: times.lockMs ?? LOCK_MS,
    stalledInterval: times.stalledCheckMs ?? STALLED_CHECK_MS,
    maxStalledCount: STALLED_MAX,
  };
}

const queueOptions: Omit<QueueOptions, 'connection'> = {
  defaultJobOptions: {
    attempts: ATTEMPTS,
    backoff: { type: 'exponential', delay: RETRY_MS },
    removeOnComplete: true,
    removeOnFail: 1000,
  },
};

/** BullMQ refuses colons in ids of ours; everything else passes. */
const jobIdOf = (key: string): string => `k-${key.replaceAll(':', '/')}`;

class BullQueue implements QueuePort {
  readonly #backend: Backend;
  readonly #logger: Logger;
  readonly #queues = new Map<string, Queue>();
  readonly #workers = new Map<string, Worker>();

  constructor(backend: Backend, logger: Logger) {
    this.#backend = backend;
    this.#logger = logger;
  }

  #queue(name: string): Queue {
    const known = this.#queues.get(name);
    if (known !== undefined) return known;
    const made = this.#backend.openQueue(name);
    made.on('error', (error) => this.#logger.warn({ err: error, queue: name }, 'queue error'));
    this.#queues.set(name, made);
    return made;
  }

  async add(name: string, message: QueueMessage, options?: { readonly delayMs?: number }) {
    await this.#queue(name).add(
      MESSAGE_NAME,
      { key: message.key, payload: message.payload },
      { jobId: jobIdOf(message.key), delay: options?.delayMs ?? 0 },
    );
  }

  async consume(name: string, handler: QueueHandler): Promise<void> {
    if (this.#workers.has(name)) return;
    const worker = this.#backend.openWorker(name, (data) => handler(data as QueueMessage));
    this.#workers.set(name, worker);
    worker.on('error', (error) => this.#logger.warn({ err: error, queue: name }, 'worker error'));
    await worker.waitUntilReady();
  }

  async counts(name: string) {
    const found = await this.#queue(name).getJobCounts('waiting', 'active', 'delayed');
    return {
      waiting: found['waiting'] ?? 0,
      active: found['active'] ?? 0,
      delayed: found['delayed'] ?? 0,
    };
  }

  ping(): Promise<void> {
    return this.#backend.ping();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#workers.values()].map((worker) => worker.close()));
    await Promise.all([...this.#queues.values()].map((queue) => queue.close()));
    await this.#backend.close();
  }
}

/** The queue in a schema of its own beside the market's tables. */
export async function createPostgresQueue(
  options: { readonly url: string; readonly logger: Logger; readonly schema?: string } & QueueTimes,
): Promise<QueuePort> {
  const { url, logger, schema = 'bullmq' } = options;
  const pool = new pg.Pool({
    connectionString: url,
    max: POOL_MAX,
    keepAlive: true,
    options: `-c search_path=${schema}`,
    application_name: 'seele-queue',
  });
  // A server that shuts down says so on every idle connection; unheard, that ends the process.
  pool.on('error', (error) => logger.warn({ err: error }, 'queue connection lost'));
  const client = await pool.connect();
  try {
    await runMigrations(client, schema);
  } finally {
    client.release();
  }
  // Two descriptions of one driver: BullMQ states the part of `pg` it uses in types of its own.
  const connection = pool as unknown as PostgresConnectionOptions;
  const bull = withBackend(createPostgresBackend);
  return new BullQueue(
    {
      openQueue: (name) =>
        new bull.Queue(name, { ...queueOptions, connection }) as unknown as Queue,
      openWorker: (name, run) =>
        new bull.Worker(name, (job) => run(job.data), {
          ...workerOptions(options),
          connection,
        }) as unknown as Worker,
      ping: async () => {
        await pool.query('select 1');
      },
      close: () => pool.end(),
    },
    logger,
  );
}

/** The queue in Redis; rows and money stay in PostgreSQL. */
export async function createRedisQueue(
  options: { readonly url: string; readonly logger: Logger; readonly prefix?: string } & QueueTimes,
): Promise<QueuePort> {
  const { url, logger, prefix = 'seele' } = options;
  const redis = new Redis(url, { maxRetriesPerRequest: null, lazyConnect: true });
  redis.on('error', (error: Error) => logger.warn({ err: error }, 'Redis connection error'));
  await redis.connect();
  return new BullQueue(
    {
      openQueue: (name) => new Queue(name, { ...queueOptions, connection: redis, prefix }),
      openWorker: (name, run) =>
        new Worker(name, (job) => run(job.data), {
          ...workerOptions(options),
          connection: redis,
          prefix,
        }),
      ping: async () => {
        await redis.ping();
      },
      close: async () => {
        await redis.quit();
      },
    },
    logger,
  );
}
