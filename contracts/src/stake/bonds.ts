/** What contract `stake` keeps of validators, and what follows from it in every method. */
import { BLS_KEYS_MAX, BLS_PUBLIC_KEY_BYTES } from '#libs/eda';
import {
  type Bytes,
  type CodecValue,
  concatBytes,
  decodeWith,
  hexBytes,
  list,
  optional,
  record,
  u64,
  uint,
  utf8,
} from '#libs/kernel';
import {
  type Context,
  type StoredEraParameters,
  eraParametersKey,
  storedEraParameters,
  validatorSetKey,
} from '#libs/ledger';
import { numberKey, readValue, storageKey, writeValue } from '../contract-kit.ts';

/** Unbonding amounts of one validator at once: all of them can be slashed in one transaction. */
export const UNBONDINGS_MAX = 32;
/** Entries read at once; a scan costs by what is asked for. */
const SCAN_MAX = 100;

const publicKey = hexBytes(33);

export const validatorRecord = record({
  publicKey,
  /** Bonded and not asked back. */
  bonded: u64,
  /** Contradictions proven; a validator with one is in no later set. */
  faults: uint(),
  /** Key of signatures that add up, possession proven; it attests by it from its next set on. */
  bls: optional(hexBytes(BLS_PUBLIC_KEY_BYTES)),
  /** Keys before it: what it signed by them stays provable. */
  formerBls: optional(list(hexBytes(BLS_PUBLIC_KEY_BYTES), BLS_KEYS_MAX - 1)),
});
export type ValidatorRecord = CodecValue<typeof validatorRecord>;

export const unbondingRecord = record({
  publicKey,
  amount: u64,
  releasedAtUs: uint(),
  /** The first era whose set does not count it: until then it is liable, however late that is. */
  leavesInEra: uint(),
});
export type UnbondingRecord = CodecValue<typeof unbondingRecord>;

export const consensusRecord = record({ stakeUnit: u64 });

/** What one validator wants consensus to run with. */
export const parameterVote = storedEraParameters;
export type ParameterVote = StoredEraParameters;

export const stakeKeys = {
  /** → `validatorRecord` */
  validator: (key: string): Bytes => storageKey('validator/', key),
  validators: utf8('validator/'),
  /** → `unbondingRecord` */
  unbonding: (key: string, releasedAtUs: number): Bytes =>
    concatBytes(storageKey('unbonding/', key), numberKey(releasedAtUs)),
  unbondings: (key: string): Bytes => storageKey('unbonding/', key),
  /** → validators of an era, where they change */
  set: validatorSetKey,
  /** → `parameterVote` */
  vote: (key: string): Bytes => storageKey('vote/', key),
  votes: utf8('vote/'),
  /** → parameters of consensus from an era on, where they change */
  parameters: eraParametersKey,
  consensus: utf8('consensus'),
};

export function readValidator({ storage }: Context, key: string): ValidatorRecord | undefined {
  return readValue(storage, stakeKeys.validator(key), validatorRecord);
}

/** With its last money goes its vote. */
export function writeValidator({ storage }: Context, validator: ValidatorRecord): void {
  const key = stakeKeys.validator(validator.publicKey);
  if (validator.bonded === 0n) storage.delete(stakeKeys.vote(validator.publicKey));
  if (validator.bonded === 0n && validator.faults === 0) storage.delete(key);
  else writeValue(storage, key, validatorRecord, validator);
}

export function consensusOf(context: Context): CodecValue<typeof consensusRecord> {
  const consensus = readValue(context.storage, stakeKeys.consensus, consensusRecord);
  return consensus ?? context.revert('STAKE_NO_VALIDATORS', 'this chain has one sequencer');
}

/** The first era whose set and parameters may still be changed: those before it are fixed. */
export function nextOpenEra(context: Context): number {
  return context.block.era + 2;
}

export const weightOf = (bonded: bigint, stakeUnit: bigint): number => Number(bonded / stakeUnit);

/** Everybody with weight who was not slashed, by key. */
export function* validatorsInOffice(context: Context): Generator<ValidatorRecord> {
  const { stakeUnit } = consensusOf(context);
  let cursor: Bytes | undefined;
  for (;;) {
    const page = context.storage.scan(stakeKeys.validators, {
      limit: SCAN_MAX,
      ...(cursor && { cursor }),
    });
    for (const [key, value] of page) {
      cursor = key;
      const validator = decodeWith(validatorRecord, value);
      if (validator.faults === 0 && weightOf(validator.bonded, stakeUnit) > 0) yield validator;
    }
    if (page.length < SCAN_MAX) break;
  }
}
