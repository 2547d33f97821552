/** The market's tables, built by numbered steps; each runs once, in order, in one transaction. */
import type pg from 'pg';
import { marketAppError } from '../errors.ts';
import { WEBHOOK_TABLES } from '../webhooks/webhook-store.ts';

const STEPS: readonly string[] = [
  `create table market.rows (
     kind text not null,
     id text collate "C" not null,
     bytes bytea not null,
     primary key (kind, id)
   );
   create table market.orders (
     id text collate "C" primary key,
     consumer text not null,
     provider text,
     status text not null,
     accepted_at_us bigint not null,
     ended boolean not null
   );
   create index orders_by_time on market.orders (accepted_at_us desc, id desc);
   create index orders_by_consumer on market.orders (consumer, accepted_at_us desc, id desc);
   create index orders_open on market.orders (accepted_at_us) where not ended;
   create table market.identity (is_one boolean primary key check (is_one), whose text not null);`,
  // The canonical bytes of a leaf begin with its job: a map of four whose first key is `job`, 32 bytes.
  `create index leaves_by_job on market.rows (substring(bytes from 8 for 32)) where kind = 'leaf';`,
  WEBHOOK_TABLES,
];

/** @throws MARKET_DATABASE_NEWER when a later version of Seele wrote this database */
export async function migrateRows(client: pg.Client): Promise<void> {
  await client.query('create schema if not exists market');
  await client.query('create table if not exists market.schema_version (version int not null)');
  const { rows } = await client.query<{ version: number }>(
    'select version from market.schema_version',
  );
  const version = rows[0]?.version ?? 0;
  if (version > STEPS.length)
    throw marketAppError(
      'MARKET_DATABASE_NEWER',
      `the database has version ${version}, this market knows ${STEPS.length}`,
    );
  for (let step = version; step < STEPS.length; step++) {
    await client.query('begin');
    await client.query(STEPS[step] as string);
    await client.query('delete from market.schema_version');
    await client.query('insert into market.schema_version values ($1)', [step + 1]);
    await client.query('commit');
  }
}

/** Rows of one market on one chain mean nothing to another. @throws MARKET_CHAIN_MISMATCH */
export async function claimIdentity(client: pg.Client, identity: string): Promise<void> {
  await client.query('insert into market.identity values (true, $1) on conflict do nothing', [
    identity,
  ]);
  const { rows } = await client.query<{ whose: string }>('select whose from market.identity');
  if (rows[0]?.whose !== identity)
    throw marketAppError(
      'MARKET_CHAIN_MISMATCH',
      `the database is of ${rows[0]?.whose}, this market is ${identity}`,
    );
}
