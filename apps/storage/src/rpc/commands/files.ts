/** `cat`, `get`, `ls`, `resolve`, `refs`: reading what was added. */
import type { Bytes } from '#libs/kernel';
import { openFile, storageError } from '#libs/storage';
import type { CID } from 'multiformats/cid';
import { UnixFS } from 'ipfs-unixfs';

import {
  listDirectory,
  parsePath,
  resolvePath,
  unixfsNode,
  type DirectoryEntry,
} from '../../dag/directories.ts';
import { linksOf } from '../../dag/links.ts';
import { rpcError } from '../../errors.ts';
import type { Call } from '../call.ts';
import { contentArchive } from '../content-archive.ts';

const OCTETS = 'application/octet-stream';
const MAX_OFFSET = Number.MAX_SAFE_INTEGER;

/** The node at the end of a path; @throws when the path ends inside a block */
async function resolveNode(call: Call, text: string): Promise<CID> {
  const { cid, remainder } = await resolvePath(call.node.read, parsePath(text), call.signal);
  if (remainder !== '')
    throw storageError('STORAGE_MALFORMED', `${text.slice(0, 200)} ends inside a block`);
  return cid;
}

export async function cat(call: Call): Promise<void> {
  const { parameters, node, signal, reply } = call;
  const first = parameters.arg();
  const readAhead = call.blockReadConcurrency;
  let offset = parameters.integer('offset', { min: 0, max: MAX_OFFSET }) ?? 0;
  let left = parameters.integer('length', { min: 0, max: MAX_OFFSET }) ?? Infinity;
  const open = async (text: string) =>
    openFile(node.readToSend, await resolveNode(call, text), {
      offset,
      length: left,
      signal,
      readAhead,
    });
  if (parameters.args.length === 1) {
    const { sizeBytes, content } = await open(first);
    const length = Math.max(0, Math.min(left, sizeBytes - offset));
    return reply.stream(content, OCTETS, length);
  }
  async function* contents(): AsyncGenerator<Bytes> {
    for (const text of parameters.args) {
      const { sizeBytes, content } = await open(text);
      for await (const chunk of content) {
        left -= chunk.length;
        yield chunk;
      }
      offset = Math.max(0, offset - sizeBytes);
      if (left <= 0) return;
    }
  }
  await reply.stream(contents(), OCTETS);
}

export async function get(call: Call): Promise<void> {
  const { parameters } = call;
  parameters.refuse('compress');
  const text = parameters.arg();
  const cid = await resolveNode(call, text);
  const name = parsePath(text).segments.at(-1) ?? cid.toString();
  const source = { node: call.node, readAhead: call.blockReadConcurrency, signal: call.signal };
  await call.reply.stream(contentArchive(source, cid, name), 'application/x-tar');
}

const UNIXFS_DIRECTORY = 1;
const UNIXFS_FILE = 2;
const UNIXFS_SYMLINK = 4;

async function linkOf(call: Call, { name, cid }: DirectoryEntry, sizes: boolean) {
  const link = { Name: name, Hash: cid.toString(), Size: 0, Type: 0, Target: '' };
  if (!sizes) return link;
  const bytes = await call.node.read(cid, call.signal);
  const { kind, unixfs } = unixfsNode(cid, bytes);
  if (kind === 'directory') return { ...link, Type: UNIXFS_DIRECTORY };
  if (kind === 'symlink') {
    const target = Buffer.from(unixfs?.data ?? []).toString('utf8');
    return { ...link, Type: UNIXFS_SYMLINK, Target: target };
  }
  const Size = unixfs instanceof UnixFS ? Number(unixfs.fileSize()) : bytes.length;
  return { ...link, Type: UNIXFS_FILE, Size };
}

export async function ls(call: Call): Promise<void> {
  const { parameters, node, signal, reply } = call;
  parameters.arg();
  const sizes = parameters.flag('size', true) || parameters.flag('resolve-type', true);
  const isStream = parameters.flag('stream', false);
  const objects: { Hash: string; Links: unknown[] }[] = [];
  for (const text of parameters.args) {
    const cid = await resolveNode(call, text);
    const Hash = cid.toString();
    const { kind } = unixfsNode(cid, await node.read(cid, signal));
    if (kind !== 'directory') {
      // A file lists as itself: no links, and its own facts, which is what clients look at.
      const self = { ...(await linkOf(call, { name: '', cid }, sizes)), Links: [] };
      if (isStream) await reply.line({ Objects: [self] });
      else objects.push(self);
      continue;
    }
    const Links: unknown[] = [];
    for await (const entry of listDirectory(node.read, cid, signal)) {
      const link = await linkOf(call, entry, sizes);
      if (isStream) await reply.line({ Objects: [{ Hash, Links: [link] }] });
      else Links.push(link);
    }
    if (!isStream) objects.push({ Hash, Links });
  }
  if (isStream) reply.endLines();
  else reply.json({ Objects: objects });
}

export async function resolve(call: Call): Promise<void> {
  const text = call.parameters.arg();
  const { cid, remainder } = await resolvePath(call.node.read, parsePath(text), call.signal);
  const rest = remainder === '' ? '' : `/${remainder}`;
  call.reply.json({ Path: `/ipfs/${cid.toString()}${rest}` });
}

const MAX_REFS_DEPTH = 10_000;

export async function refs(call: Call): Promise<void> {
  const { parameters, node, signal, reply } = call;
  parameters.arg();
  const unique = parameters.flag('unique', false);
  const depth = parameters.integer('max-depth', { min: -1, max: MAX_REFS_DEPTH }) ?? -1;
  const recursive = parameters.flag('recursive', false);
  const limit = recursive ? (depth < 0 ? MAX_REFS_DEPTH : depth) : 1;
  const edges = parameters.flag('edges', false);
  const format = edges ? '<src> -> <dst>' : (parameters.text('format') ?? '<dst>');
  if (format.length > 200) throw rpcError('STORAGE_RPC_ARGUMENT', 'format is too long');
  const seen = new Set<string>();

  async function tell(cid: CID, level: number): Promise<void> {
    if (level >= limit) return;
    for (const link of linksOf(cid, await node.read(cid, signal))) {
      const target = link.toString();
      const isNew = !seen.has(target);
      seen.add(target);
      if (isNew || !unique) {
        const shown = format
          .replaceAll('<src>', cid.toString())
          .replaceAll('<dst>', target)
          .replaceAll('<linkname>', '');
        await reply.line({ Ref: shown, Err: '' });
      }
      // A subtree is walked once: what was told of it stays true, and DAG bombs stay small.
      if (isNew) await tell(link, level + 1);
    }
  }
  for (const text of parameters.args) await tell(await resolveNode(call, text), 0);
  reply.endLines();
}
