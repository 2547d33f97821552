/**
 * Reads a UnixFS file block by block: `raw` leaves and `dag-pb` nodes (UnixFS 1.5), nothing else.
 *
 * The publisher of content may be hostile: every length that a node declares is held against what
 * its child really has, and empty children are refused, so the bytes bound the work (no DAG bombs).
 */
import type { Bytes } from '#libs/kernel';
import { decode } from '@ipld/dag-pb';
import { UnixFS } from 'ipfs-unixfs';
import type { CID } from 'multiformats/cid';

import type { GetOptions } from './blob-store.ts';
import { DAG_PB_CODE, RAW_CODE } from './cids.ts';
import { storageError } from './errors.ts';

/** Gives the verified bytes of a block. */
export type BlockReader = (cid: CID, signal?: AbortSignal) => Promise<Bytes>;

/** 1 MiB leaves with 1024 links a node: depth 2 is 1 TiB. */
const MAX_DEPTH = 12;

/** One node of a file: what it holds itself, and what lies below it. */
export interface FileNode {
  readonly data: Bytes;
  readonly children: readonly { readonly cid: CID; readonly sizeBytes: number }[];
  readonly sizeBytes: number;
}

interface Walk {
  readonly read: BlockReader;
  readonly readAhead: number;
  readonly start: number;
  readonly end: number;
  readonly signal: AbortSignal | undefined;
}

const malformed = (cid: CID, what: string) =>
  storageError('STORAGE_MALFORMED', `${cid.toString()} ${what}`);

/** The block of a file, a raw leaf or a UnixFS node. @throws STORAGE_MALFORMED */
export function readFileNode(cid: CID, block: Bytes): FileNode {
  if (cid.code === RAW_CODE) return { data: block, children: [], sizeBytes: block.length };
  if (cid.code !== DAG_PB_CODE)
    throw malformed(cid, `has codec 0x${cid.code.toString(16)}, which is not a file`);
  let unixfs: UnixFS;
  let links: readonly CID[];
  try {
    const node = decode(block);
    unixfs = UnixFS.unmarshal(node.Data ?? new Uint8Array());
    links = node.Links.map((link) => link.Hash);
  } catch {
    throw malformed(cid, 'is not a UnixFS node');
  }
  if (unixfs.type !== 'file' && unixfs.type !== 'raw')
    throw malformed(cid, `is a UnixFS ${unixfs.type}, not a file`);
  if (unixfs.blockSizes.length !== links.length)
    throw malformed(cid, `declares ${unixfs.blockSizes.length} sizes for ${links.length} links`);
  const data = unixfs.data ?? new Uint8Array();
  let sizeBytes = data.length;
  const children = links.map((child, i) => {
    const size = Number(unixfs.blockSizes[i]);
    if (size <= 0) throw malformed(cid, `has an empty child ${child.toString()}`);
    sizeBytes += size;
    return { cid: child, sizeBytes: size };
  });
  if (!Number.isSafeInteger(sizeBytes)) throw malformed(cid, 'declares an absurd size');
  return { data, children, sizeBytes };
}

function* clip(walk: Walk, bytes: Bytes, position: number): Iterable<Bytes> {
  const from = Math.max(walk.start - position, 0);
  const to = Math.min(walk.end - position, bytes.length);
  if (from < to) yield from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to);
}

/** Settled into a value, so that a read ahead that fails early is not an unhandled rejection. */
type Ahead = Promise<{ readonly bytes: Bytes } | { readonly failure: unknown }>;

function readAhead(walk: Walk, cid: CID): Ahead {
  return walk.read(cid, walk.signal).then(
    (bytes) => ({ bytes }),
    (failure: unknown) => ({ failure }),
  );
}

async function* walkNode(
  walk: Walk,
  node: FileNode,
  position: number,
  depth: number,
): AsyncGenerator<Bytes> {
  yield* clip(walk, node.data, position);
  let at = position + node.data.length;
  const wanted: { cid: CID; sizeBytes: number; position: number }[] = [];
  for (const child of node.children) {
    if (at < walk.end && at + child.sizeBytes > walk.start) wanted.push({ ...child, position: at });
    at += child.sizeBytes;
  }
  const ahead: Ahead[] = [];
  for (let i = 0; i < wanted.length; i++) {
    while (ahead.length < walk.readAhead && i + ahead.length < wanted.length)
      ahead.push(readAhead(walk, (wanted[i + ahead.length] as (typeof wanted)[0]).cid));
    const child = wanted[i] as (typeof wanted)[0];
    const result = await (ahead.shift() as Ahead);
    if ('failure' in result) throw result.failure;
    const inner = readFileNode(child.cid, result.bytes);
    if (inner.sizeBytes !== child.sizeBytes)
      throw malformed(
        child.cid,
        `has ${inner.sizeBytes} bytes where ${child.sizeBytes} are declared`,
      );
    if (inner.children.length === 0) yield* clip(walk, inner.data, child.position);
    else if (depth >= MAX_DEPTH) throw malformed(child.cid, 'lies too deep');
    else yield* walkNode(walk, inner, child.position, depth + 1);
  }
}

export interface OpenFile {
  /** Of the whole file, whatever part of it is read. */
  readonly sizeBytes: number;
  /** The part that was asked for. To be read once. */
  readonly content: AsyncGenerator<Bytes>;
}

export type FileOptions = GetOptions & { readonly readAhead?: number };

/** `readFile` in two steps: the length is known before the first byte is read. */
export async function openFile(
  read: BlockReader,
  cid: CID,
  options: FileOptions = {},
): Promise<OpenFile> {
  const { offset = 0, length = Infinity, maxBytes = Infinity, signal } = options;
  const root = readFileNode(cid, await read(cid, signal));
  if (root.sizeBytes > maxBytes)
    throw storageError(
      'STORAGE_TOO_LARGE',
      `${cid.toString()} has ${root.sizeBytes} bytes, more than the ${maxBytes} allowed here`,
    );
  const walk = {
    read,
    readAhead: options.readAhead ?? 8,
    start: offset,
    end: Math.min(offset + length, root.sizeBytes),
    signal,
  };
  return { sizeBytes: root.sizeBytes, content: walkNode(walk, root, 0, 0) };
}

/**
 * Streams a file, `readAhead` blocks ahead of the reader (default 8).
 *
 * @throws STORAGE_TOO_LARGE when the file is longer than `maxBytes`, before its first byte
 * @throws STORAGE_MALFORMED when the CID does not name a well-formed UnixFS file
 */
export async function* readFile(
  read: BlockReader,
  cid: CID,
  options?: FileOptions,
): AsyncGenerator<Bytes> {
  yield* (await openFile(read, cid, options)).content;
}

/** Length of the file that a CID names, from its root block alone. @throws STORAGE_MALFORMED */
export async function fileSize(read: BlockReader, cid: CID, signal?: AbortSignal): Promise<number> {
  return readFileNode(cid, await read(cid, signal)).sizeBytes;
}
