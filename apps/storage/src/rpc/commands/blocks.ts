/** `block/put`, `block/get`, `block/stat`, `block/rm`. */
import { MAX_BLOCK_BYTES, parseCid, storageError } from '#libs/storage';
import { CID } from 'multiformats/cid';
import { sha256, sha512 } from 'multiformats/hashes/sha2';

import { codecNamed, linksOf } from '../../dag/links.ts';
import { rpcError } from '../../errors.ts';
import { keyOf } from '../../store/durable-blockstore.ts';
import { wholePart, type Call } from '../call.ts';
import type { Parameters } from '../parameters.ts';

/** Digests of the names that `hash` and `mhtype` take. */
export async function digestNamed(name: string, bytes: Uint8Array) {
  return name === 'sha2-512' ? sha512.digest(bytes) : sha256.digest(bytes);
}

async function blockCidOf(parameters: Parameters, bytes: Uint8Array): Promise<CID> {
  const format = parameters.text('format') ?? '';
  const codec = codecNamed(
    format === '' || format === 'v0' ? (parameters.text('cid-codec') ?? 'raw') : format,
  );
  const hash = parameters.oneOf('mhtype', ['sha2-256', 'sha2-512'], 'sha2-256');
  const digest = await digestNamed(hash, bytes);
  const version = parameters.integer('version', { min: 0, max: 1 });
  if (format === 'v0' || (version === 0 && codec.name === 'dag-pb' && hash === 'sha2-256'))
    return CID.createV0(digest as never);
  return CID.createV1(codec.code, digest);
}

export async function blockPut(call: Call): Promise<void> {
  const { parameters, node, reply } = call;
  const pin = parameters.flag('pin', false);
  const session = node.session();
  const stored: { Key: string; Size: number }[] = [];
  try {
    for await (const part of call.parts()) {
      const bytes = await wholePart(part, MAX_BLOCK_BYTES);
      const cid = await blockCidOf(parameters, bytes);
      await session.put(cid, bytes);
      // A pin keeps what the block links to, so that must be a block whose links can be read.
      if (pin) for (const link of linksOf(cid, bytes)) await session.require(link, call.signal);
      await session.commit(pin ? { cid, type: 'recursive' } : undefined);
      stored.push({ Key: cid.toString(), Size: bytes.length });
    }
  } finally {
    await session.end();
  }
  const [only] = stored;
  if (only === undefined) throw rpcError('STORAGE_RPC_ARGUMENT', 'the body has no block');
  if (stored.length === 1) return reply.json(only);
  for (const line of stored) await reply.line(line);
  reply.endLines();
}

export async function blockGet(call: Call): Promise<void> {
  const cid = parseCid(call.parameters.arg().replace(/^\/ipfs\//, ''));
  const bytes = await call.node.readToSend(cid, call.signal);
  call.reply.bytes(bytes, 'application/octet-stream');
}

export async function blockStat(call: Call): Promise<void> {
  const cid = parseCid(call.parameters.arg().replace(/^\/ipfs\//, ''));
  const Size =
    (await call.node.store.sizeOf(cid)) ?? (await call.node.read(cid, call.signal)).length;
  call.reply.json({ Key: cid.toString(), Size });
}

export async function blockRm(call: Call): Promise<void> {
  const { parameters, node, reply } = call;
  parameters.arg();
  const force = parameters.flag('force', false);
  const quiet = parameters.flag('quiet', false);
  const cids = parameters.args.map(parseCid);
  const needed = await node.collector.marked();
  for (const cid of cids) {
    const Hash = cid.toString();
    let failure: string | undefined;
    if (needed.has(keyOf(cid))) failure = 'pinned';
    else if (node.collector.isTouched(cid)) failure = 'in use by a call that runs';
    else if (!(await node.store.has(cid))) failure = force ? undefined : 'not found';
    else await node.store.delete(cid);
    if (!quiet || failure !== undefined)
      await reply.line(failure === undefined ? { Hash } : { Hash, Error: failure });
  }
  reply.endLines();
}

/** Used by `dag/put` as well. @throws STORAGE_TOO_LARGE */
export function requireBlock(bytes: Uint8Array): void {
  if (bytes.length > MAX_BLOCK_BYTES)
    throw storageError('STORAGE_TOO_LARGE', `a block has at most ${MAX_BLOCK_BYTES} bytes`);
}
