import { chmodSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { createSeededRandomness, utf8 } from '#libs/kernel';
import { lockDirectory } from './directory-lock.ts';
import { openLmdbStore } from './lmdb-store.ts';
import { createSimulatedDisk } from './memory-store.ts';
import { describeKeyValueStore } from './store.conformance.ts';

const directories: string[] = [];
const newDirectory = (): string => {
  const path = mkdtempSync(join(tmpdir(), 'seele-store-'));
  directories.push(path);
  return path;
};
afterAll(() => {
  for (const path of directories) rmSync(path, { recursive: true, force: true });
});

describeKeyValueStore('simulated disk', () => {
  const disk = createSimulatedDisk(createSeededRandomness(7));
  return { open: () => disk.open(), crash: () => disk.crash(), cleanUp: () => undefined };
});

describeKeyValueStore('LMDB', () => {
  const path = newDirectory();
  let store: ReturnType<typeof openLmdbStore>;
  return {
    open: () => (store = openLmdbStore({ path })),
    // A process cannot crash inside a test; apps/node kills a real one.
    crash: () => store.close(),
    cleanUp: () => undefined,
  };
});

describe('the simulated disk', () => {
  it('keeps a prefix of unfinished commits after a power cut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const disk = createSimulatedDisk(createSeededRandomness(seed), () => new Promise(() => {}));
        const store = disk.open();
        for (const name of ['a', 'b', 'c'])
          void store.commit([{ key: utf8(name), value: utf8(name) }]);
        await Promise.resolve();
        disk.crash();
        const after = disk.open();
        const kept = ['a', 'b', 'c'].map((name) => after.get(utf8(name)) !== undefined);
        expect(kept.toSorted((a, b) => Number(b) - Number(a))).toEqual(kept);
        expect(() => store.get(utf8('a'))).toThrow(
          expect.objectContaining({ code: 'STORE_CLOSED' }),
        );
      }),
      { numRuns: 50 },
    );
  });

  it('serves nothing after a failed commit until it is opened again', async () => {
    const disk = createSimulatedDisk(createSeededRandomness(1));
    const store = disk.open();
    disk.failNextCommit();
    await expect(store.commit([])).rejects.toMatchObject({ code: 'STORE_WRITE' });
    expect(() => store.get(utf8('a'))).toThrow(expect.objectContaining({ code: 'STORE_WRITE' }));
    expect(disk.open().get(utf8('a'))).toBeUndefined();
  });
});

describe('LMDB files', () => {
  const filled = async (): Promise<string> => {
    const path = newDirectory();
    const store = openLmdbStore({ path });
    const value = new Uint8Array(1000).fill(1);
    await store.commit(Array.from({ length: 500 }, (_, i) => ({ key: utf8(`key ${i}`), value })));
    await store.close();
    return path;
  };
  const refused = (code: string) => expect.objectContaining({ code });

  it('opens read-only beside the writer and refuses writes there', async () => {
    const path = await filled();
    const writer = openLmdbStore({ path });
    const reader = openLmdbStore({ path, readOnly: true });
    expect(reader.get(utf8('key 1'))).toHaveLength(1000);
    await expect(reader.commit([])).rejects.toMatchObject({ code: 'STORE_WRITE' });
    await reader.close();
    await writer.close();
  });

  it('refuses a truncated file instead of dying with SIGBUS', async () => {
    const path = await filled();
    const file = join(path, 'data.mdb');
    truncateSync(file, Math.floor(statSync(file).size / 8192) * 4096);
    expect(() => openLmdbStore({ path })).toThrow(refused('STORE_CORRUPT'));
    truncateSync(file, 5000);
    expect(() => openLmdbStore({ path })).toThrow(refused('STORE_CORRUPT'));
  });

  it('refuses a file that is no database', () => {
    const path = newDirectory();
    writeFileSync(join(path, 'data.mdb'), 'not a database '.repeat(1000));
    expect(() => openLmdbStore({ path })).toThrow(refused('STORE_CORRUPT'));
  });

  it('refuses a path it cannot use', () => {
    const path = newDirectory();
    const file = join(path, 'file');
    writeFileSync(file, '');
    expect(() => openLmdbStore({ path: join(file, 'below') })).toThrow(refused('STORE_OPEN'));
    expect(() => openLmdbStore({ path: join(path, 'none'), readOnly: true })).toThrow(
      refused('STORE_OPEN'),
    );
    if (process.getuid?.() === 0) return; // Root may write anywhere.
    chmodSync(path, 0o500);
    expect(() => openLmdbStore({ path })).toThrow(refused('STORE_OPEN'));
    chmodSync(path, 0o700);
  });
});

describe('lockDirectory', () => {
  it('lets one live process in and takes over from a dead one', () => {
    const path = newDirectory();
    const release = lockDirectory(path);
    release();
    writeFileSync(join(path, 'owner.lock'), '999999999 1');
    lockDirectory(path)();
    writeFileSync(join(path, 'owner.lock'), `${process.ppid} `);
    expect(() => lockDirectory(path)).toThrow(expect.objectContaining({ code: 'STORE_IN_USE' }));
  });
});
