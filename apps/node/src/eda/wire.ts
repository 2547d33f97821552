/** What nodes say to each other beside consensus: results of execution, and catching up. */
import {
  type Body,
  type Certificate as CommitCertificate,
  aggregateShape,
  bodyShape,
  certificateShape,
} from '#libs/eda';
import {
  type Bytes,
  type CodecValue,
  byteString,
  decodeWith,
  encodeWith,
  hash32,
  list,
  optional,
  record,
  uint,
  variant,
} from '#libs/kernel';
import { block, certificate } from '#libs/ledger';
import { NODE_PROTOCOLS, type ProtocolRules } from '#libs/net';
import { rollShape } from './roll-call.ts';

export const PROTOCOLS: readonly ProtocolRules[] = Object.values(NODE_PROTOCOLS);

const resultShape = variant({
  /** This node executed the block of `height`: its header has this hash. */
  vote: record({ height: uint(), hash: hash32, signature: byteString(96) }),
  /** The same once more: the certificate has not come together here. */
  again: record({ height: uint(), hash: hash32, signature: byteString(96) }),
  /** The stored certificate, for who asks again. */
  certified: record({ height: uint(), hash: hash32, certificate }),
  /** How far this node is: said when a link comes up. */
  status: record({ height: uint() }),
  /** What a node that has no block yet says then too. */
  roll: rollShape,
});
export type ResultMessage = CodecValue<typeof resultShape>;

export const encodeResult = (message: ResultMessage): Bytes => encodeWith(resultShape, message);
/** @throws KERNEL_CBOR_INVALID, KERNEL_CBOR_LIMIT, KERNEL_SHAPE */
export const decodeResult = (bytes: Bytes): ResultMessage => decodeWith(resultShape, bytes);

/** A decided cut with what makes it final. */
export const storedCut = record({ body: bodyShape, commit: certificateShape });
export interface StoredCut {
  readonly body: Body;
  readonly commit: CommitCertificate;
}

export const SYNC_ITEMS_MAX = 256;
const syncItem = record({ cut: storedCut, block });
export type SyncItem = CodecValue<typeof syncItem>;
const syncShape = variant({
  /** Blocks from this height on. */
  ask: record({ from: uint() }),
  blocks: record({ items: list(syncItem, SYNC_ITEMS_MAX) }),
});
export type SyncMessage = CodecValue<typeof syncShape>;

export const encodeSync = (message: SyncMessage): Bytes => encodeWith(syncShape, message);
/** @throws KERNEL_CBOR_INVALID, KERNEL_CBOR_LIMIT, KERNEL_SHAPE */
export const decodeSync = (bytes: Bytes): SyncMessage =>
  decodeWith(syncShape, bytes, { maxBytes: NODE_PROTOCOLS.sync.maxMessageBytes });

/**
 * What the store of a chain holds for consensus, beside the ledger's own keys:
 *
 *   08 'base', 08 'journal'   where consensus goes on; number of this node's journal
 *   08 'begin'                journals that the chain began with; empty: this node waits for it to begin
 *   08 'copy'                 how far a copy of the state has come
 *   09 height                 cut of that height with its COMMITs
 *   0a height                 weight beyond which the cut's finality would need liars (strength), with the sum of attestations
 *   0c height                 hash of where consensus goes on after a recent height
 */
const CUT = 9;
const STRENGTH = 10;
const BASE_HASH = 12;
const utf8Key = (name: string): Bytes => Uint8Array.from([8, ...new TextEncoder().encode(name)]);
export const BASE_KEY = utf8Key('base');
export const JOURNAL_KEY = utf8Key('journal');
export const BEGIN_KEY = utf8Key('begin');
export const COPY_KEY = utf8Key('copy');

function heightKey(kind: number, height: number): Bytes {
  const key = new Uint8Array(9);
  key[0] = kind;
  new DataView(key.buffer).setBigUint64(1, BigInt(height));
  return key;
}
export const heightOf = (key: Bytes): number =>
  Number(new DataView(key.buffer, key.byteOffset + 1).getBigUint64(0));
export const cutKey = (height: number): Bytes => heightKey(CUT, height);
export const baseHashKey = (height: number): Bytes => heightKey(BASE_HASH, height);
export const strengthKey = (height: number): Bytes => heightKey(STRENGTH, height);

const strengthShape = record({
  weight: uint(),
  /** Of the attestations that were made by BLS, once they weigh Q. */
  aggregate: optional(aggregateShape),
});
export type Strength = CodecValue<typeof strengthShape>;
export const encodeStrength = (strength: Strength): Bytes => encodeWith(strengthShape, strength);
export const decodeStrength = (bytes: Bytes): Strength => decodeWith(strengthShape, bytes);
export const encodeCut = (cut: StoredCut): Bytes => encodeWith(storedCut, cut);
export const decodeCut = (bytes: Bytes): StoredCut => decodeWith(storedCut, bytes);
