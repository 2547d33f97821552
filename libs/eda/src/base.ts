/**
 * Where a node goes on: everything that follows from the cuts up to a slot, so that a restart needs
 * neither those cuts nor a journal that reaches back to genesis. The same on every node.
 */
import { sha256 } from '#libs/crypto';
import {
  type Bytes,
  type CodecValue,
  byteString,
  concatBytes,
  decodeWith,
  encodeWith,
  hash32,
  hexToBytes,
  list,
  record,
  uint,
  utf8,
} from '#libs/kernel';
import type { Body } from './messages.ts';
import { VALIDATORS_MAX } from './validator-set.ts';

const endShape = record({
  era: uint(),
  author: uint(VALIDATORS_MAX - 1),
  seq: uint(),
  raw: uint(),
  hash: hash32,
});
const baseShape = record({
  slot: uint(),
  /** Hash and time of the cut of this slot. */
  hash: hash32,
  timeUs: uint(),
  /** Era of the next slot. */
  era: uint(),
  beacon: byteString(64),
  eraBeacon: byteString(64),
  /** Last final block per author, of this era and the one before. */
  ends: list(endShape, 2 * VALIDATORS_MAX),
});
export type EdaBase = CodecValue<typeof baseShape>;

/** The base before the first cut. */
export function genesisBase(chain: string, timeUs: number, eraUs: number): EdaBase {
  const beacon = hexToBytes(chain) ?? utf8(chain);
  const era = Math.floor(timeUs / eraUs);
  return { slot: 0, hash: chain, timeUs, era, beacon, eraBeacon: beacon, ends: [] };
}

/** Whether the cut ends its era: its time crosses a border. */
export function crossesEra(beforeUs: number, timeUs: number, eraUs: number): boolean {
  return Math.floor(timeUs / eraUs) > Math.floor(beforeUs / eraUs);
}

/** The base after the next cut; `hash` is the cut's. */
export function advanceBase(base: EdaBase, body: Body, hash: string, eraUs: number): EdaBase {
  const crosses = crossesEra(base.timeUs, body.timeUs, eraUs);
  const era = crosses ? base.era + 1 : base.era;
  const ends = new Map(base.ends.map((end) => [`${end.era}/${end.author}`, end]));
  for (const { era: of, author, seq, raw, hash: block } of body.entries)
    ends.set(`${of}/${author}`, { era: of, author, seq, raw, hash: block });
  const beacon = sha256(concatBytes(base.beacon, body.vrf));
  return {
    slot: body.slot,
    hash,
    timeUs: body.timeUs,
    era,
    beacon,
    eraBeacon: crosses ? beacon : base.eraBeacon,
    ends: [...ends.values()].filter((end) => end.era >= era - 1),
  };
}

export function encodeBase(base: EdaBase): Bytes {
  return encodeWith(baseShape, base);
}

/** @throws KERNEL_CBOR_INVALID, KERNEL_CBOR_LIMIT, KERNEL_SHAPE */
export function decodeBase(bytes: Bytes): EdaBase {
  return decodeWith(baseShape, bytes);
}
