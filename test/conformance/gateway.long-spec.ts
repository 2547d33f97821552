/** The gateway suite on fixtures of our own, laid out as the public ones are. Starts storage processes. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CarWriter } from '@ipld/car';
import * as dagCbor from '@ipld/dag-cbor';
import * as dagPb from '@ipld/dag-pb';
import { UnixFS } from 'ipfs-unixfs';
import { fixedSize } from 'ipfs-unixfs-importer/chunker';
import { importer } from 'ipfs-unixfs-importer';
import { CID } from 'multiformats/cid';
import { sha256 } from 'multiformats/hashes/sha2';
import { runSuite } from './main.ts';

type Blocks = Map<string, { readonly cid: CID; readonly bytes: Uint8Array }>;

function createBlocks() {
  const blocks: Blocks = new Map();
  const put = (cid: CID, bytes: Uint8Array): CID => {
    blocks.set(cid.toString(), { cid, bytes });
    return cid;
  };
  return { blocks, put };
}

/** Root of a tree of files; directories above the limit are sharded. */
async function treeOf(
  files: Readonly<Record<string, string>>,
  options: { readonly shardBytes?: number } = {},
) {
  const { blocks, put } = createBlocks();
  const store = { put: (cid: CID, bytes: Uint8Array) => put(cid, bytes) };
  const source = Object.entries(files).map(([path, text]) => ({
    ...{ path, content: new TextEncoder().encode(text) },
  }));
  let root: CID | undefined;
  for await (const entry of importer(source, store as never, {
    ...{ wrapWithDirectory: true, rawLeaves: true, cidVersion: 1 },
    chunker: fixedSize({ chunkSize: 1024 }),
    shardSplitThresholdBytes: options.shardBytes ?? 1 << 20,
  }))
    root = entry.cid;
  return { blocks, root: root as CID };
}

async function writeCar(file: string, root: CID, blocks: Blocks): Promise<void> {
  const { writer, out } = CarWriter.create([root]);
  const parts: Uint8Array[] = [];
  const reading = (async () => {
    for await (const part of out) parts.push(part);
  })();
  for (const block of blocks.values()) await writer.put(block);
  await writer.close();
  await reading;
  writeFileSync(file, Buffer.concat(parts));
}

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'seele-gateway-'));
  mkdirSync(join(folder, 'trustless_gateway_car'));
  const at = (name: string) => join(folder, 'trustless_gateway_car', `${name}.car`);
  const big = Array.from({ length: 800 }, (_, i) => `line ${i}\n`).join('');

  const mixed = await treeOf({
    ...{ 'subdir/ascii.txt': 'hello application/vnd.ipld.car\n', 'subdir/hello.txt': 'hello\n' },
    ...{ 'subdir/multiblock.txt': big, 'ä b.txt': 'a name to be encoded', 'same.txt': 'hello\n' },
  });
  await writeCar(at('subdir-with-mixed-block-files'), mixed.root, mixed.blocks);

  const many = Array.from({ length: 60 }, (_, i) => [`${i}.txt`, `${i}${big.slice(0, i * 50)}`]);
  const sharded = await treeOf(Object.fromEntries(many) as Record<string, string>, {
    shardBytes: 100,
  });
  await writeCar(at('single-layer-hamt-with-multi-block-files'), sharded.root, sharded.blocks);

  const { blocks, put } = createBlocks();
  const file = await treeOf({ single: 'linked' });
  const document = dagCbor.encode({ files: { single: [...file.blocks.values()][0]?.cid }, n: 1 });
  const root = put(CID.createV1(dagCbor.code, await sha256.digest(document)), document);
  for (const [key, block] of file.blocks) blocks.set(key, block);
  await writeCar(at('dag-cbor-with-links'), root, blocks);

  const site = await treeOf({
    ...{ 'site/index.html': '<p>first</p>', 'site/empty': '', data: '{"json": true}' },
    '<script>"&\'.txt': 'a hostile name',
  });
  const target = dagPb.encode({
    ...{ Data: new UnixFS({ type: 'symlink', data: Buffer.from('foo') }).marshal(), Links: [] },
  });
  const link = CID.createV1(dagPb.code, await sha256.digest(target));
  site.blocks.set(link.toString(), { cid: link, bytes: target });
  const above = site.blocks.get(site.root.toString())?.bytes as Uint8Array;
  const withLink = dagPb.decode(above);
  withLink.Links.push({ Name: 'link', Tsize: target.length, Hash: link });
  const bytes = dagPb.encode(dagPb.prepare(withLink));
  const siteRoot = CID.createV1(dagPb.code, await sha256.digest(bytes));
  site.blocks.set(siteRoot.toString(), { cid: siteRoot, bytes });
  await writeCar(at('site-with-index-and-symlink'), siteRoot, site.blocks);

  const missing = await treeOf({ 'file-3k': big.slice(0, 3000) });
  const last = [...missing.blocks.values()].findLast(({ cid }) => cid.code === 0x55);
  missing.blocks.delete(last?.cid.toString() ?? '');
  await writeCar(at('file-3k-and-3-blocks-missing-block'), missing.root, missing.blocks);
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true }));

describe('npm run conformance -- gateway', () => {
  it('passes on directories, sharded ones, files of many blocks, documents and what is not whole', async () => {
    const { tried, failures } = await runSuite('gateway', folder);
    expect(failures).toEqual([]);
    expect(tried).toBeGreaterThan(300);
  }, 300_000);

  it('says so when there is nothing to try, or the archive is broken', async () => {
    const empty = mkdtempSync(join(tmpdir(), 'seele-gateway-'));
    await expect(runSuite('gateway', empty)).rejects.toThrow('no CAR files');
    writeFileSync(join(empty, 'broken.car'), 'no archive');
    await expect(runSuite('gateway', empty)).rejects.toThrow();
    rmSync(empty, { recursive: true });
  }, 60_000);
});
