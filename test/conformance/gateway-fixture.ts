/** A CAR fixture as a reader of the specifications sees it: what is in it, and what an answer must hold. */
import * as dagCbor from '@ipld/dag-cbor';
import * as dagPb from '@ipld/dag-pb';
import { UnixFS } from 'ipfs-unixfs';
import { CID } from 'multiformats/cid';

const RAW = 0x55;
const CBOR = 0x71;

export interface Link {
  readonly name: string;
  readonly cid: CID;
}

/** A fixture as a reader of the specifications sees it. */
export interface Fixture {
  readonly name: string;
  readonly root: CID;
  readonly blocks: ReadonlyMap<string, Uint8Array>;
}

type Kind = 'file' | 'directory' | 'sharded' | 'symlink' | 'other';

export function view({ blocks }: Fixture, cid: CID) {
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
      symlink: 'symlink',
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
export function entries(fixture: Fixture, cid: CID): { link: Link; way: CID[] }[] {
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
export function everything(
  fixture: Fixture,
  cid: CID,
  seen = new Set<string>(),
): string[] | undefined {
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
export function fileRange(
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

export function fileSize(fixture: Fixture, cid: CID): number {
  const found = view(fixture, cid);
  if (cid.code === RAW) return fixture.blocks.get(cid.toString())?.length ?? 0;
  return (found?.unixfs?.data?.length ?? 0) + (found?.sizes ?? []).reduce((sum, n) => sum + n, 0);
}

export function shardsOf(fixture: Fixture, cid: CID): string[] | undefined {
  const found = view(fixture, cid);
  if (found === undefined) return undefined;
  if (found.kind !== 'sharded') return [cid.toString()];
  const below = found.links
    .filter(({ name }) => name.length <= slotOf(found.unixfs))
    .map((link) => shardsOf(fixture, link.cid));
  return below.includes(undefined) ? undefined : [cid.toString(), ...(below as string[][]).flat()];
}

export interface Asked {
  readonly path: string;
  /** Blocks on the way. */
  readonly way: readonly string[];
  readonly end: CID;
}

/** Root, its first entries, and theirs: what paths there are to ask for. */
export function pathsOf(fixture: Fixture): Asked[] {
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

/** The bytes of a file; undefined when the fixture lacks some of them. */
export function contentOf(fixture: Fixture, cid: CID): Buffer | undefined {
  const found = view(fixture, cid);
  if (found === undefined) return undefined;
  if (cid.code === RAW) return Buffer.from(fixture.blocks.get(cid.toString()) ?? []);
  const parts: Buffer[] = [Buffer.from(found.unixfs?.data ?? [])];
  for (const link of found.links) {
    const inner = contentOf(fixture, link.cid);
    if (inner === undefined) return undefined;
    parts.push(inner);
  }
  return Buffer.concat(parts);
}
