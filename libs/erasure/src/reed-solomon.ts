/**
 * Systematic Reed–Solomon code over GF(2^8) with a Cauchy matrix: the data shards are the data as it
 * is, every parity shard a combination of them, and any `dataShards` of all shards give the rest back
 * (every square part of a Cauchy matrix has an inverse; Bloemer et al., ICSI TR-95-048).
 */
import type { Bytes } from '#libs/kernel';

import { createScalarEngine, type Engine } from './engine.ts';
import { erasureError } from './errors.ts';
import { inverse, invert, type Matrix } from './galois-field.ts';
import { createSimdEngine } from './simd-engine.ts';

export interface ErasureShape {
  /** As many shards as are needed to get the content back: 1 to 128. */
  readonly dataShards: number;
  /** As many as may be lost: 1 to 127. */
  readonly parityShards: number;
}

/** The shape of storage deals: 16 shards, any 10 of them are enough, 1.6 times the space. */
export const DEAL_SHAPE: ErasureShape = { dataShards: 10, parityShards: 6 };

export interface ErasureCode extends ErasureShape {
  readonly engine: Engine['name'];
  /** The parity shards of these data shards (all of one length). @throws ERASURE_SHARDS */
  encode(data: readonly Bytes[]): Bytes[];
  /**
   * All shards, data first, from any `dataShards` of them; lost ones are `undefined` in their place.
   * A wrong shard cannot be told from a right one here: name shards by their hash and check that
   * before. What was given is given back as it is, not copied.
   *
   * @throws ERASURE_SHARDS, ERASURE_TOO_FEW
   */
  rebuild(shards: readonly (Bytes | undefined)[]): Bytes[];
}

const MAX_DATA = 128;
const MAX_PARITY = 127;

let shared: Engine | undefined;
/** SIMD where there is some. One for all codes: a call is synchronous and leaves nothing behind. */
const bestEngine = (): Engine => (shared ??= createSimdEngine() ?? createScalarEngine());

function cauchyMatrix({ dataShards, parityShards }: ErasureShape): Matrix {
  return Array.from({ length: parityShards }, (_, r) =>
    Uint8Array.from({ length: dataShards }, (__, i) => inverse((dataShards + r) ^ i)),
  );
}

function lengthOf(shards: readonly (Bytes | undefined)[], expected: number): number {
  if (shards.length !== expected)
    throw erasureError('ERASURE_SHARDS', `${shards.length} shards where ${expected} are expected`);
  const length = shards.find((shard) => shard !== undefined)?.length ?? 0;
  for (const [index, shard] of shards.entries())
    if (shard !== undefined && shard.length !== length)
      throw erasureError(
        'ERASURE_SHARDS',
        `shard ${index} has ${shard.length} bytes, others have ${length}`,
      );
  return length;
}

/** @throws ERASURE_PARAMETERS */
export function createErasureCode(shape: ErasureShape, engine: Engine = bestEngine()): ErasureCode {
  const { dataShards, parityShards } = shape;
  const isWithin = (value: number, max: number) =>
    Number.isInteger(value) && value >= 1 && value <= max;
  if (!isWithin(dataShards, MAX_DATA) || !isWithin(parityShards, MAX_PARITY))
    throw erasureError('ERASURE_PARAMETERS', `no code has ${dataShards}+${parityShards} shards`);
  const parity = cauchyMatrix(shape);
  const unit = (index: number) => {
    const row = new Uint8Array(dataShards);
    row[index] = 1;
    return row;
  };
  const fresh = (count: number, length: number): Bytes[] =>
    Array.from({ length: count }, () => new Uint8Array(length));

  function encode(data: readonly Bytes[]): Bytes[] {
    const out = fresh(parityShards, lengthOf(data, dataShards));
    engine.combine(parity, data, out);
    return out;
  }

  /** Lost data shards, from any `dataShards` shards that are there. */
  function rebuildData(all: (Bytes | undefined)[], lost: readonly number[], length: number): void {
    const held = all.flatMap((shard, index) => (shard === undefined ? [] : [{ shard, index }]));
    if (held.length < dataShards)
      throw erasureError(
        'ERASURE_TOO_FEW',
        `${held.length} of ${all.length} shards are there, ${dataShards} are needed`,
      );
    const used = held.slice(0, dataShards);
    const given = used.map(({ index }) =>
      index < dataShards ? unit(index) : (parity[index - dataShards] as Bytes),
    );
    const back = invert(given);
    if (back === undefined) throw new Error('a part of the Cauchy matrix has no inverse');
    const out = fresh(lost.length, length);
    engine.combine(
      lost.map((index) => back[index] as Bytes),
      used.map(({ shard }) => shard),
      out,
    );
    for (const [i, index] of lost.entries()) all[index] = out[i];
  }

  return {
    dataShards,
    parityShards,
    engine: engine.name,
    encode,
    rebuild(shards) {
      const length = lengthOf(shards, dataShards + parityShards);
      const all = [...shards];
      const lostOf = (from: number, to: number) =>
        [...all.keys()].filter((index) => index >= from && index < to && all[index] === undefined);
      const lostData = lostOf(0, dataShards);
      if (lostData.length > 0 || all.every((shard) => shard === undefined))
        rebuildData(all, lostData, length);
      const lostParity = lostOf(dataShards, all.length);
      if (lostParity.length > 0) {
        const out = fresh(lostParity.length, length);
        engine.combine(
          lostParity.map((index) => parity[index - dataShards] as Bytes),
          all.slice(0, dataShards) as Bytes[],
          out,
        );
        for (const [i, index] of lostParity.entries()) all[index] = out[i];
      }
      return all as Bytes[];
    },
  };
}

/** Cuts content into shards of one length; the last are filled up with zeros. Whole ones are views. */
export function splitIntoShards(content: Bytes, dataShards: number): Bytes[] {
  const length = Math.ceil(content.length / dataShards);
  return Array.from({ length: dataShards }, (_, index) => {
    const part = content.subarray(index * length, (index + 1) * length);
    if (part.length === length) return part;
    const filled = new Uint8Array(length);
    filled.set(part);
    return filled;
  });
}

/** The content again, from its data shards in order. @throws ERASURE_SHARDS when they are shorter */
export function joinShards(shards: readonly Bytes[], sizeBytes: number): Bytes {
  const held = shards.reduce((sum, shard) => sum + shard.length, 0);
  if (sizeBytes > held)
    throw erasureError('ERASURE_SHARDS', `the shards hold ${held} bytes, not ${sizeBytes}`);
  const content = new Uint8Array(sizeBytes);
  let at = 0;
  for (const shard of shards) {
    if (at >= sizeBytes) break;
    content.set(shard.subarray(0, sizeBytes - at), at);
    at += shard.length;
  }
  return content;
}
