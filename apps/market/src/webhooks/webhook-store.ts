/**
 * Webhooks and what waits for them, in the market's database. What becomes due is written by the group
 * commit of the events themselves (`QUEUE_DUE`, a part of it); everything else by connections of our
 * own, one row a statement, so that no commit ever waits for more than one row of ours.
 */
import pg from 'pg';
import { decodeWith, encodeWith, hash32, list, optional, record, text, uint } from '#libs/kernel';
import type { Logger } from '#libs/platform';
import { WEBHOOK_URL_MAX_CHARACTERS } from './address-guard.ts';
import type { LaneKind, QueuedEvents, StoredLane, Webhook } from './webhook.ts';

/** Most kinds that a webhook can name. */
export const WEBHOOK_EVENTS_MAX = 64;
const failure = { code: text(64), text: text(500) };

/** A webhook as its row holds it. */
const webhookRow = record({
  version: uint(),
  id: text(64),
  account: hash32,
  url: text(WEBHOOK_URL_MAX_CHARACTERS * 3),
  order: optional(hash32),
  events: list(text(64), WEBHOOK_EVENTS_MAX),
  createdAtUs: uint(),
  disabled: optional(record({ ...failure, atUs: uint() })),
  failingSinceUs: optional(uint()),
  lastFailure: optional(record(failure)),
  lastDeliveredUs: optional(uint()),
  missed: uint(),
});
const VERSION = 1;

/** Part of the commit of events: `$7` holds what became due, as JSON. */
export const QUEUE_DUE = `
  insert into market.webhook_queue (webhook, job, lane, next_seq, last_seq)
  select x.webhook, x."order", x.lane, x.next, x.last
  from jsonb_to_recordset($7::jsonb) as x(
    webhook text, "order" text, lane text, next bigint, last bigint)
  where exists (select 1 from market.webhooks w where w.id = x.webhook)
  on conflict (webhook, job, lane) do update
    set last_seq = greatest(market.webhook_queue.last_seq, excluded.last_seq)`;

/** The tables, made by a step of the market's schema. */
export const WEBHOOK_TABLES = `
  create table market.webhooks (id text collate "C" primary key, bytes bytea not null);
  create table market.webhook_queue (
    webhook text collate "C" not null,
    job text collate "C" not null,
    lane text not null,
    next_seq bigint not null,
    last_seq bigint not null,
    attempts int not null default 0,
    due_us bigint not null default 0,
    failing_since_us bigint,
    primary key (webhook, job, lane)
  );`;

export interface WebhookStore {
  webhooks(): Promise<readonly Webhook[]>;
  /** Everything that waits; queued events of webhooks that are gone are dropped first. */
  lanes(): Promise<readonly StoredLane[]>;
  save(webhook: Webhook): Promise<void>;
  /** The webhook goes at once; what waits for it a little later. */
  remove(id: string): Promise<void>;
  /** Puts a range into a lane of its own, durably. */
  queue(lane: QueuedEvents): Promise<void>;
  /** Events before `next` were taken; when that was all, the lane goes. */
  advance(lane: QueuedEvents): Promise<void>;
  /** How the attempts at the next event went. */
  defer(lane: StoredLane): Promise<void>;
  drop(lane: QueuedEvents): Promise<void>;
  close(): Promise<void>;
}

interface LaneRow {
  readonly webhook: string;
  readonly job: string;
  readonly lane: LaneKind;
  readonly next_seq: string;
  readonly last_seq: string;
  readonly attempts: number;
  readonly due_us: string;
  readonly failing_since_us: string | null;
}

const toLane = (row: LaneRow): StoredLane => ({
  webhook: row.webhook,
  order: row.job,
  lane: row.lane,
  next: Number(row.next_seq),
  last: Number(row.last_seq),
  attempts: row.attempts,
  dueUs: Number(row.due_us),
  ...(row.failing_since_us !== null && { failingSinceUs: Number(row.failing_since_us) }),
});

