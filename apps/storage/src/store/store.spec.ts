import { appendFile, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { blockCid, parseCid } from '#libs/storage';
import type { CID } from 'multiformats/cid';

import { createCollector } from './collector.ts';
import { openDurableBlockstore } from './durable-blockstore.ts';
import { createReadBuffers } from './read-buffers.ts';
import { openPinLog } from './pin-log.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'seele-store-'));
});
afterEach(() => rm(folder, { recursive: true }));

const block = async (text: string) => {
  const bytes = Buffer.from(text);
  return { bytes, cid: await blockCid(bytes) };
};

describe('the durable blockstore', () => {
  const fileOf = async () => {
    const files = await readdir(join(folder, 'blocks'), { recursive: true });
    return join(folder, 'blocks', files.find((file) => file.endsWith('.block')) as string);
  };

  it('keeps blocks over a restart and clears what a dead process half wrote', async () => {
    const { cid, bytes } = await block('kept');
    const first = await openDurableBlockstore(folder);
    await first.put(cid, bytes);
    await first.sync();
    await writeFile(join(folder, 'incoming', '1-1'), 'half');
    const second = await openDurableBlockstore(folder);
    expect(await second.read(cid)).toEqual(bytes);
    expect(await readdir(join(folder, 'incoming'))).toEqual([]);
  });

  it.each([
    ['changed', async (path: string) => writeFile(path, 'kEpt')],
    ['cut', async (path: string) => truncate(path, 2)],
  ])('never gives a %s block; putting it again mends it', async (_, damage) => {
    const { cid, bytes } = await block('kept');
    const store = await openDurableBlockstore(folder);
    await store.put(cid, bytes);
    await damage(await fileOf());
    await expect(store.read(cid)).rejects.toMatchObject({ code: 'STORAGE_CORRUPT' });
    expect(await store.has(cid)).toBe(false);
    await store.put(cid, bytes);
    expect(await store.read(cid)).toEqual(bytes);
  });

  it('reads into the buffer it is given, and past its end into one of its own', async () => {
    const { cid, bytes } = await block('kept');
    const store = await openDurableBlockstore(folder);
    await store.put(cid, bytes);
    for (const [length, isMine] of [
      [100, true],
      [5, true],
      [4, false], // as long as the block: there might be more of it
      [1, false],
    ] as const) {
      const buffer = Buffer.alloc(length);
      const got = await store.read(cid, buffer);
      expect(Buffer.from(got as Uint8Array)).toEqual(bytes);
      expect(got?.buffer === buffer.buffer).toBe(isMine);
    }
    await writeFile(await fileOf(), 'kEpt');
    await expect(store.read(cid, Buffer.alloc(100))).rejects.toMatchObject({
      code: 'STORAGE_CORRUPT',
    });
  });

  it('writes a cut block again even before anybody read it', async () => {
    const { cid, bytes } = await block('kept');
    const store = await openDurableBlockstore(folder);
    await store.put(cid, bytes);
    await truncate(await fileOf(), 1);
    await store.put(cid, bytes);
    expect(await store.read(cid)).toEqual(bytes);
  });
});

describe('buffers for reading', () => {
  it('lends a buffer to one reader at a time, and takes back only its own, once', () => {
    const buffers = createReadBuffers();
    const [a, b] = [buffers.take(), buffers.take()];
    expect(a.buffer).not.toBe(b.buffer);
    buffers.giveBack(a.subarray(3, 5));
    buffers.giveBack(a);
    buffers.giveBack(Buffer.alloc(10));
    expect(buffers.take()).toBe(a);
    const other = buffers.take();
    expect(other.buffer).not.toBe(a.buffer);
    expect(other.buffer).not.toBe(b.buffer);
  });
});

