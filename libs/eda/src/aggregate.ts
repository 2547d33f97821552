/**
 * One signature for many validators: which of the set signed, as a bitmap, and the sum of their BLS
 * signatures. 96 bytes and one check, however large the set: for attestations that light clients and
 * other chains read, and for sets above 64 validators.
 */
import { type Bytes, byteString, record } from '#libs/kernel';
import { BLS_SIGNATURE_BYTES, aggregateBls, verifyBls } from './bls.ts';
import { edaError } from './errors.ts';
import { type SignedKind, type SignedMessages, signedBytes, signingDomain } from './messages.ts';
import { VALIDATORS_MAX, type ValidatorSet } from './validator-set.ts';

export interface Aggregate {
  /** Bit i (of byte ⌊i / 8⌋, lowest first): validator i of the set signed. */
  readonly signers: Bytes;
  readonly signature: Bytes;
}
export const aggregateShape = record({
  signers: byteString(VALIDATORS_MAX / 8),
  signature: byteString(BLS_SIGNATURE_BYTES),
});

/** Adds up signatures of one message, each by another validator. @throws EDA_BLS_INVALID */
export function aggregateVotes(
  set: ValidatorSet,
  votes: readonly { readonly from: number; readonly signature: Bytes }[],
): Aggregate {
  const signers = new Uint8Array(Math.ceil(set.validators.length / 8));
  for (const { from } of votes) {
    const bit = 1 << (from & 7);
    if (from >= set.validators.length || ((signers[from >> 3] as number) & bit) !== 0)
      throw edaError('EDA_BLS_INVALID', `validator ${from} signs twice or is in no set`);
    signers[from >> 3] = (signers[from >> 3] as number) | bit;
  }
  return { signers, signature: aggregateBls(votes.map(({ signature }) => signature)) };
}

/**
 * Weight that signed, by the keys of the **given** set; 0 unless everything is genuine: a bitmap of
 * exactly the set's length, a BLS key for every signer, one valid sum.
 */
export function aggregateWeight<K extends SignedKind>(
  set: ValidatorSet,
  kind: K,
  message: SignedMessages[K],
  { signers, signature }: Aggregate,
): number {
  if (signers.length !== Math.ceil(set.validators.length / 8)) return 0;
  const keys: string[] = [];
  let weight = 0;
  for (let i = 0; i < signers.length * 8; i++) {
    if (((signers[i >> 3] as number) & (1 << (i & 7))) === 0) continue;
    const validator = set.validators[i];
    if (validator?.bls === undefined) return 0;
    keys.push(validator.bls);
    weight += validator.weight;
  }
  const isGenuine = verifyBls(keys, signingDomain(kind), signedBytes(kind, message), signature);
  return isGenuine ? weight : 0;
}
