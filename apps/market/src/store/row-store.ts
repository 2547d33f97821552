/**
 * The market's rows in PostgreSQL. One statement makes a whole batch durable. One connection does
 * all writing and holds the lock that makes this process the only market on the database: if the
 * connection is lost so is the lock, and no later commit can succeed.
 */
import pg from 'pg';
import type { Bytes } from '#libs/kernel';
import { type OrderIndex, type StoredRow, type Table, batchId, numberId } from '#libs/market';
import { type Logger, failpoint } from '#libs/platform';
import { marketAppError } from '../errors.ts';
import { QUEUE_DUE } from '../webhooks/webhook-store.ts';
import type { QueuedEvents } from '../webhooks/webhook.ts';
import { claimIdentity, migrateRows } from './row-schema.ts';

/** What one group commit writes; a later change of the same row has replaced the earlier. */
export interface RowChanges {
  readonly saves: ReadonlyMap<
    string,
    {
      readonly table: Table;
      readonly id: string;
      readonly bytes: Bytes;
      readonly index?: OrderIndex | undefined;
    }
  >;
  readonly removes: ReadonlyMap<string, { readonly table: Table; readonly id: string }>;
  /** Events of this commit that webhooks are to be told of. */
  readonly due?: readonly QueuedEvents[];
}

export interface OrderFilter {
  readonly consumer?: string;
  readonly provider?: string;
  readonly status?: string;
  /** Orders accepted before this one (its place in the list), newest first. */
  readonly before?: { readonly acceptedAtUs: number; readonly id: string };
  readonly limit: number;
}

export interface RowStore {
  /** Atomic and durable when it resolves. When it rejects the outcome is unknown. */
  commit(changes: RowChanges): Promise<void>;
  /** Log batches of a job from the one that holds entry `fromSeq` on, a page at a time. */
  readLog(job: string, fromSeq: number): Promise<readonly StoredRow[]>;
  /** Rows of a table in id order. */
  read(table: Table, options?: { readonly prefix?: string }): Promise<readonly StoredRow[]>;
  /** Rows whose id is a number (`numberId`), from that number on, a page at a time. */
  readNumbered(table: Table, from: number): Promise<readonly StoredRow[]>;
  /** Leaves of one job in the operator's log. */
  readLeaves(job: string): Promise<readonly StoredRow[]>;
  /** The first checkpoint whose root covers each of these leaves, where there is one yet. */
  readCheckpointsOver(leafIndexes: readonly number[]): Promise<readonly StoredRow[]>;
  readOne(table: Table, id: string): Promise<Bytes | undefined>;
  /** Rows of orders that did not end, and of those that ended after `endedAfterUs`. */
  readOrders(filter: OrderFilter): Promise<readonly StoredRow[]>;
  readOpenOrders(endedAfterUs: number): Promise<readonly StoredRow[]>;
  /** Batches of those orders. */
  readOpenUnits(endedAfterUs: number): Promise<readonly StoredRow[]>;
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** Any constant: the lock's name in PostgreSQL's advisory lock space. */
const OWNER_LOCK = 7_318_349_394;
const OWNER_WAIT_MS = 10_000;
const OWNER_POLL_MS = 50;
const READ_POOL_MAX = 3;
const LOG_PAGE_BATCHES = 32;
const NUMBERED_PAGE = 5_000;

const COMMIT = {
  name: 'seele-commit',
  text: `
    with removed as (
      delete from market.rows r using unnest($5::text[], $6::text[]) as d(kind, id)
      where r.kind = d.kind and r.id = d.id
    ), unlisted as (
      delete from market.orders o using unnest($5::text[], $6::text[]) as d(kind, id)
      where d.kind = 'order' and o.id = d.id
    ), listed as (
      insert into market.orders (id, consumer, provider, status, accepted_at_us, ended)
      select x.id, x.consumer, x.provider, x.status, x.accepted_at_us, x.ended
      from jsonb_to_recordset($4::jsonb) as x(
        id text, consumer text, provider text, status text, accepted_at_us bigint, ended boolean)
      on conflict (id) do update set
        provider = excluded.provider, status = excluded.status, ended = excluded.ended
    ), queued as (${QUEUE_DUE})
    insert into market.rows (kind, id, bytes)
    select * from unnest($1::text[], $2::text[], $3::bytea[])
    on conflict (kind, id) do update set bytes = excluded.bytes`,
};

function commitValues(changes: RowChanges): unknown[] {
  const saves = [...changes.saves.values()];
  const removes = [...changes.removes.values()];
  const listed = saves.flatMap(({ id, index }) =>
    index === undefined
      ? []
      : [
          {
            id,
            consumer: index.consumer,
            provider: index.provider ?? null,
            status: index.status,
            accepted_at_us: index.acceptedAtUs,
            ended: index.ended,
          },
        ],
  );
  return [
    saves.map(({ table }) => table),
    saves.map(({ id }) => id),
    saves.map(({ bytes }) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)),
    JSON.stringify(listed),
    removes.map(({ table }) => table),
    removes.map(({ id }) => id),
    JSON.stringify(changes.due ?? []),
  ];
}