describe('the pin log', () => {
  const open = () => openPinLog(join(folder, 'pins.log'), parseCid);
  const cids = (log: { pins: ReadonlyMap<string, unknown> }) => [...log.pins.keys()].sort();

  it('keeps pins over restarts, in the order of changes', async () => {
    const [a, b] = [(await block('a')).cid, (await block('b')).cid];
    const log = await open();
    await Promise.all([log.set(a, 'recursive', 'x'), log.set(b, 'direct', ''), log.remove(a)]);
    await Promise.all([log.remove(b), log.set(b, 'recursive', 'y')]);
    await log.close();
    const again = await open();
    expect([...again.pins.values()]).toEqual([{ cid: b.toString(), type: 'recursive', name: 'y' }]);
    await again.close();
  });

  it('drops a torn last line and goes on after it', async () => {
    const [a, b] = [(await block('a')).cid, (await block('b')).cid];
    const log = await open();
    await log.set(a, 'recursive', '');
    await log.close();
    await appendFile(join(folder, 'pins.log'), '0000 {"add":"baf');
    const torn = await open();
    await torn.set(b, 'recursive', '');
    await torn.close();
    const again = await open();
    expect(cids(again)).toEqual([a.toString(), b.toString()].sort());
    await again.close();
  });

  it('refuses to start with a damaged line rather than forget a pin', async () => {
    const log = await open();
    for (const text of ['a', 'b']) await log.set((await block(text)).cid, 'recursive', '');
    await log.close();
    const path = join(folder, 'pins.log');
    await writeFile(path, (await readFile(path, 'utf8')).replace('recursive', 'recursivE'));
    await expect(open()).rejects.toMatchObject({ code: 'STORAGE_DISK' });
  });

  it('compacts a long history', async () => {
    const { cid } = await block('a');
    const log = await open();
    const changes: Promise<void>[] = [];
    for (let i = 0; i < 600; i++) changes.push(log.set(cid, 'recursive', `${i}`), log.remove(cid));
    await Promise.all([...changes, log.set(cid, 'recursive', 'last')]);
    await log.close();
    const again = await open();
    expect([...again.pins.values()]).toMatchObject([{ name: 'last' }]);
    await again.close();
    expect((await readFile(join(folder, 'pins.log'), 'utf8')).split('\n')).toHaveLength(2);
  });
});

describe('the collector', () => {
  async function setUp(graceMs: number) {
    const store = await openDurableBlockstore(folder);
    const pins = await openPinLog(join(folder, 'pins.log'), parseCid);
    const hooks = { duringMark: async () => {} };
    const walk = async function* (root: CID) {
      await hooks.duringMark();
      yield root;
    };
    const collector = createCollector({ store, pins, walk, parse: parseCid, graceMs });
    const collect = async () => {
      const gone: string[] = [];
      for await (const cid of collector.collect()) gone.push(cid.toString());
      return gone;
    };
    return { store, pins, collector, collect, hooks };
  }

  it('takes what is old and unpinned, and spares what is young', async () => {
    const { store, pins, collect } = await setUp(0);
    const [kept, loose] = [await block('kept'), await block('loose')];
    await store.put(kept.cid, kept.bytes);
    await store.put(loose.cid, loose.bytes);
    await pins.set(kept.cid, 'recursive', '');
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await collect()).toEqual([loose.cid.toString()]);
    await pins.close();
    const young = await setUp(60_000);
    await young.store.put(loose.cid, loose.bytes);
    expect(await young.collect()).toEqual([]);
    await young.pins.close();
  });

  it('spares what an open call touched, also when it ends while the collection runs', async () => {
    const { store, pins, collector, collect, hooks } = await setUp(0);
    const [pinned, added] = [await block('pinned'), await block('added before, pinned after')];
    await store.put(pinned.cid, pinned.bytes);
    await store.put(added.cid, added.bytes);
    await pins.set(pinned.cid, 'recursive', '');
    const guard = collector.guard();
    guard.touch(added.cid);
    await new Promise((resolve) => setTimeout(resolve, 5));
    hooks.duringMark = async () => {
      await pins.set(added.cid, 'recursive', ''); // too late for the snapshot
      guard.end();
    };
    expect(await collect()).toEqual([]);
    expect(await collect()).toEqual([]);
    await pins.remove(added.cid);
    expect(await collect()).toEqual([added.cid.toString()]);
    await pins.close();
  });
});
