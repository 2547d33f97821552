/** `pin/add`, `pin/rm`, `pin/ls`. */
import { parseCid, storageError } from '#libs/storage';
import type { CID } from 'multiformats/cid';

import { parsePath, resolvePath } from '../../dag/directories.ts';
import { walkDag } from '../../dag/links.ts';
import { rpcError } from '../../errors.ts';
import type { Call } from '../call.ts';

async function pinnedNode(call: Call, text: string): Promise<CID> {
  const { cid } = await resolvePath(call.node.read, parsePath(text), call.signal);
  return cid;
}

export async function pinAdd(call: Call): Promise<void> {
  const { parameters, node, reply, signal } = call;
  parameters.arg();
  const type = parameters.flag('recursive', true) ? 'recursive' : 'direct';
  const name = parameters.text('name') ?? '';
  if (Buffer.byteLength(name) > 255) throw rpcError('STORAGE_RPC_ARGUMENT', 'name is too long');
  const session = node.session();
  try {
    const Pins: string[] = [];
    for (const text of parameters.args) {
      const cid = await pinnedNode(call, text);
      // Present, whole, and touched: from here on no collection takes it.
      if (type === 'direct') await session.require(cid, signal);
      else for await (const _ of walkDag(session, cid, signal));
      await session.commit({ cid, type, name });
      Pins.push(cid.toString());
    }
    reply.json({ Pins });
  } finally {
    await session.end();
  }
}

const notPinned = (cid: CID) =>
  storageError('STORAGE_NOT_FOUND', `${cid.toString()} is not pinned or pinned indirectly`);

export async function pinRm(call: Call): Promise<void> {
  const { parameters, node, reply } = call;
  parameters.arg();
  const recursive = parameters.flag('recursive', true);
  const cids: CID[] = [];
  for (const text of parameters.args) cids.push(await pinToRemove(call, text));
  for (const cid of cids) {
    const pin = node.pins.get(cid);
    if (pin === undefined) throw notPinned(cid);
    if (pin.type === 'recursive' && !recursive)
      throw rpcError('STORAGE_RPC_ARGUMENT', `${cid.toString()} is pinned recursively`);
  }
  for (const cid of cids) await node.pins.remove(cid);
  reply.json({ Pins: cids.map(String) });
}

/** A pin can be removed when its content is gone; only a path needs it. */
async function pinToRemove(call: Call, text: string): Promise<CID> {
  const path = parsePath(text);
  return path.segments.length === 0 ? path.root : pinnedNode(call, text);
}

const TYPES = ['all', 'recursive', 'direct', 'indirect'] as const;

export async function pinLs(call: Call): Promise<void> {
  const { parameters, reply } = call;
  const type = parameters.oneOf('type', TYPES, 'all');
  const isStream = parameters.flag('stream', false);
  const names = parameters.flag('names', false) || parameters.text('name') !== undefined;
  const Keys: Record<string, { Type: string; Name?: string }> = {};
  const found = parameters.args.length > 0 ? chosenPins(call, type) : everyPin(call, type);
  for await (const pin of found) {
    const named = names && pin.name !== '' ? { Name: pin.name } : {};
    if (isStream) await reply.line({ Cid: pin.cid, Type: pin.type, ...named });
    else Keys[pin.cid] = { Type: pin.type, ...named };
  }
  if (isStream) reply.endLines();
  else reply.json({ Keys });
}

interface ListedPin {
  readonly cid: string;
  readonly type: string;
  readonly name: string;
}

async function* everyPin(call: Call, type: (typeof TYPES)[number]): AsyncGenerator<ListedPin> {
  const { node, parameters, signal } = call;
  const wantedName = parameters.text('name');
  const pins = [...node.pins.pins.values()];
  if (type !== 'indirect')
    for (const pin of pins)
      if (
        (type === 'all' || pin.type === type) &&
        (wantedName === undefined || pin.name.includes(wantedName))
      )
        yield pin;
  if (type === 'recursive' || type === 'direct' || wantedName !== undefined) return;
  const told = new Set(pins.map((pin) => pin.cid));
  for (const pin of pins) {
    if (pin.type !== 'recursive') continue;
    for await (const cid of walkDag(node, parseCid(pin.cid), signal)) {
      const text = cid.toString();
      if (told.has(text)) continue;
      told.add(text);
      yield { cid: text, type: 'indirect', name: '' };
    }
  }
}

async function* chosenPins(call: Call, type: (typeof TYPES)[number]): AsyncGenerator<ListedPin> {
  const { node, parameters } = call;
  for (const text of parameters.args) {
    const cid = await pinToRemove(call, text);
    const pin = node.pins.get(cid);
    if (pin !== undefined && (type === 'all' || type === pin.type)) {
      yield { ...pin, cid: cid.toString() };
      continue;
    }
    const holder = type === 'all' || type === 'indirect' ? await holderOf(call, cid) : undefined;
    if (holder === undefined)
      throw storageError('STORAGE_NOT_FOUND', `path '${text.slice(0, 200)}' is not pinned`);
    yield { cid: cid.toString(), type: `indirect through ${holder}`, name: '' };
  }
}

/** The recursive pin that reaches a CID, if any. */
async function holderOf(call: Call, wanted: CID): Promise<string | undefined> {
  for (const pin of call.node.pins.pins.values()) {
    if (pin.type !== 'recursive') continue;
    for await (const cid of walkDag(call.node, parseCid(pin.cid), call.signal))
      if (cid.equals(wanted)) return pin.cid;
  }
  return undefined;
}
