/**
 * ipfs/gateway-conformance: the assertions about trustless gateways (blocks and CARs by CID and path),
 * on every CAR fixture below DIR. The storage process serves them; what each answer must be is worked
 * out here from the fixture alone.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { CarReader } from '@ipld/car';
import * as dagCbor from '@ipld/dag-cbor';
import * as dagPb from '@ipld/dag-pb';
import { UnixFS } from 'ipfs-unixfs';
import { CID } from 'multiformats/cid';
import { type StorageProcess, startStorage } from '../e2e/storage-process.ts';
import { type CaseResult, type Suite, runCase } from './suite.ts';

const RAW = 0x55;
const CBOR = 0x71;
const RAW_TYPE = 'application/vnd.ipld.raw';
const CAR_TYPE = 'application/vnd.ipld.car';
/** A block that no fixture has. */
const ABSENT = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy';
const MAX_AGE = 29_030_400;

interface Link {
  readonly name: string;
  readonly cid: CID;
}

/** A fixture as a reader of the specifications sees it. */
interface Fixture {
  readonly name: string;
  readonly root: CID;
  readonly blocks: ReadonlyMap<string, Uint8Array>;
}

type Kind = 'file' | 'directory' | 'sharded' | 'other';

function view({ blocks }: Fixture, cid: CID) {
  const bytes = blocks.get(cid.toString());
  if (bytes === undefined) return undefined;
  if (cid.code === RAW)
    return { kind: 'file' as Kind, links: [] as Link[], sizes: [], unixfs: null };
  if (cid.code !== dagPb.code) return { kind: 'other' as Kind, links: [], sizes: [], unixfs: null };
  const node = dagPb.decode(bytes);
  const links = node.Links.map(({ Name = '', Hash }) => ({ name: Name, cid: Hash }));
  try {
    const unixfs = UnixFS.unmarshal(node.Data ?? new Uint8Array());
    const kinds: Readonly<Record<string, Kind>> = {
      ...{ file: 'file', raw: 'file', directory: 'directory' },
      'hamt-sharded-directory': 'sharded',
    };
    const sizes = unixfs.blockSizes.map(Number);
    return { kind: kinds[unixfs.type] ?? 'other', links, sizes, unixfs };
  } catch {
    return { kind: 'other' as Kind, links, sizes: [], unixfs: null };
  }
}

const slotOf = (unixfs: UnixFS | null): number =>
  (Number(unixfs?.fanout ?? 256n) - 1).toString(16).length;

/** Entries of a directory with the shards on the way to each. */
function entries(fixture: Fixture, cid: CID): { link: Link; way: CID[] }[] {
  const found = view(fixture, cid);
  if (found?.kind === 'directory') return found.links.map((link) => ({ link, way: [cid] }));
  if (found?.kind !== 'sharded') return [];
  const slot = slotOf(found.unixfs);
  return found.links.flatMap((link) =>
    link.name.length > slot
      ? [{ link: { name: link.name.slice(slot), cid: link.cid }, way: [cid] }]
      : entries(fixture, link.cid).map((inner) => ({ ...inner, way: [cid, ...inner.way] })),
  );
}

/** Everything below a block, depth first, each once; undefined when the fixture lacks some of it. */
function everything(fixture: Fixture, cid: CID, seen = new Set<string>()): string[] | undefined {
  if (seen.has(cid.toString())) return [];
  const bytes = fixture.blocks.get(cid.toString());
  if (bytes === undefined) return undefined;
  seen.add(cid.toString());
  const links =
    cid.code === CBOR
      ? cborLinks(bytes)
      : (view(fixture, cid)?.links ?? []).map((link) => link.cid);
  const below: string[] = [cid.toString()];
  for (const link of links) {
    const inner = everything(fixture, link, seen);
    if (inner === undefined) return undefined;
    below.push(...inner);
  }
  return below;
}

