import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataHome } from '../owner/data-home.ts';
import type { StoredDataset } from '../owner/owner-store.ts';
import { type ChangeSource, watchSource } from './change-sources.ts';
import { watchDatasets } from './watch-datasets.ts';

let folder: string;
let source: ChangeSource | undefined;
let noticed: number;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'seele-watch-'));
  noticed = 0;
});
afterEach(async () => {
  await source?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const listener = { noticed: () => void noticed++, failed: () => undefined };
const start = async (path: string) => {
  source = await watchSource(path, 'uai', listener);
};
async function isNoticed(): Promise<boolean> {
  for (let i = 0; i < 400 && noticed === 0; i++) await sleep(20);
  await sleep(100);
  const seen = noticed > 0;
  noticed = 0;
  return seen;
}

describe('changes are noticed', () => {
  it('of a file: written to, replaced, removed and made again; of its neighbours not', async () => {
    const path = join(folder, 'a.csv');
    writeFileSync(path, 'a\n');
    await start(path);
    writeFileSync(join(folder, 'b.csv'), 'b\n');
    await sleep(200);
    expect(noticed).toBe(0);
    appendFileSync(path, '1\n');
    expect(await isNoticed()).toBe(true);
    renameSync(join(folder, 'b.csv'), path);
    expect(await isNoticed()).toBe(true);
    rmSync(path);
    expect(await isNoticed()).toBe(true);
    writeFileSync(path, 'again\n');
    expect(await isNoticed()).toBe(true);
  });

  it('of a folder, in folders that are new', async () => {
    await start(folder);
    mkdirSync(join(folder, 'deep/er'), { recursive: true });
    expect(await isNoticed()).toBe(true);
    writeFileSync(join(folder, 'deep/er/a.csv'), 'a\n');
    expect(await isNoticed()).toBe(true);
  });

  it('of a database that writes beside its file', async () => {
    const path = join(folder, 'a.db');
    const database = new DatabaseSync(path);
    database.exec('PRAGMA journal_mode = WAL; CREATE TABLE t (a)');
    await start(path);
    expect(noticed).toBe(0);
    database.exec('INSERT INTO t VALUES (1)');
    expect(await isNoticed()).toBe(true);
    database.close();
  });

  it('not of what is not there', async () => {
    await expect(start(join(folder, 'nothing'))).rejects.toMatchObject({ code: 'DATA_SOURCE' });
  });
});

test('a source that cannot be watched does not stop the others; only when none can is that an error', async () => {
  const path = join(folder, 'a.csv');
  writeFileSync(path, 'a\n');
  const owner = { noticeChange: () => undefined, hasChange: () => false };
  const dataset = (name: string, at: string) =>
    ({ name, uai: name, settings: { source: at } }) as StoredDataset;
  const watch = async (...datasets: readonly StoredDataset[]): Promise<string[]> => {
    const news: string[] = [];
    const end = new AbortController();
    await watchDatasets({
      ...{ datasets, signal: end.signal },
      home: () => ({ owner }) as unknown as DataHome,
      onNews: ({ is, name }) => {
        news.push(`${name} ${is}`);
        if (is === 'watching') end.abort();
      },
    });
    return news;
  };
  const gone = dataset('gone', join(folder, 'nothing'));
  expect(await watch(gone, dataset('there', path))).toEqual(['gone unwatched', 'there watching']);
  await expect(watch(gone)).rejects.toMatchObject({ code: 'DATA_SOURCE' });
});
