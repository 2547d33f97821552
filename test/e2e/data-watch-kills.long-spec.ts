import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { type EmbeddedPostgres, createNodeClient, startEmbeddedPostgres } from '#libs/platform';
import { type LocalMachine, startLocalMachine } from '../support/local-machine.ts';
import { WATCH_PLACES, Watcher, rowsOfVersions, versionCount } from '../support/watched-dataset.ts';

const WAIT_MS = 90_000;

/** Sources that begin with one row; `grow` adds another. */
interface Source {
  readonly url: string;
  grow(): Promise<void> | void;
  close(): Promise<void> | void;
}

function csv(folder: string): Source {
  const url = join(folder, 'rows.csv');
  writeFileSync(url, 'id,value\n1,a\n');
  return { url, grow: () => appendFileSync(url, '2,b\n'), close: () => undefined };
}

function sqlite(folder: string): Source {
  const url = join(folder, 'rows.db');
  const database = new DatabaseSync(url);
  database.exec(
    `PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, value TEXT);
     INSERT INTO t (value) VALUES ('a')`,
  );
  return {
    url,
    grow: () => database.exec(`INSERT INTO t (value) VALUES ('b')`),
    close: () => database.close(),
  };
}

async function table(postgres: EmbeddedPostgres): Promise<Source> {
  const client = new Client({ connectionString: postgres.url });
  client.on('error', () => undefined);
  await client.connect();
  await client.query('CREATE TABLE t (id serial PRIMARY KEY, value text)');
  await client.query(`INSERT INTO t (value) VALUES ('a')`);
  return {
    url: `${postgres.url}#public.t`,
    grow: async () => void (await client.query(`INSERT INTO t (value) VALUES ('b')`)),
    close: () => client.end(),
  };
}

/** A server that gives slots; it takes the setting with its second start. */
async function startLogicalPostgres(directory: string): Promise<EmbeddedPostgres> {
  const first = await startEmbeddedPostgres({ directory });
  const client = new Client({ connectionString: first.url });
  await client.connect();
  await client.query('ALTER SYSTEM SET wal_level = logical');
  await client.end();
  await first.stop();
  return startEmbeddedPostgres({ directory });
}

describe('every change of a watched source has one version, whatever step the watcher is killed at', () => {
  let machine: LocalMachine;
  let folder: string;
  let postgres: EmbeddedPostgres;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'seele-watch-kills-'));
    machine = await startLocalMachine({}, 0);
    postgres = await startLogicalPostgres(join(folder, 'postgres'));
  }, 180_000);
  afterAll(async () => {
    await postgres.stop();
    await machine.stop();
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  const sources: readonly [string, string, () => Source | Promise<Source>][] = [
    ['a file, encrypted in storage', 'ipfs', () => csv(folder)],
    ['a file that stays here', 'metadata-only', () => csv(folder)],
    ['a database, by data_version, encrypted in storage', 'ipfs', () => sqlite(folder)],
    ['a table of PostgreSQL, by a slot', 'metadata-only', () => table(postgres)],
  ];

  it.each(sources)(
    '%s',
    async (_what, mode, open) => {
      const source = await open();
      const name = `rows-${sources.findIndex(([, , each]) => each === open)}`;
      const say = join(folder, 'say.yaml');
      writeFileSync(say, 'publish: [rowCount]\n');
      const how = ['--name', name, '--describe', say, '--mode', mode, '--yes'];
      const added = await machine.seele('data', 'add', source.url, ...how);
      expect([added.code, added.stderr]).toEqual([0, '']);

      const node = createNodeClient(machine.urls.node);
      const owner = machine.signer.account;
      const points = join(folder, `${name}-points`);
      const watcher = new Watcher(['data', 'watch', name, '--home', machine.home], points);
      const notReached: string[] = [];
      try {
        for (const [i, place] of WATCH_PLACES.entries()) {
          // Up, so that the change is noticed and not found at the start.
          await sleep(3_000);
          if (place !== '') watcher.kill(place);
          await source.grow();
          if (place === '') await sleep(250).then(() => watcher.kill(''));
          const atMs = performance.now();
          while (
            (await versionCount(node, owner, `data/${name}`)) < i + 2 &&
            performance.now() - atMs < WAIT_MS
          )
            await sleep(50);
          if (!(await watcher.died())) notReached.push(place);
        }
        // Whatever was begun twice would show by now.
        await sleep(3_000);
        const rows = await rowsOfVersions(node, owner, `data/${name}`, machine.store);
        expect(rows).toEqual(Array.from({ length: WATCH_PLACES.length + 1 }, (_, i) => i + 1));
        expect({ notReached, deaths: watcher.deaths }).toEqual({
          ...{ notReached: [], deaths: WATCH_PLACES.length },
        });
      } finally {
        await watcher.stop();
        await source.close();
      }
    },
    600_000,
  );
});
