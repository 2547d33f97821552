/**
 * Changes of a table by a logical replication slot: unlike LISTEN, a slot keeps what happened while
 * nobody listened. A change is acknowledged to the server once it stands in the owner's queue.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, escapeIdentifier, escapeLiteral } from 'pg';
import { LogicalReplicationService, PgoutputPlugin } from 'pg-logical-replication';
import { sha256Hex } from '#libs/crypto';
import { utf8 } from '#libs/kernel';
import { dataError } from '../errors.ts';
import { parseTableUrl } from '../extract/postgres.ts';
import type { ChangeListener, ChangeSource } from './change-sources.ts';

const RETRY_MS = 1_000;

/** The same for a dataset for ever, within what PostgreSQL takes as a name. */
export const slotName = (name: string): string =>
  `seele_${sha256Hex(utf8(`seele/slot/1\0${name}`)).slice(0, 24)}`;

async function prepareSlot(source: string, slot: string): Promise<void> {
  const { url, schema, table } = parseTableUrl(source);
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ wal_level: string }>('SHOW wal_level');
    if (rows[0]?.wal_level !== 'logical')
      throw dataError(
        'DATA_SOURCE',
        `the server's wal_level is ${rows[0]?.wal_level}: set it to logical and restart the server`,
      );
    const known = async (what: string, column: string): Promise<boolean> => {
      const query = `SELECT 1 FROM ${what} WHERE ${column} = ${escapeLiteral(slot)}`;
      return (await client.query(query)).rows.length > 0;
    };
    const name = `${escapeIdentifier(schema)}.${escapeIdentifier(table)}`;
    if (!(await known('pg_publication', 'pubname')))
      await client.query(`CREATE PUBLICATION ${slot} FOR TABLE ${name}`);
    if (!(await known('pg_replication_slots', 'slot_name')))
      await client.query(`SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
  } catch (cause) {
    if ((cause as { code?: string }).code === 'DATA_SOURCE') throw cause;
    throw dataError('DATA_SOURCE', `${schema}.${table}: ${(cause as Error).message}`, { cause });
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** @throws DATA_SOURCE when the server does not give slots */
export async function watchTable(
  source: string,
  name: string,
  listener: ChangeListener,
): Promise<ChangeSource> {
  const slot = slotName(name);
  await prepareSlot(source, slot);
  const { url } = parseTableUrl(source);
  let stopped = false;
  let service: LogicalReplicationService | undefined;
  const listen = async (): Promise<void> => {
    const plugin = new PgoutputPlugin({ protoVersion: 1, publicationNames: [slot] });
    service = new LogicalReplicationService(
      { connectionString: url },
      { acknowledge: { auto: false, timeoutSeconds: 0 } },
    );
    const current = service;
    current.on('error', () => undefined);
    current.on('data', (lsn: string, { tag }: { readonly tag: string }) => {
      if (/^(?:insert|update|delete|truncate)$/.test(tag)) listener.noticed();
      if (tag === 'commit') void current.acknowledge(lsn);
    });
    current.on('heartbeat', (lsn: string, _time: number, shouldRespond: boolean) => {
      if (shouldRespond) void current.acknowledge(lsn);
    });
    await current.subscribe(plugin, slot);
  };
  const run = async (): Promise<void> => {
    while (!stopped) {
      try {
        await listen();
      } catch (error) {
        if (!stopped) listener.failed(error as Error);
      }
      await service?.destroy().catch(() => undefined);
      if (!stopped) await sleep(RETRY_MS);
    }
  };
  const running = run();
  return {
    async stop() {
      stopped = true;
      await service?.stop().catch(() => undefined);
      await service?.destroy().catch(() => undefined);
      await running;
    },
  };
}

/** Takes slot and publication away; the server then keeps nothing for us any more. */
export async function dropSlot(source: string, name: string): Promise<void> {
  const client = new Client({ connectionString: parseTableUrl(source).url });
  const slot = slotName(name);
  await client.connect();
  try {
    await client.query(
      `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '${slot}'`,
    );
    await client.query(`DROP PUBLICATION IF EXISTS ${slot}`);
  } finally {
    await client.end();
  }
}
