/** Validator sets: who votes with what weight in an era, and who leads a view. */
import { sha256 } from '#libs/crypto';
import {
  type Codec,
  type CodecValue,
  concatBytes,
  encodeWith,
  hexBytes,
  list,
  optional,
  record,
  uint,
} from '#libs/kernel';
import { hashOf } from '#libs/crypto';
import { edaError } from './errors.ts';
import { type Profile, TOTAL_WEIGHT_MAX, type Tolerance, toleranceOf } from './profiles.ts';

export const VALIDATORS_MAX = 4096;
/**
 * Up to here votes are ed25519 vectors and every validator ticks. Above, when all have a BLS key, ticks
 * are sampled and votes are added up by leaders.
 */
export const VECTOR_VALIDATORS_MAX = 64;

const validatorShape = record({
  publicKey: hexBytes(33),
  weight: uint(TOTAL_WEIGHT_MAX),
  /** BLS key with proven possession, for signatures that are added up. */
  bls: optional(hexBytes(48)),
});
export const validatorsShape: Codec<readonly Validator[]> = list(validatorShape, VALIDATORS_MAX);
export type Validator = CodecValue<typeof validatorShape>;

export interface ValidatorSet extends Tolerance {
  readonly validators: readonly Validator[];
  /** Weight by index. */
  readonly weights: readonly number[];
  readonly profile: Profile;
  readonly hash: string;
  /** Votes by BLS, added up by leaders; ticks of sampled committees. */
  readonly isLarge: boolean;
  /** Index of a public key, or -1. */
  indexOf(publicKey: string): number;
}

const SET_DOMAIN = 'seele/eda-set/1';

/** @throws EDA_SET_INVALID, EDA_PROFILE_INVALID */
export function createValidatorSet(
  validators: readonly Validator[],
  profile: Profile,
): ValidatorSet {
  if (validators.length === 0 || validators.length > VALIDATORS_MAX)
    throw edaError('EDA_SET_INVALID', `${validators.length} validators`);
  const indices = new Map<string, number>();
  let total = 0;
  for (const [i, { publicKey, weight }] of validators.entries()) {
    if (!Number.isInteger(weight) || weight < 1 || indices.has(publicKey))
      throw edaError('EDA_SET_INVALID', `validator ${i} (${publicKey}) of weight ${weight}`);
    indices.set(publicKey, i);
    total += weight;
  }
  return {
    ...toleranceOf(profile, total),
    validators,
    weights: validators.map(({ weight }) => weight),
    profile,
    hash: hashOf(SET_DOMAIN, encodeWith(validatorsShape, validators)),
    isLarge:
      validators.length > VECTOR_VALIDATORS_MAX && validators.every(({ bls }) => bls !== undefined),
    indexOf: (publicKey) => indices.get(publicKey) ?? -1,
  };
}

const DRAW_BYTES = 6;

/** A whole number below `below` (at most 2^40) from bytes; the bias is below 2^-8 of one weight unit. */
function drawBelow(bytes: Uint8Array, below: number): number {
  let value = 0;
  for (let i = 0; i < DRAW_BYTES; i++) value = value * 256 + (bytes[i] as number);
  return value % below;
}

function counterBytes(slot: number, index: number): Uint8Array {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, Math.floor(slot / 2 ** 32));
  view.setUint32(4, slot >>> 0);
  view.setUint32(8, index);
  return bytes;
}

/**
 * Who leads `view` of `slot`: the view-th of a permutation of the set, drawn without replacement by
 * stake from (beacon, slot). The same for every node, so votes are never split; after all have led
 * once it starts again.
 */
export function leaderOf(
  set: ValidatorSet,
  beacon: Uint8Array,
  slot: number,
  view: number,
): number {
  const turns = view % set.validators.length;
  const weights = set.weights.slice();
  let left = set.total;
  for (let turn = 0; ; turn++) {
    let draw = drawBelow(sha256(concatBytes(beacon, counterBytes(slot, turn))), left);
    let chosen = 0;
    while (draw >= (weights[chosen] as number)) draw -= weights[chosen++] as number;
    if (turn === turns) return chosen;
    left -= weights[chosen] as number;
    weights[chosen] = 0;
  }
}