function cborLinks(bytes: Uint8Array): CID[] {
  const found: CID[] = [];
  const look = (value: unknown): void => {
    const cid = CID.asCID(value);
    if (cid) found.push(cid);
    else if (typeof value === 'object' && value !== null && !(value instanceof Uint8Array))
      for (const inner of Object.values(value)) look(inner);
  };
  look(dagCbor.decode(bytes));
  return found;
}

/** Blocks of a file that hold some of a range, with those above them, in reading order. */
function fileRange(
  fixture: Fixture,
  cid: CID,
  from: number,
  to: number,
  at = 0,
): string[] | undefined {
  const found = view(fixture, cid);
  if (found === undefined) return undefined;
  const out = [cid.toString()];
  let position = at + (found.unixfs?.data?.length ?? 0);
  for (const [i, link] of found.links.entries()) {
    const size = found.sizes[i] ?? 0;
    if (position < to && position + size > from) {
      const inner = fileRange(fixture, link.cid, from, to, position);
      if (inner === undefined) return undefined;
      out.push(...inner);
    }
    position += size;
  }
  return [...new Set(out)];
}

function fileSize(fixture: Fixture, cid: CID): number {
  const found = view(fixture, cid);
  if (cid.code === RAW) return fixture.blocks.get(cid.toString())?.length ?? 0;
  return (found?.unixfs?.data?.length ?? 0) + (found?.sizes ?? []).reduce((sum, n) => sum + n, 0);
}

function shardsOf(fixture: Fixture, cid: CID): string[] | undefined {
  const found = view(fixture, cid);
  if (found === undefined) return undefined;
  if (found.kind !== 'sharded') return [cid.toString()];
  const below = found.links
    .filter(({ name }) => name.length <= slotOf(found.unixfs))
    .map((link) => shardsOf(fixture, link.cid));
  return below.includes(undefined) ? undefined : [cid.toString(), ...(below as string[][]).flat()];
}

interface Asked {
  readonly path: string;
  /** Blocks on the way. */
  readonly way: readonly string[];
  readonly end: CID;
}

/** Root, its first entries, and theirs: what paths there are to ask for. */
function pathsOf(fixture: Fixture): Asked[] {
  const base: Asked = { path: `/ipfs/${fixture.root.toString()}`, way: [], end: fixture.root };
  const below = (from: Asked): Asked[] =>
    entries(fixture, from.end)
      .filter(({ link }) => fixture.blocks.has(link.cid.toString()) && !link.name.includes('/'))
      .slice(0, 6)
      .map(({ link, way }) => ({
        path: `${from.path}/${encodeURIComponent(link.name)}`,
        way: [...from.way, ...way.map(String)],
        end: link.cid,
      }));
  const first = below(base);
  return [base, ...first, ...first.flatMap(below)];
}

async function carBlocks(response: Response): Promise<string[]> {
  const reader = await CarReader.fromBytes(new Uint8Array(await response.arrayBuffer()));
  const found: string[] = [];
  for await (const { cid } of reader.blocks()) found.push(cid.toString());
  return found;
}

const same = (a: readonly string[], b: readonly string[]): string | undefined =>
  a.join() === b.join() ? undefined : `blocks expected:\n${a.join('\n')}\nfound:\n${b.join('\n')}`;

function headerFaults(response: Response, wanted: Readonly<Record<string, RegExp>>) {
  const faults = Object.entries(wanted).flatMap(([name, pattern]) => {
    const value = response.headers.get(name) ?? '';
    return pattern.test(value) ? [] : [`${name} is "${value}", not ${pattern}`];
  });
  return faults.length === 0 ? undefined : faults.join('; ');
}

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);

function cacheFault(response: Response): string | undefined {
  const value = response.headers.get('cache-control') ?? '';
  const age = Number(/max-age=(\d+)/.exec(value)?.[1] ?? 0);
  return /\bpublic\b/.test(value) && /\bimmutable\b/.test(value) && age >= MAX_AGE
    ? undefined
    : `cache-control is "${value}"`;
}

class Runner {
  readonly results: CaseResult[] = [];
  readonly #gateway: string;

  constructor(gateway: string) {
    this.#gateway = gateway;
  }

