/** UnixFS directories, plain and sharded (HAMT), and the resolution of paths through them. */
import type { Bytes } from '#libs/kernel';
import { DAG_PB_CODE, RAW_CODE, parseCid, storageError } from '#libs/storage';
import { decode, type PBNode } from '@ipld/dag-pb';
import { UnixFS } from 'ipfs-unixfs';
import { CID } from 'multiformats/cid';

import { decodeBlock } from './links.ts';

export type ReadBlock = (cid: CID, signal?: AbortSignal) => Promise<Bytes>;

export interface DirectoryEntry {
  readonly name: string;
  readonly cid: CID;
}

export type NodeKind = 'file' | 'directory' | 'symlink' | 'other';

const MAX_SEGMENTS = 64;
const MAX_SHARD_DEPTH = 12;

export interface UnixfsNode {
  readonly kind: NodeKind;
  readonly node: PBNode | undefined;
  readonly unixfs: UnixFS | undefined;
}

/** What a block is to UnixFS. Never throws for a block of another kind: that is `other`. */
export function unixfsNode(cid: CID, bytes: Bytes): UnixfsNode {
  if (cid.code === RAW_CODE) return { kind: 'file', node: undefined, unixfs: undefined };
  if (cid.code !== DAG_PB_CODE) return { kind: 'other', node: undefined, unixfs: undefined };
  try {
    const node = decode(bytes);
    const unixfs = UnixFS.unmarshal(node.Data ?? new Uint8Array());
    const { type } = unixfs;
    if (type === 'directory' || type === 'hamt-sharded-directory')
      return { kind: 'directory', node, unixfs };
    if (type === 'symlink') return { kind: 'symlink', node, unixfs };
    return { kind: type === 'file' || type === 'raw' ? 'file' : 'other', node, unixfs };
  } catch {
    return { kind: 'other', node: undefined, unixfs: undefined };
  }
}

/** A name that can stand for one segment of a path, anywhere. */
export function isPlainName(name: string): boolean {
  return (
    name !== '' &&
    name !== '.' &&
    name !== '..' &&
    !name.includes('/') &&
    !name.includes('\0') &&
    Buffer.byteLength(name) <= 255
  );
}

/** The entries of a directory. @throws STORAGE_MALFORMED when the CID names something else */
export async function* listDirectory(
  read: ReadBlock,
  cid: CID,
  signal?: AbortSignal,
  depth = 0,
): AsyncGenerator<DirectoryEntry> {
  const { kind, node, unixfs } = unixfsNode(cid, await read(cid, signal));
  if (kind !== 'directory' || node === undefined || unixfs === undefined)
    throw storageError('STORAGE_MALFORMED', `${cid.toString()} is not a directory`);
  if (unixfs.type === 'directory') {
    for (const link of node.Links) yield { name: link.Name ?? '', cid: link.Hash };
    return;
  }
  if (depth > MAX_SHARD_DEPTH)
    throw storageError('STORAGE_MALFORMED', `${cid.toString()} is sharded too deep`);
  // Names carry the slot in hexadecimal; a name that is only a slot leads to a further shard.
  const slotLength = (Number(unixfs.fanout ?? 256n) - 1).toString(16).length;
  for (const link of node.Links) {
    const name = link.Name ?? '';
    if (name.length > slotLength) yield { name: name.slice(slotLength), cid: link.Hash };
    else yield* listDirectory(read, link.Hash, signal, depth + 1);
  }
}

export interface IpfsPath {
  readonly root: CID;
  readonly segments: readonly string[];
}

