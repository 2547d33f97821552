/** `dag/put`, `dag/get`, `dag/resolve`, `dag/export`, `dag/import`. */
import type { Bytes } from '#libs/kernel';
import { MAX_BLOCK_BYTES, storageError } from '#libs/storage';
import { CID } from 'multiformats/cid';

import { dagArchive } from '../../dag/archive.ts';
import { readCar } from '../../dag/car.ts';
import { parsePath, resolvePath } from '../../dag/directories.ts';
import { codecNamed, codecOf, decodeBlock, walkDag, type Codec } from '../../dag/links.ts';
import { rpcError } from '../../errors.ts';
import { isSeeleError } from '#libs/kernel';
import { wholePart, type Call } from '../call.ts';
import { digestNamed, requireBlock } from './blocks.ts';

const slashed = (cid: CID) => ({ '/': cid.toString() });

function reencode(bytes: Bytes, from: Codec, to: Codec): Bytes {
  try {
    return to.encode(from.decode(bytes));
  } catch (error) {
    throw storageError(
      'STORAGE_MALFORMED',
      `the value cannot go from ${from.name} to ${to.name}: ${(error as Error).message}`,
    );
  }
}

export async function dagPut(call: Call): Promise<void> {
  const { parameters, node, reply } = call;
  const store = codecNamed(parameters.text('store-codec') ?? 'dag-cbor');
  const input = codecNamed(parameters.text('input-codec') ?? 'dag-json');
  const hash = parameters.oneOf(
    'hash',
    ['sha2-256', 'sha2-512'],
    parameters.oneOf('hash-alg', ['sha2-256', 'sha2-512'], 'sha2-256'),
  );
  const pin = parameters.flag('pin', false);
  const session = node.session();
  const stored: CID[] = [];
  try {
    for await (const part of call.parts()) {
      const given = await wholePart(part, MAX_BLOCK_BYTES);
      const bytes = reencode(given, input, store);
      requireBlock(bytes);
      const cid = CID.createV1(store.code, await digestNamed(hash, bytes));
      await session.put(cid, bytes);
      if (pin) for await (const _ of walkDag(session, cid, call.signal));
      await session.commit(pin ? { cid, type: 'recursive' } : undefined);
      stored.push(cid);
    }
  } finally {
    await session.end();
  }
  if (stored.length === 0) throw rpcError('STORAGE_RPC_ARGUMENT', 'the body has no value');
  for (const cid of stored) await reply.line({ Cid: slashed(cid) });
  reply.endLines();
}

export async function dagGet(call: Call): Promise<void> {
  const { parameters, node, signal, reply } = call;
  const output = codecNamed(parameters.text('output-codec') ?? 'dag-json');
  const found = await resolvePath(node.read, parsePath(parameters.arg()), signal);
  const bytes = await node.read(found.cid, signal);
  const codec = codecOf(found.cid);
  if (found.remainder === '' && codec.code === output.code)
    return reply.bytes(bytes, 'application/octet-stream');
  const value = found.remainder === '' ? decodeBlock(found.cid, bytes) : found.value;
  try {
    reply.bytes(output.encode(value), 'application/octet-stream');
  } catch (error) {
    throw storageError(
      'STORAGE_UNSUPPORTED',
      `${found.cid.toString()} cannot be shown as ${output.name}: ${(error as Error).message}`,
    );
  }
}

export async function dagResolve(call: Call): Promise<void> {
  const path = parsePath(call.parameters.arg());
  const { cid, remainder } = await resolvePath(call.node.read, path, call.signal);
  call.reply.json({ Cid: slashed(cid), RemPath: remainder });
}

export async function dagExport(call: Call): Promise<void> {
  const { node, signal } = call;
  const root = (await resolvePath(node.read, parsePath(call.parameters.arg()), signal)).cid;
  await call.reply.stream(dagArchive(node, root, signal), 'application/vnd.ipld.car');
}

export async function dagImport(call: Call): Promise<void> {
  const { parameters, node, reply, signal } = call;
  const pinRoots = parameters.flag('pin-roots', true);
  const stats = parameters.flag('stats', false);
  const session = node.session();
  const roots = new Map<string, CID>();
  let blockCount = 0;
  let blockBytes = 0;
  let cars = 0;
  try {
    for await (const part of call.parts()) {
      const car = await readCar(part.body);
      cars++;
      for (const root of car.roots) roots.set(root.toString(), root);
      for await (const { cid, bytes } of car.blocks) {
        await session.put(cid, bytes);
        blockCount++;
        blockBytes += bytes.length;
      }
    }
    if (cars === 0) throw rpcError('STORAGE_RPC_ARGUMENT', 'the body has no CAR');
    await session.commit();
    const lines: unknown[] = [];
    for (const root of roots.values()) {
      let PinErrorMsg = '';
      if (pinRoots)
        try {
          for await (const _ of walkDag(session, root, signal));
          await session.commit({ cid: root, type: 'recursive' });
        } catch (error) {
          if (!isSeeleError(error)) throw error;
          PinErrorMsg = error.message;
        }
      lines.push({ Root: { Cid: slashed(root), PinErrorMsg } });
    }
    if (stats) lines.push({ Stats: { BlockCount: blockCount, BlockBytesCount: blockBytes } });
    for (const line of lines) await reply.line(line);
    reply.endLines();
  } finally {
    await session.end();
  }
}
