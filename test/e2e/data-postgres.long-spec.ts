import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { dropSlot, openSource, watchSource } from '#libs/data';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '#libs/platform';

describe('a table of PostgreSQL as a source', () => {
  let folder: string;
  let postgres: EmbeddedPostgres;
  let client: Client;
  let source: string;

  const connect = async () => {
    client = new Client({ connectionString: postgres.url });
    client.on('error', () => undefined);
    await client.connect();
    source = `${postgres.url}#clinic.visits`;
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'seele-pg-'));
    postgres = await startEmbeddedPostgres({ directory: join(folder, 'postgres') });
    await connect();
    await client.query('CREATE SCHEMA clinic');
    await client.query(
      'CREATE TABLE clinic.visits (id int PRIMARY KEY, seen date, note text, cost numeric)',
    );
    await client.query(
      `INSERT INTO clinic.visits SELECT i, date '2026-01-01' + i % 90, CASE WHEN i % 4 = 0 THEN NULL ELSE 'n, "' || i END, i * 1.5 FROM generate_series(1, 5000) i`,
    );
  }, 60_000);

  afterAll(async () => {
    await client.end();
    await postgres.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it('is read whole, in one snapshot, and twice the same', async () => {
    const opened = await openSource(source, folder);
    const again = await openSource(source, folder);
    const { profile } = opened.extracted;
    expect(again.extracted.profile.contentHash).toBe(profile.contentHash);
    expect(opened.iri).not.toContain('@');
    const [table] = profile.parts[0]?.tables ?? [];
    expect(table?.rows).toBe(5_000);
    expect(table?.columns).toMatchObject([
      { name: 'id', datatype: 'integer', minimum: '1', maximum: '5000' },
      { name: 'seen', datatype: 'date', minimum: '2026-01-01', maximum: '2026-03-31' },
      { name: 'note', datatype: 'string', nullRatio: 0.25 },
      { name: 'cost', datatype: 'decimal', maximum: '7500.0' },
    ]);
    await opened.close();
    await again.close();
  }, 60_000);

  it.each(['#clinic.nothing', '#a.b.c', ''])('refuses %j', async (table) => {
    await expect(openSource(postgres.url + table, folder)).rejects.toMatchObject({
      code: 'DATA_SOURCE',
    });
  });

  it('is watched by a slot, which keeps what happened while nobody listened', async () => {
    const silent = { noticed: () => undefined, failed: () => undefined };
    await expect(watchSource(source, 'uai', silent)).rejects.toMatchObject({ code: 'DATA_SOURCE' });
    await client.query('ALTER SYSTEM SET wal_level = logical');
    await client.end();
    await postgres.stop();
    postgres = await startEmbeddedPostgres({ directory: join(folder, 'postgres') });
    await connect();

    let noticed = 0;
    const listener = { noticed: () => void noticed++, failed: () => undefined };
    const until = async (wanted: number) => {
      for (let i = 0; i < 200 && noticed < wanted; i++) await sleep(50);
      expect(noticed).toBeGreaterThanOrEqual(wanted);
    };
    const first = await watchSource(source, 'uai', listener);
    await client.query('DELETE FROM clinic.visits WHERE id = 7');
    await until(1);
    await sleep(300);
    await first.stop();
    await client.query(`UPDATE clinic.visits SET note = 'later' WHERE id = 8`);
    const before = noticed;
    const second = await watchSource(source, 'uai', listener);
    await until(before + 1);
    await second.stop();
    await dropSlot(source, 'uai');
    const { rows } = await client.query('SELECT 1 FROM pg_replication_slots');
    expect(rows).toEqual([]);
  }, 120_000);
});