/** Reads `CID`, `CID/a/b` and `/ipfs/CID/a/b`. @throws STORAGE_CID_INVALID */
export function parsePath(text: string): IpfsPath {
  if (text.startsWith('/ipns/'))
    throw storageError('STORAGE_UNSUPPORTED', 'names (/ipns/) are not resolved here');
  const [root, ...segments] = text
    .replace(/^\/ip[fl][sd]\//, '')
    .split('/')
    .filter(Boolean);
  if (segments.length > MAX_SEGMENTS || !segments.every(isPlainName))
    throw storageError('STORAGE_CID_INVALID', 'the path has a segment that cannot be a name');
  return { root: parseCid(root ?? ''), segments };
}

const noLink = (name: string, cid: CID) =>
  storageError(
    'STORAGE_NOT_FOUND',
    `no link named ${JSON.stringify(name)} under ${cid.toString()}`,
  );

export interface Resolved {
  readonly cid: CID;
  /** What is left inside the last block (dag-cbor and dag-json), `''` at its root. */
  readonly remainder: string;
  /** The value at the end of the path when it lies inside a block. */
  readonly value?: unknown;
}

async function lookUp(read: ReadBlock, cid: CID, name: string, signal?: AbortSignal): Promise<CID> {
  for await (const entry of listDirectory(read, cid, signal))
    if (entry.name === name) return entry.cid;
  throw noLink(name, cid);
}

/** Follows a path through directories and through IPLD values. @throws STORAGE_NOT_FOUND */
export async function resolvePath(
  read: ReadBlock,
  path: IpfsPath,
  signal?: AbortSignal,
): Promise<Resolved> {
  let cid = path.root;
  let inside: unknown;
  let isInside = false;
  let remainder: string[] = [];
  for (const name of path.segments) {
    if (!isInside) {
      const bytes = await read(cid, signal);
      if (unixfsNode(cid, bytes).kind === 'directory') {
        cid = await lookUp(read, cid, name, signal);
        continue;
      }
      inside = decodeBlock(cid, bytes);
      isInside = true;
    }
    if (typeof inside !== 'object' || inside === null || !Object.hasOwn(inside, name))
      throw noLink(name, cid);
    inside = (inside as Record<string, unknown>)[name];
    remainder.push(name);
    const link = CID.asCID(inside);
    if (link === null) continue;
    cid = link;
    isInside = false;
    remainder = [];
  }
  return isInside ? { cid, remainder: remainder.join('/'), value: inside } : { cid, remainder: '' };
}

export interface WalkedPath {
  readonly cid: CID;
  /** Blocks that show the way, from the root to the block before the last. */
  readonly passed: readonly { readonly cid: CID; readonly bytes: Bytes }[];
  /** Roots of the segments of the path, the end included. */
  readonly roots: readonly CID[];
}

type Passed = WalkedPath['passed'][number];

/** The blocks of a directory that lead to a name, and what it names; undefined when it is not there. */
async function passTo(
  read: ReadBlock,
  cid: CID,
  name: string,
  signal: AbortSignal | undefined,
  depth = 0,
): Promise<{ readonly passed: readonly Passed[]; readonly cid: CID } | undefined> {
  const bytes = await read(cid, signal);
  const { node, unixfs } = unixfsNode(cid, bytes);
  if (depth > MAX_SHARD_DEPTH)
    throw storageError('STORAGE_MALFORMED', `${cid.toString()} is sharded too deep`);
  const links = node?.Links ?? [];
  if (unixfs?.type === 'directory') {
    const link = links.find((one) => one.Name === name);
    return link && { passed: [{ cid, bytes }], cid: link.Hash };
  }
  const slotLength = (Number(unixfs?.fanout ?? 256n) - 1).toString(16).length;
  for (const link of links) {
    const label = link.Name ?? '';
    if (label.length > slotLength && label.slice(slotLength) === name)
      return { passed: [{ cid, bytes }], cid: link.Hash };
    if (label.length > slotLength) continue;
    const below = await passTo(read, link.Hash, name, signal, depth + 1);
    if (below) return { passed: [{ cid, bytes }, ...below.passed], cid: below.cid };
  }
  return undefined;
}

/**
 * Follows a path to a block, with the blocks passed on the way.
 * @throws STORAGE_NOT_FOUND; STORAGE_UNSUPPORTED when it ends inside a block
 */
export async function walkPath(
  read: ReadBlock,
  path: IpfsPath,
  signal?: AbortSignal,
): Promise<WalkedPath> {
  let cid = path.root;
  const passed: Passed[] = [];
  const roots = [cid];
  const left = [...path.segments];
  while (left.length > 0) {
    const bytes = await read(cid, signal);
    const { kind } = unixfsNode(cid, bytes);
    const name = left.shift() as string;
    if (kind === 'directory') {
      const found = await passTo(read, cid, name, signal);
      if (found === undefined) throw noLink(name, cid);
      passed.push(...found.passed);
      ({ cid } = found);
    } else {
      if (kind === 'file') throw noLink(name, cid);
      let value: unknown = decodeBlock(cid, bytes);
      let next: CID | null = null;
      for (let step: string | undefined = name; next === null; step = left.shift()) {
        if (step === undefined)
          throw storageError('STORAGE_UNSUPPORTED', `the path ends inside ${cid.toString()}`);
        if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step))
          throw noLink(step, cid);
        value = (value as Record<string, unknown>)[step];
        next = CID.asCID(value);
        if (next !== null) break;
      }
      passed.push({ cid, bytes });
      cid = next as CID;
    }
    roots.push(cid);
  }
  return { cid, passed, roots };
}

/** All blocks of a directory itself (a sharded one has several), none of what is in it. */
export async function* directoryBlocks(
  read: ReadBlock,
  cid: CID,
  signal?: AbortSignal,
  depth = 0,
): AsyncGenerator<Passed> {
  const bytes = await read(cid, signal);
  yield { cid, bytes };
  const { node, unixfs } = unixfsNode(cid, bytes);
  if (unixfs?.type !== 'hamt-sharded-directory') return;
  if (depth > MAX_SHARD_DEPTH)
    throw storageError('STORAGE_MALFORMED', `${cid.toString()} is sharded too deep`);
  const slotLength = (Number(unixfs.fanout ?? 256n) - 1).toString(16).length;
  for (const link of node?.Links ?? [])
    if ((link.Name ?? '').length <= slotLength)
      yield* directoryBlocks(read, link.Hash, signal, depth + 1);
}