async function takeOwnership(writer: pg.Client): Promise<void> {
  const deadline = performance.now() + OWNER_WAIT_MS;
  for (;;) {
    const { rows } = await writer.query<{ ours: boolean }>(
      `select pg_try_advisory_lock(${OWNER_LOCK}) as ours`,
    );
    if (rows[0]?.ours === true) return;
    if (performance.now() > deadline)
      throw marketAppError('MARKET_DATABASE_OWNED', 'another market process writes this database');
    await new Promise((resolve) => setTimeout(resolve, OWNER_POLL_MS));
  }
}

interface Found {
  readonly kind: Table;
  readonly id: string;
  readonly bytes: Buffer;
}

const toRow = ({ kind, id, bytes }: Found): StoredRow => ({
  table: kind,
  id,
  bytes: new Uint8Array(bytes),
});

const ORDER_ROWS = `select r.kind, r.id, r.bytes from market.orders o
  join market.rows r on r.kind = 'order' and r.id = o.id`;

class PostgresRowStore implements RowStore {
  readonly #writer: pg.Client;
  readonly #readers: pg.Pool;

  constructor(writer: pg.Client, readers: pg.Pool) {
    this.#writer = writer;
    this.#readers = readers;
  }

  async commit(changes: RowChanges): Promise<void> {
    failpoint('market.commit.before');
    const done = this.#writer.query({ ...COMMIT, values: commitValues(changes) });
    failpoint('market.commit.during');
    await done;
    failpoint('market.commit.after');
  }

  async read(table: Table, options?: { readonly prefix?: string }): Promise<readonly StoredRow[]> {
    const { rows } = await this.#readers.query<Found>(
      `select kind, id, bytes from market.rows
       where kind = $1 and id >= $2 and id < $2 || chr(1114109) order by id`,
      [table, options?.prefix ?? ''],
    );
    return rows.map(toRow);
  }

  async readNumbered(table: Table, from: number): Promise<readonly StoredRow[]> {
    const { rows } = await this.#readers.query<Found>(
      `select kind, id, bytes from market.rows where kind = $1 and id >= $2
       order by id limit ${NUMBERED_PAGE}`,
      [table, numberId(from)],
    );
    return rows.map(toRow);
  }

  async readLeaves(job: string): Promise<readonly StoredRow[]> {
    const { rows } = await this.#readers.query<Found>(
      `select kind, id, bytes from market.rows
       where kind = 'leaf' and substring(bytes from 8 for 32) = decode($1, 'hex') order by id`,
      [job],
    );
    return rows.map(toRow);
  }

  async readCheckpointsOver(leafIndexes: readonly number[]): Promise<readonly StoredRow[]> {
    const { rows } = await this.#readers.query<Found>(
      `select distinct on (found.id) found.kind, found.id, found.bytes
       from unnest($1::text[]) as leaf(id) cross join lateral (
         select kind, id, bytes from market.rows
         where kind = 'checkpoint' and id > leaf.id collate "C" order by id limit 1
       ) as found order by found.id`,
      [leafIndexes.map(numberId)],
    );
    return rows.map(toRow);
  }

  async readOne(table: Table, id: string): Promise<Bytes | undefined> {
    const { rows } = await this.#readers.query<Found>(
      'select kind, id, bytes from market.rows where kind = $1 and id = $2',
      [table, id],
    );
    return rows[0] === undefined ? undefined : new Uint8Array(rows[0].bytes);
  }

  async readLog(job: string, fromSeq: number): Promise<readonly StoredRow[]> {
    const { rows } = await this.#readers.query<Found>(
      `select kind, id, bytes from market.rows
       where kind = 'batch' and id < $3 and id >= coalesce(
         (select max(id) from market.rows where kind = 'batch' and id > $1 and id <= $2), $1)
       order by id limit ${LOG_PAGE_BATCHES}`,
      // '0' is the character after '/', so the ids of this job end before it.
      [`${job}/`, batchId(job, fromSeq), `${job}0`],
    );
    return rows.map(toRow);
  }

  async readOpenOrders(endedAfterUs: number): Promise<readonly StoredRow[]> {
    const { rows } = await this.#readers.query<Found>(
      `${ORDER_ROWS} where not o.ended or o.accepted_at_us > $1 order by o.accepted_at_us, o.id`,
      [endedAfterUs],
    );
    return rows.map(toRow);
  }

  async readOpenUnits(endedAfterUs: number): Promise<readonly StoredRow[]> {
    const { rows } = await this.#readers.query<Found>(
      // '0' is the character after '/', so the batches of this order end before it.
      `select r.kind, r.id, r.bytes from market.orders o join market.rows r
         on r.kind = 'units' and r.id > o.id || '/' and r.id < o.id || '0'
       where not o.ended or o.accepted_at_us > $1`,
      [endedAfterUs],
    );
    return rows.map(toRow);
  }

  async readOrders(filter: OrderFilter): Promise<readonly StoredRow[]> {
    const { rows } = await this.#readers.query<Found>(
      `${ORDER_ROWS}
       where ($1::text is null or o.consumer = $1) and ($2::text is null or o.provider = $2)
         and ($3::text is null or o.status = $3)
         and ($4::bigint is null or (o.accepted_at_us, o.id) < ($4, $5))
       order by o.accepted_at_us desc, o.id desc limit $6`,
      [
        filter.consumer ?? null,
        filter.provider ?? null,
        filter.status ?? null,
        filter.before?.acceptedAtUs ?? null,
        filter.before?.id ?? null,
        filter.limit,
      ],
    );
    return rows.map(toRow);
  }

  async ping(): Promise<void> {
    await this.#readers.query('select 1');
  }

  async close(): Promise<void> {
    await this.#readers.end();
    await this.#writer.end();
  }
}

