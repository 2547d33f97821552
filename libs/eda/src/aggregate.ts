/**
 * One signature for many validators: which of the set signed, as a bitmap, and the sum of their BLS
 * signatures. 96 bytes and one check, however large the set: for attestations that light clients and
 * other chains read, and for sets above 64 validators.
 */
import type { Bytes } from '#libs/kernel';
import { aggregateBls, verifyBls } from './bls.ts';
import { edaError } from './errors.ts';
import {
  type Aggregate,
  type SignedKind,
  type SignedMessages,
  signedBytes,
  signingDomain,
} from './messages.ts';
import type { ValidatorSet } from './validator-set.ts';

/** Adds up signatures of one message, each by another validator. @throws EDA_BLS_INVALID */
export function aggregateVotes(
  set: ValidatorSet,
  votes: readonly { readonly from: number; readonly signature: Bytes }[],
  add: (signatures: readonly Bytes[]) => Bytes = aggregateBls,
): Aggregate {
  const signers = new Uint8Array(Math.ceil(set.validators.length / 8));
  for (const { from } of votes) {
    const bit = 1 << (from & 7);
    if (from >= set.validators.length || ((signers[from >> 3] as number) & bit) !== 0)
      throw edaError('EDA_BLS_INVALID', `validator ${from} signs twice or is in no set`);
    signers[from >> 3] = (signers[from >> 3] as number) | bit;
  }
  return { signers, signature: add(votes.map(({ signature }) => signature)) };
}

/** Whether the owners of these BLS keys signed a message: `verifyBls`, or what stands for it. */
export type VerifyAggregate = <K extends SignedKind>(
  keys: readonly string[],
  kind: K,
  message: SignedMessages[K],
  signature: Bytes,
) => boolean;

export const verifyAggregate: VerifyAggregate = (keys, kind, message, signature) =>
  verifyBls(keys, signingDomain(kind), signedBytes(kind, message), signature);

/** Indices in a bitmap, ascending. */
export function signersIn(signers: Bytes): number[] {
  const indices: number[] = [];
  for (let i = 0; i < signers.length * 8; i++)
    if (((signers[i >> 3] as number) & (1 << (i & 7))) !== 0) indices.push(i);
  return indices;
}

/** Weight that the bitmap names; 0 for one of another length, or with a signer without a BLS key. */
export function namedWeight(set: ValidatorSet, { signers }: Aggregate): number {
  if (signers.length !== Math.ceil(set.validators.length / 8)) return 0;
  let weight = 0;
  for (const i of signersIn(signers)) {
    const validator = set.validators[i];
    if (validator?.bls === undefined) return 0;
    weight += validator.weight;
  }
  return weight;
}

/**
 * Weight that signed, by the keys of the **given** set; 0 unless everything is genuine: a bitmap of
 * exactly the set's length, a BLS key for every signer, one valid sum.
 */
export function aggregateWeight<K extends SignedKind>(
  set: ValidatorSet,
  kind: K,
  message: SignedMessages[K],
  aggregate: Aggregate,
  verify: VerifyAggregate = verifyAggregate,
): number {
  return sumWeight(set, aggregate, (keys, sum) => verify(keys, kind, message, sum));
}

/** The same for whatever `verify` checks the sum over. */
export function sumWeight(
  set: ValidatorSet,
  aggregate: Aggregate,
  verify: (keys: readonly string[], sum: Bytes) => boolean,
): number {
  const weight = namedWeight(set, aggregate);
  if (weight === 0) return 0;
  const keys = signersIn(aggregate.signers).map((i) => set.validators[i]?.bls as string);
  return verify(keys, aggregate.signature) ? weight : 0;
}