  /** One request and what is wrong with its answer. */
  async ask(
    name: string,
    path: string,
    status: number,
    check: (response: Response) => Promise<string | undefined> | string | undefined = () =>
      undefined,
    init: RequestInit = {},
  ): Promise<void> {
    this.results.push(
      await runCase(name, async () => {
        const response = await fetch(`${this.#gateway}${path}`, init);
        try {
          if (response.status !== status) return `${status} expected, ${response.status} answered`;
          return await check(response);
        } finally {
          if (!response.bodyUsed) await response.body?.cancel();
        }
      }),
    );
  }

  async blocks(fixture: Fixture, asked: Asked): Promise<void> {
    const { path, end } = asked;
    const bytes = fixture.blocks.get(end.toString()) as Uint8Array;
    const label = `${fixture.name} ${path}`;
    const body = async (response: Response) =>
      Buffer.from(await response.arrayBuffer()).equals(bytes) ? undefined : 'another block';
    await this.ask(`${label} format=raw`, `${path}?format=raw`, 200, body);
    const headers = { accept: RAW_TYPE };
    await this.ask(`${label} Accept raw`, path, 200, body, { headers });
    await this.ask(`${label} raw headers`, `${path}?format=raw`, 200, (response) =>
      headerFaults(response, {
        'content-type': new RegExp(`^${escaped(RAW_TYPE)}$`),
        'content-length': new RegExp(`^${bytes.length}$`),
        'content-disposition': /attachment;\s*filename=".*\.bin"/,
        'x-content-type-options': /^nosniff$/,
        'x-ipfs-path': new RegExp(`^${escaped(path)}$`),
        'x-ipfs-roots': new RegExp(end.toString()),
        etag: /.+/,
      }),
    );
    await this.ask(`${label} raw caching`, `${path}?format=raw`, 200, cacheFault);
    await this.ask(`${label} filename`, `${path}?format=raw&filename=foobar.bin`, 200, (response) =>
      headerFaults(response, { 'content-disposition': /attachment;\s*filename="foobar\.bin"/ }),
    );
    await this.ask(
      `${label} HEAD`,
      `${path}?format=raw`,
      200,
      (response) => headerFaults(response, { 'content-length': new RegExp(`^${bytes.length}$`) }),
      { method: 'HEAD' },
    );
    await this.notModified(label, `${path}?format=raw`);
  }

  async notModified(label: string, path: string): Promise<void> {
    const first = await fetch(`${this.#gateway}${path}`);
    await first.body?.cancel();
    const headers = { 'if-none-match': first.headers.get('etag') ?? '' };
    await this.ask(`${label} If-None-Match`, path, 304, undefined, { headers });
  }

  async car(
    label: string,
    path: string,
    expected: readonly string[] | undefined,
    init: RequestInit = {},
  ): Promise<void> {
    if (expected === undefined) return; // The fixture lacks what would be asked for.
    const wanted = [...new Set(expected)];
    await this.ask(label, path, 200, async (r) => same(wanted, await carBlocks(r)), init);
  }

