import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { CarReader, CarWriter } from '@ipld/car';
import * as dagCbor from '@ipld/dag-cbor';
import { CID } from 'multiformats/cid';
import * as raw from 'multiformats/codecs/raw';
import { sha256 } from 'multiformats/hashes/sha2';

import { noise } from '../../libs/storage/src/blob-store.conformance.ts';
import { startStorage, type StorageProcess } from './storage-process.ts';

const MIB = 1024 * 1024;

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const out: T[] = [];
  for await (const item of source) out.push(item);
  return out;
}
const joined = async (source: AsyncIterable<Uint8Array>) => Buffer.concat(await all(source));

async function carOf(root: CID, blocks: readonly { cid: CID; bytes: Uint8Array }[]) {
  const { writer, out } = CarWriter.create([root]);
  void (async () => {
    for (const block of blocks) await writer.put(block);
    await writer.close();
  })();
  return joined(out);
}

describe('the storage process, spoken to by kubo-rpc-client', () => {
  let storage: StorageProcess;
  const client = () => storage.client;
  beforeAll(async () => {
    storage = await startStorage({ env: { SEELE_STORAGE_GC_GRACE_MS: '0' } });
  });
  afterAll(() => storage?.discard());

  it('answers id and version', async () => {
    expect((await client().id()).id.toString()).toMatch(/^12D3/);
    expect((await client().version()).version).toBe('0.1.0');
  });

  it.each([
    // Known CIDs of go-ipfs for this text.
    [{}, 'QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o'],
    [{ cidVersion: 1 }, 'bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4'],
    [{ rawLeaves: true }, 'bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4'],
    [
      { cidVersion: 1, rawLeaves: false },
      'bafybeicg2rebjoofv4kbyovkw7af3rpiitvnl6i7ckcywaq6xjcxnc2mby',
    ],
  ] as const)('add %j names content as Kubo does', async (options, cid) => {
    const added = await client().add('hello world\n', options);
    expect(added.cid.toString()).toBe(cid);
    expect(added.path).toBe(cid);
  });

  it('adds a stream with progress and reads it back whole and in ranges', async () => {
    const bytes = noise(3 * MIB + 17, 2);
    const told: number[] = [];
    const { cid } = await client().add([bytes.subarray(0, MIB), bytes.subarray(MIB)], {
      cidVersion: 1,
      progress: (count) => void told.push(count),
    });
    expect(told.at(-1)).toBe(bytes.length);
    expect(told).toEqual([...told].sort((a, b) => a - b));
    expect((await joined(client().cat(cid))).equals(bytes)).toBe(true);
    const range = await joined(client().cat(cid, { offset: 262_140, length: 10 }));
    expect(range.equals(bytes.subarray(262_140, 262_150))).toBe(true);
    expect(await joined(client().cat(cid, { offset: bytes.length + 5 }))).toHaveLength(0);
  });

  it('keeps the answers of many readers apart, some slow, some gone half way', async () => {
    const contents = [11, 12, 13].map((seed) => noise(6 * MIB + seed, seed));
    const cids: CID[] = [];
    for (const bytes of contents) {
      const { cid } = await client().add(bytes, { cidVersion: 1, chunker: `size-${MIB}` });
      cids.push(cid as CID);
    }
    const reader = async (i: number) => {
      const bytes = contents[i % 3] as Buffer;
      const offset = (i * 777_777) % (5 * MIB);
      const parts: Uint8Array[] = [];
      for await (const part of client().cat(cids[i % 3] as CID, { offset })) {
        parts.push(part);
        if (i % 4 === 3) return; // hangs up in the middle of a block
        if (i % 4 === 2) await new Promise((resolve) => setTimeout(resolve, 2));
      }
      expect(Buffer.concat(parts).equals(bytes.subarray(offset))).toBe(true);
    };
    for (let round = 0; round < 3; round++)
      await Promise.all(Array.from({ length: 12 }, (_, i) => reader(i + round)));
  });

  it('adds only the hash when asked, and stores nothing', async () => {
    const { cid } = await client().add(noise(1000, 77), { onlyHash: true, cidVersion: 1 });
    await expect(client().block.stat(cid)).rejects.toThrow(/not found/);
    expect(await all(client().pin.ls({ type: 'recursive' }))).not.toContainEqual(
      expect.objectContaining({ cid }),
    );
  });

  it('keeps directories: ls, get as tar, resolve, refs, cat by path', async () => {
    const files = [
      { path: 'data/a.txt', content: 'alpha' },
      { path: 'data/deep/ü ? + %.bin', content: noise(600_000, 5) },
      { path: `data/${'n'.repeat(150)}.txt`, content: 'long name' },
    ];
    const added = await all(client().addAll(files, { wrapWithDirectory: true, cidVersion: 1 }));
    const root = added.at(-1) as { cid: CID; path: string };
    expect(added.map(({ path }) => path)).toEqual(
      expect.arrayContaining([...files.map(({ path }) => path), 'data', 'data/deep', '']),
    );
    const listed = await all(client().ls(`${root.cid.toString()}/data`));
    expect(listed.map(({ name, type, size }) => [name, type, size])).toEqual(
      expect.arrayContaining([
        ['a.txt', 'file', 5],
        ['deep', 'dir', 0],
      ]),
    );
    const path = `/ipfs/${root.cid.toString()}/data/a.txt`;
    expect((await joined(client().cat(path))).toString()).toBe('alpha');
    const resolved = await client().resolve(path);
    expect((await all(client().ls(resolved.slice('/ipfs/'.length))))[0]).toMatchObject({
      type: 'file',
      size: 5,
    });
    const refs = await all(client().refs(root.cid, { recursive: true, unique: true }));
    expect(refs).toContainEqual({ ref: resolved.slice('/ipfs/'.length), err: '' });
    const folder = await mkdtemp(join(tmpdir(), 'seele-tar-'));
    await writeFile(join(folder, 'x.tar'), await joined(client().get(root.cid)));
    await promisify(execFile)('tar', ['-xf', 'x.tar'], { cwd: folder });
    for (const { path: file, content } of files)
      expect(await readFile(join(folder, root.cid.toString(), file))).toEqual(Buffer.from(content));
    await rm(folder, { recursive: true });
  });

  it('shards large directories and finds entries in them', async () => {
    const long = (i: number) => `${String(i).padStart(4, '0')}-${'x'.repeat(200)}`;
    const files = Array.from({ length: 1500 }, (_, i) => ({
      path: `big/${long(i)}`,
      content: 'x',
    }));
    const root = (await all(client().addAll(files, { cidVersion: 1 }))).at(-1) as { cid: CID };
    const names = (await all(client().ls(root.cid))).map(({ name }) => name);
    expect(new Set(names)).toEqual(new Set(files.map(({ path }) => path.slice(4))));
    const found = await joined(client().cat(`${root.cid.toString()}/${long(1234)}`));
    expect(found.toString()).toBe('x');
  });

  it('pins: recursive, direct, indirect, named, removed', async () => {
    const { cid } = await client().add(noise(MIB, 21), { pin: false, cidVersion: 1 });
    const [leaf] = (await all(client().refs(cid))) as unknown as { ref: string }[];
    const leafCid = CID.parse(leaf?.ref as string);
    await expect(all(client().pin.ls({ paths: cid }))).rejects.toThrow(/is not pinned/);
    await client().pin.add(cid, { name: 'sales' });
    expect(await all(client().pin.ls({ paths: cid, names: true }))).toMatchObject([
      { type: 'recursive', name: 'sales' },
    ]);
    expect((await all(client().pin.ls({ paths: leafCid })))[0]?.type).toBe(
      `indirect through ${cid.toString()}`,
    );
    const indirect = await all(client().pin.ls({ type: 'indirect' }));
    expect(indirect.map((pin) => pin.cid.toString())).toContain(leafCid.toString());
    expect((await client().pin.rm(cid)).toString()).toBe(cid.toString());
    await expect(client().pin.rm(cid)).rejects.toThrow(/not pinned/);
    await client().pin.add(leafCid, { recursive: false });
    expect(await all(client().pin.ls({ paths: leafCid }))).toMatchObject([{ type: 'direct' }]);
    await client().pin.rm(leafCid, { recursive: false });
  });

  it('keeps blocks and values: block/*, dag/*', async () => {
    const cid = await client().block.put(Buffer.from('a block'), { format: 'raw' });
    expect(Buffer.from(await client().block.get(cid)).toString()).toBe('a block');
    expect(await client().block.stat(cid)).toMatchObject({ size: 7 });
    const inner = await client().dag.put({ n: 1, big: new Uint8Array([1, 2]) });
    const outer = await client().dag.put({ inner, list: [1, { deep: inner }] });
    expect((await client().dag.get(outer, { path: '/inner/n' })).value).toBe(1);
    const resolved = await client().dag.resolve(`${outer.toString()}/list/1/deep/big`);
    expect([resolved.cid.toString(), resolved.remainderPath]).toEqual([inner.toString(), 'big']);
    const removed = await all(client().block.rm(cid));
    expect(removed).toEqual([{ cid }]);
    await expect(client().block.get(cid)).rejects.toThrow(/not found/);
    const pinned = await client().add('keep me', { cidVersion: 1 });
    expect((await all(client().block.rm(pinned.cid)))[0]?.error?.message).toBe('pinned');
    expect((await all(client().block.rm(cid)))[0]?.error?.message).toBe('not found');
  });

  it('exports CARs that another reader accepts, and imports them elsewhere', async () => {
    const bytes = noise(700_000, 31);
    const { cid } = await client().add(bytes, { cidVersion: 1 });
    const car = await joined(client().dag.export(cid));
    const reader = await CarReader.fromBytes(car);
    expect((await reader.getRoots()).map(String)).toEqual([cid.toString()]);
    expect(await all(reader.cids())).toHaveLength(4);
    const other = await startStorage();
    try {
      expect(await all(other.client.dag.import([car]))).toEqual([
        { root: { cid, pinErrorMsg: '' } },
      ]);
      expect((await joined(other.client.cat(cid))).equals(bytes)).toBe(true);
      expect(await all(other.client.pin.ls({ paths: cid }))).toMatchObject([{ type: 'recursive' }]);
    } finally {
      await other.discard();
    }
  });

  it('imports what it can and says which root is incomplete', async () => {
    const missing = CID.createV1(raw.code, await sha256.digest(noise(50, 1)));
    const bytes = dagCbor.encode({ missing });
    const cid = CID.createV1(dagCbor.code, await sha256.digest(bytes));
    const [imported] = await all(client().dag.import([await carOf(cid, [{ cid, bytes }])]));
    expect(imported?.root.pinErrorMsg).toMatch(/not found/);
    await expect(all(client().pin.ls({ paths: cid }))).rejects.toThrow(/is not pinned/);
  });

  it('collects what no pin needs, and nothing else', async () => {
    const kept = await client().add(noise(MIB, 41), { cidVersion: 1 });
    const loose = await client().add(noise(MIB, 42), { cidVersion: 1, pin: false });
    const before = await client().repo.stat();
    const gone = (await all(client().repo.gc())).map(({ cid }) => cid?.toV1().toString());
    const looseLeaves = (await client().repo.stat()).numObjects;
    expect(gone.length).toBeGreaterThanOrEqual(5);
    expect(before.numObjects - looseLeaves).toBe(BigInt(gone.length));
    expect(await joined(client().cat(kept.cid))).toHaveLength(MIB);
    await expect(joined(client().cat(loose.cid))).rejects.toThrow(/not found/);
    expect((await all(client().refs.local())).length).toBe(Number(looseLeaves));
  });

  it('loses nothing that is added while it collects', async () => {
    const adding = Promise.all(
      Array.from({ length: 12 }, (_, i) => client().add(noise(MIB, 100 + i), { cidVersion: 1 })),
    );
    let done = false;
    void adding.finally(() => (done = true)).catch(() => {});
    let collections = 0;
    while (!done) {
      await all(client().repo.gc());
      collections++;
    }
    expect(collections).toBeGreaterThan(0);
    for (const [i, { cid }] of (await adding).entries())
      expect((await joined(client().cat(cid))).equals(noise(MIB, 100 + i))).toBe(true);
  });

  it('fetches from a connected peer what it does not have', async () => {
    const other = await startStorage();
    try {
      const bytes = noise(600_000, 51);
      const { cid } = await other.client.add(bytes, { cidVersion: 1 });
      const [address] = (await other.client.id()).addresses;
      await client().swarm.connect(address as never);
      expect(await client().swarm.peers()).toHaveLength(1);
      expect((await joined(client().cat(cid))).equals(bytes)).toBe(true);
      await client().pin.add(cid);
    } finally {
      await other.discard();
    }
  });
});
