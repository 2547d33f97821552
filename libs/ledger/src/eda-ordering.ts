/**
 * What EDA ordering means to the ledger: the part of a genesis that names validators and pace, sets of
 * validators as the state holds them, and who earns the fees.
 */
import { accountOf } from '#libs/crypto';
import {
  type BlsSigner,
  type EdaParameters,
  type EraParameters,
  BLS_PUBLIC_KEY_BYTES,
  BLS_SIGNATURE_BYTES,
  EPSILON_MAX_US,
  SAMPLING_MAX,
  type ValidatorSet,
  PROFILES,
  VALIDATORS_MAX,
  createValidatorSet,
  provePossession,
  validatorsShape,
  verifyPossession,
} from '#libs/eda';
import {
  type Bytes,
  type CodecValue,
  byteString,
  concatBytes,
  decodeWith,
  hexBytes,
  isSeeleError,
  list,
  oneOf,
  optional,
  record,
  u64,
  uint,
  utf8,
} from '#libs/kernel';
import { ledgerError } from './errors.ts';

/** A key for signatures that add up. Adding is safe only for keys whose owner has proven to hold them. */
const blsKey = record({
  publicKey: hexBytes(BLS_PUBLIC_KEY_BYTES),
  possession: byteString(BLS_SIGNATURE_BYTES),
});

/** A BLS key as a genesis names it. */
export function provenBlsKey(signer: BlsSigner): CodecValue<typeof blsKey> {
  return { publicKey: signer.publicKey, possession: provePossession(signer) };
}

export const edaOrdering = record({
  /** The set of the first eras. */
  validators: list(
    record({
      publicKey: hexBytes(33),
      stake: u64,
      /** BLS key, with the proof that its owner holds the secret. */
      bls: optional(blsKey),
    }),
    VALIDATORS_MAX,
  ),
  /** Stake of one unit of weight; what is left over does not count. */
  stakeUnit: u64,
  profile: oneOf(...PROFILES),
  /** Bound of the one-way delay that the pace is set for; safety does not depend on it. */
  deltaUs: uint(),
  epsilonUs: uint(),
  eraUs: uint(),
  /** Checkpoints at which validators attest; 0 for never. */
  attestEveryUs: uint(),
});
export type EdaOrdering = CodecValue<typeof edaOrdering>;

/** Contract that fixes the validators of eras to come, and where its state holds them. */
export const STAKE_CONTRACT = 'stake';

/** Key of an era's set in the state of `STAKE_CONTRACT`; no entry: the set of the era before. */
export const validatorSetKey = (era: number): Bytes => eraKey(SETS_PREFIX, era);

/** Key of what changes consensus from an era on; no entry: as in the era before. */
export const eraParametersKey = (era: number): Bytes => eraKey(eraParametersPrefix, era);

const SETS_PREFIX = utf8('set/');
export const eraParametersPrefix = utf8('parameters/');
const ERA_BYTES = 8;

function eraKey(prefix: Bytes, era: number): Bytes {
  const number = new Uint8Array(ERA_BYTES);
  new DataView(number.buffer).setBigUint64(0, BigInt(era));
  return concatBytes(prefix, number);
}

/** The era that a key of the state (`set/…`, `parameters/…`) is of. */
export function eraOfKey(key: Bytes): number {
  const at = key.length - ERA_BYTES;
  return Number(new DataView(key.buffer, key.byteOffset + at, ERA_BYTES).getBigUint64(0));
}

/** Parameters of consensus as they lie in the state. */
export const storedEraParameters = record({
  epsilonUs: uint(EPSILON_MAX_US),
  samplingPerMille: uint(SAMPLING_MAX),
});
export type StoredEraParameters = CodecValue<typeof storedEraParameters>;

/** A set of validators as it lies in the state. */
export const storedValidators = validatorsShape;

/** The set that stored bytes stand for; undefined when they are none. */
export function readValidatorSet(
  { profile }: Pick<EdaOrdering, 'profile'>,
  bytes: Bytes,
): ValidatorSet | undefined {
  try {
    return createValidatorSet(decodeWith(storedValidators, bytes), profile);
  } catch (error) {
    if (isSeeleError(error)) return undefined;
    throw error;
  }
}