function toWebhook(bytes: Buffer): Webhook {
  const { version: _version, ...row } = decodeWith(webhookRow, new Uint8Array(bytes));
  const present = Object.entries(row).filter(([, value]) => value !== undefined);
  return Object.fromEntries(present) as unknown as Webhook;
}

const keyOf = ({ webhook, order, lane }: QueuedEvents) => [webhook, order, lane];
const OF_LANE = 'where webhook = $1 and job = $2 and lane = $3';

export function openWebhookStore(url: string, logger: Logger): WebhookStore {
  const open = (options?: string): pg.Pool => {
    const pool = new pg.Pool({
      connectionString: url,
      max: 1,
      keepAlive: true,
      application_name: 'seele-market-webhooks',
      ...(options !== undefined && { options }),
    });
    pool.on('error', (error) => logger.warn({ err: error }, 'database connection lost'));
    return pool;
  };
  const pool = open();
  // An acknowledgement that a crash undoes costs one delivery more; waiting for the disk costs each of them.
  const lazyPool = open('-c synchronous_commit=off');
  const lazily = async (statement: string, values: readonly unknown[]): Promise<void> => {
    await lazyPool.query(statement, [...values]);
  };
  /** Never waits for a row that a commit holds: the two could otherwise wait for each other. */
  const purge = `delete from market.webhook_queue where ctid in (
    select q.ctid from market.webhook_queue q
    where not exists (select 1 from market.webhooks w where w.id = q.webhook)
    for update skip locked)`;
  return {
    webhooks: async () => {
      const { rows } = await pool.query<{ bytes: Buffer }>(
        'select bytes from market.webhooks order by id',
      );
      return rows.map(({ bytes }) => toWebhook(bytes));
    },
    lanes: async () => {
      await pool.query(purge);
      const { rows } = await pool.query<LaneRow>('select * from market.webhook_queue');
      return rows.map(toLane);
    },
    save: async (webhook) => {
      const bytes = encodeWith(webhookRow, {
        version: VERSION,
        ...webhook,
        events: [...webhook.events],
      });
      await pool.query(
        `insert into market.webhooks (id, bytes) values ($1, $2)
         on conflict (id) do update set bytes = excluded.bytes`,
        [webhook.id, Buffer.from(bytes)],
      );
    },
    remove: async (id) => {
      await pool.query('delete from market.webhooks where id = $1', [id]);
      await pool.query(purge);
    },
    queue: async (lane) => {
      await pool.query(
        `insert into market.webhook_queue (webhook, job, lane, next_seq, last_seq)
         values ($1, $2, $3, $4, $5) on conflict (webhook, job, lane) do update
         set next_seq = excluded.next_seq, last_seq = excluded.last_seq,
           attempts = 0, due_us = 0, failing_since_us = null`,
        [...keyOf(lane), lane.next, lane.last],
      );
    },
    advance: (lane) =>
      lane.next > lane.last
        ? lazily(`delete from market.webhook_queue ${OF_LANE} and last_seq < $4`, [
            ...keyOf(lane),
            lane.next,
          ])
        : lazily(
            `update market.webhook_queue set next_seq = $4, attempts = 0, due_us = 0,
               failing_since_us = null ${OF_LANE}`,
            [...keyOf(lane), lane.next],
          ),
    defer: (lane) =>
      lazily(
        `update market.webhook_queue set next_seq = $4, attempts = $5, due_us = $6,
           failing_since_us = $7 ${OF_LANE}`,
        [...keyOf(lane), lane.next, lane.attempts, lane.dueUs, lane.failingSinceUs ?? null],
      ),
    drop: async (lane) => {
      await pool.query(`delete from market.webhook_queue ${OF_LANE}`, keyOf(lane));
    },
    close: async () => {
      await Promise.all([pool.end(), lazyPool.end()]);
    },
  };
}