export interface OpenRowStoreOptions {
  readonly url: string;
  readonly logger: Logger;
  /** Whose rows these are (chain and market account); a database keeps one. */
  readonly identity: string;
  /** Told once when the writing connection is lost: no commit can succeed any more. */
  onLost(error: Error): void;
}

/**
 * Opens the store, bringing its tables up to date.
 *
 * @throws MARKET_DATABASE_OWNED when another market process holds it
 * @throws MARKET_DATABASE_UNREACHABLE when the server does not answer
 */
export async function openRowStore(options: OpenRowStoreOptions): Promise<RowStore> {
  const { url, logger } = options;
  const writer = new pg.Client({
    connectionString: url,
    keepAlive: true,
    application_name: 'seele-market-writer',
  });
  let closing = false;
  writer.on('error', (error) => options.onLost(error));
  writer.on('end', () => {
    if (!closing) options.onLost(new Error('the database closed the connection'));
  });
  try {
    await writer.connect();
  } catch (error) {
    closing = true;
    throw marketAppError(
      'MARKET_DATABASE_UNREACHABLE',
      `PostgreSQL does not let us in: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
  // Money lives here: whatever the server's configuration says, a commit waits for the disk.
  await writer.query('set synchronous_commit = on');
  await takeOwnership(writer);
  await migrateRows(writer);
  await claimIdentity(writer, options.identity);
  const readers = new pg.Pool({
    connectionString: url,
    max: READ_POOL_MAX,
    keepAlive: true,
    application_name: 'seele-market-reader',
  });
  readers.on('error', (error) => logger.warn({ err: error }, 'database connection lost'));
  const store = new PostgresRowStore(writer, readers);
  return {
    commit: (changes) => store.commit(changes),
    read: (table, query) => store.read(table, query),
    readOne: (table, id) => store.readOne(table, id),
    readNumbered: (table, from) => store.readNumbered(table, from),
    readLeaves: (job) => store.readLeaves(job),
    readCheckpointsOver: (leaves) => store.readCheckpointsOver(leaves),
    readLog: (job, fromSeq) => store.readLog(job, fromSeq),
    readOpenOrders: (after) => store.readOpenOrders(after),
    readOpenUnits: (after) => store.readOpenUnits(after),
    readOrders: (filter) => store.readOrders(filter),
    ping: () => store.ping(),
    close: async () => {
      closing = true;
      await store.close();
    },
  };
}