  async cars(fixture: Fixture, asked: Asked): Promise<void> {
    const { path, way, end } = asked;
    const label = `${fixture.name} ${path}`;
    const all = everything(fixture, end);
    const from = (blocks: readonly string[] | undefined) => blocks && [...way, ...blocks];
    const found = view(fixture, end);
    const isFile = found?.kind === 'file';
    await this.car(`${label} car`, `${path}?format=car`, from(all));
    await this.car(`${label} Accept car`, path, from(all), { headers: { accept: CAR_TYPE } });
    await this.car(`${label} all`, `${path}?format=car&dag-scope=all`, from(all));
    const block = `${path}?format=car&dag-scope=block`;
    await this.car(`${label} block`, block, from([end.toString()]));
    const size = isFile ? fileSize(fixture, end) : 0;
    const entity = isFile ? fileRange(fixture, end, 0, size) : shardsOf(fixture, end);
    await this.car(`${label} entity`, `${path}?format=car&dag-scope=entity`, from(entity));
    await this.ask(`${label} car headers`, block, 200, (response) =>
      headerFaults(response, {
        'content-type': new RegExp(`^${escaped(CAR_TYPE)}; *version=1`),
        'content-disposition': /attachment;\s*filename=".*\.car"/,
        'x-content-type-options': /^nosniff$/,
        'accept-ranges': /^none$/,
        'x-ipfs-path': new RegExp(`^${escaped(path)}$`),
        etag: /.+/,
      }),
    );
    await this.ask(`${label} car caching`, block, 200, cacheFault);
    await this.notModified(`${label} car`, block);
    if (!isFile || size === 0) return;
    const ranges: [string, number, number][] = [
      ['0:*', 0, size],
      [`0:${Math.min(999, size - 1)}`, 0, Math.min(1000, size)],
      [`${Math.floor(size / 2)}:*`, Math.floor(size / 2), size],
      [`-${Math.min(5, size)}:*`, size - Math.min(5, size), size],
      [`0:-1`, 0, size],
      [`0:${size + 1_000_000}`, 0, size],
    ];
    for (const [text, start, stop] of ranges) {
      const query = `format=car&dag-scope=entity&entity-bytes=${text}`;
      const blocks = from(fileRange(fixture, end, start, stop));
      await this.car(`${label} entity-bytes=${text}`, `${path}?${query}`, blocks);
    }
  }

  async refusals(fixture: Fixture): Promise<void> {
    const path = `/ipfs/${fixture.root.toString()}`;
    const { name } = fixture;
    const absent = `${path}/i-do-not-exist`;
    await this.ask(`${name} no such path, raw`, `${absent}?format=raw`, 404);
    await this.ask(`${name} no such path, car`, `${absent}?format=car`, 404);
    for (const query of ['entity-bytes=x:y', 'entity-bytes=9:1', 'dag-scope=nothing'])
      await this.ask(`${name} ${query}`, `${path}?format=car&${query}`, 400);
  }
}

function carFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.car'))
    .map((file) => join(folder, file))
    .toSorted();
}

async function fixturesOf(file: string, folder: string): Promise<Fixture[]> {
  const reader = await CarReader.fromBytes(readFileSync(file));
  const blocks = new Map<string, Uint8Array>();
  for await (const { cid, bytes } of reader.blocks()) blocks.set(cid.toString(), bytes);
  const name = relative(folder, file);
  return (await reader.getRoots())
    .filter((root) => blocks.has(root.toString()))
    .map((root) => ({ name, root, blocks }));
}

async function load(storage: StorageProcess, file: string): Promise<void> {
  const source = [readFileSync(file)];
  // Some fixtures lack blocks on purpose: they cannot be pinned.
  for await (const _ of storage.client.dag.import(source, { pinRoots: false }));
}

export const gateway: Suite = async (folder) => {
  const files = carFiles(folder);
  if (files.length === 0) throw new Error(`there are no CAR files below ${folder}`);
  const env = { SEELE_STORAGE_SWARM: 'off', SEELE_STORAGE_GATEWAY: '127.0.0.1:0' };
  const storage = await startStorage({ env });
  try {
    const runner = new Runner(storage.gateway);
    await runner.ask('unknown block', `/ipfs/${ABSENT}?format=raw`, 404);
    await runner.ask('no CID', '/ipfs/nonsense?format=raw', 400);
    await runner.ask('empty identity block', '/ipfs/bafkqaaa?format=raw', 200);
    await runner.ask('POST', `/ipfs/${ABSENT}?format=raw`, 405, undefined, { method: 'POST' });
    for (const file of files) {
      await load(storage, file);
      for (const fixture of await fixturesOf(file, folder)) {
        await Promise.all(
          pathsOf(fixture).flatMap((asked) => [
            runner.blocks(fixture, asked),
            runner.cars(fixture, asked),
          ]),
        );
        await runner.refusals(fixture);
      }
    }
    return runner.results.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  } finally {
    await storage.discard();
  }
};
