/** Content as CAR streams: everything a root reaches, or a file or a range of it in reading order. */
import type { Bytes } from '#libs/kernel';
import { readFileNode, storageError } from '#libs/storage';
import type { CID } from 'multiformats/cid';

import { carHeader, carSection, carSectionHead, type CarBlock } from './car.ts';
import { linksOf, type DagReader } from './links.ts';

/** Everything that a root reaches, depth first, each block once. */
export async function* dagBlocks(
  { read }: Pick<DagReader, 'read'>,
  root: CID,
  signal?: AbortSignal,
): AsyncGenerator<CarBlock> {
  const seen = new Set<string>([root.toString()]);
  const stack = [root]; // depth first, as Kubo: a reader can rebuild a file in passing
  for (let cid = stack.pop(); cid !== undefined; cid = stack.pop()) {
    const bytes = await read(cid, signal);
    yield { cid, bytes };
    for (const link of linksOf(cid, bytes).reverse()) {
      const key = link.toString();
      if (seen.has(key)) continue;
      seen.add(key);
      stack.push(link);
    }
  }
}

/** A CAR of everything that a root reaches, depth first, each block once. */
export async function* dagArchive(
  reader: DagReader,
  root: CID,
  signal?: AbortSignal,
): AsyncGenerator<Bytes> {
  await reader.require(root, signal); // before the first byte: a clear answer, not a cut stream
  yield carHeader([root]);
  for await (const block of dagBlocks(reader, root, signal)) yield carSection(block);
}

/** A CAR of blocks, each once; bytes go out as they are, so that their buffers can be used again. */
export async function* blocksArchive(
  roots: readonly CID[],
  ...sources: readonly (AsyncIterable<CarBlock> | Iterable<CarBlock>)[]
): AsyncGenerator<Bytes> {
  yield carHeader([...roots]);
  const given = new Set<string>();
  for (const source of sources)
    for await (const block of source) {
      const key = block.cid.toString();
      if (given.has(key)) continue;
      if (sources.length > 1) given.add(key);
      yield carSectionHead(block);
      yield block.bytes;
    }
}

export interface ByteRange {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
}

const MAX_DEPTH = 12;

interface FileWalk extends ByteRange {
  readonly read: DagReader['read'];
  readonly readAhead: number;
  readonly signal: AbortSignal | undefined;
}

/** What was given already. A file may repeat blocks as often as its publisher likes. */
interface Given {
  readonly blocks: Set<string>;
  /** Nodes everything below which was given. */
  readonly subtrees: Set<string>;
}

async function* visit(
  walk: FileWalk,
  given: Given,
  { cid, bytes }: CarBlock,
  position: number,
  depth: number,
): AsyncGenerator<CarBlock> {
  const node = readFileNode(cid, bytes);
  const key = cid.toString();
  if (!given.blocks.has(key)) yield { cid, bytes };
  given.blocks.add(key);
  if (node.children.length > 0 && depth >= MAX_DEPTH)
    throw storageError('STORAGE_MALFORMED', `${cid.toString()} lies too deep`);
  let at = position + node.data.length;
  const wanted = node.children.flatMap((child) => {
    const start = at;
    at += child.sizeBytes;
    const isGiven = given.subtrees.has(child.cid.toString());
    return start < walk.end && at > walk.start && !isGiven ? [{ ...child, start }] : [];
  });
  const ahead: Promise<Bytes>[] = [];
  for (const [index, child] of wanted.entries()) {
    while (ahead.length < walk.readAhead && index + ahead.length < wanted.length) {
      const next = walk.read((wanted[index + ahead.length] as typeof child).cid, walk.signal);
      next.catch(() => {}); // looked at in its turn
      ahead.push(next);
    }
    const block = { cid: child.cid, bytes: await (ahead.shift() as Promise<Bytes>) };
    const name = child.cid.toString();
    if (given.subtrees.has(name)) continue; // by an earlier child of this very node
    const { sizeBytes } = readFileNode(block.cid, block.bytes);
    if (sizeBytes !== child.sizeBytes)
      throw storageError('STORAGE_MALFORMED', `${name} lies about its size`);
    yield* visit(walk, given, block, child.start, depth + 1);
    if (child.start >= walk.start && child.start + child.sizeBytes <= walk.end)
      given.subtrees.add(name);
  }
}

/**
 * The blocks of a file that hold a range of it, and those above them, in reading order, each once.
 * @throws STORAGE_MALFORMED when it is no file
 */
export function fileBlocks(walk: FileWalk, root: CarBlock): AsyncGenerator<CarBlock> {
  return visit(walk, { blocks: new Set(), subtrees: new Set() }, root, 0, 0);
}