const genesisSets = new WeakMap<EdaOrdering, ValidatorSet>();

/**
 * The set that a genesis begins with.
 * @throws EDA_SET_INVALID, LEDGER_GENESIS_INVALID when a unit costs nothing or a BLS key is not proven
 */
export function genesisValidators(ordering: EdaOrdering): ValidatorSet {
  const known = genesisSets.get(ordering);
  if (known) return known;
  const { validators, stakeUnit, profile } = ordering;
  if (stakeUnit < 1n)
    throw ledgerError('LEDGER_GENESIS_INVALID', 'a unit of weight must cost something');
  const weighed = validators.map(({ publicKey, stake, bls }) => {
    if (bls && !verifyPossession(bls.publicKey, bls.possession))
      throw ledgerError('LEDGER_GENESIS_INVALID', `${publicKey} has not proven its BLS key`);
    const weight = Number(stake / stakeUnit);
    return { publicKey, weight, ...(bls && { bls: bls.publicKey }) };
  });
  const set = createValidatorSet(weighed, profile);
  genesisSets.set(ordering, set);
  return set;
}

/** What the state says about validators: a reader of it. */
export interface StateEntries {
  scan(
    contract: string,
    prefix: Bytes,
    cursor: Bytes | undefined,
  ): Iterable<readonly [key: Bytes, value: Bytes]>;
}

/** The last entry in the state of `STAKE_CONTRACT` for an era or for one before it. */
function entryInForce(state: StateEntries, prefix: Bytes, era: number): Bytes | undefined {
  let found: Bytes | undefined;
  for (const [key, value] of state.scan(STAKE_CONTRACT, prefix, undefined)) {
    if (eraOfKey(key) > era) break;
    found = value;
  }
  return found;
}

/** The set of an era: the last one that the state fixed for it or for an era before, else genesis. */
export function validatorsOf(
  state: StateEntries,
  ordering: EdaOrdering,
  era: number,
): ValidatorSet {
  const found = entryInForce(state, SETS_PREFIX, era);
  return (found && readValidatorSet(ordering, found)) ?? genesisValidators(ordering);
}

/** What validators have changed of consensus, as of an era; empty: all is as in the genesis. */
export function eraParametersOf(state: StateEntries, era: number): EraParameters {
  const found = entryInForce(state, eraParametersPrefix, era);
  return found ? decodeWith(storedEraParameters, found) : {};
}

export function edaParameters(ordering: EdaOrdering): EdaParameters {
  const { deltaUs, epsilonUs, eraUs, attestEveryUs } = ordering;
  if (deltaUs < 1_000 || deltaUs > 10_000_000 || epsilonUs < 1 || eraUs < 100 * deltaUs)
    throw ledgerError(
      'LEDGER_GENESIS_INVALID',
      `delta ${deltaUs} µs, epsilon ${epsilonUs} µs, era ${eraUs} µs cannot be a pace`,
    );
  return { deltaUs, epsilonUs, eraUs, attestEveryUs };
}

/** Part of a block's fees that an account earns. */
export interface FeeShare {
  readonly account: string;
  readonly weight: number;
}

export function feeSharesOf(set: ValidatorSet): readonly FeeShare[] {
  return set.validators.map(({ publicKey, weight }) => ({
    account: accountOf(publicKey),
    weight,
  }));
}

/** Divides fees by weight; the first gets what cannot be divided. */
export function divideFees(
  fees: bigint,
  shares: readonly FeeShare[],
): readonly { readonly account: string; readonly amount: bigint }[] {
  const whole = shares.reduce((sum, { weight }) => sum + weight, 0);
  const parts = shares.map(({ account, weight }) => ({
    account,
    amount: (fees * BigInt(weight)) / BigInt(whole),
  }));
  const left = fees - parts.reduce((sum, { amount }) => sum + amount, 0n);
  return parts.map((part, i) => (i === 0 ? { ...part, amount: part.amount + left } : part));
}
