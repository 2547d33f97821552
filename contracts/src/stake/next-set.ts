/** Who validates two eras from now, chosen from everybody with a bond. */
import { type Validator, VECTOR_VALIDATORS_MAX } from '#libs/eda';
import { encodeWith } from '#libs/kernel';
import { type Context, storedValidators } from '#libs/ledger';
import { demand } from '../errors.ts';
import { consensusOf, nextOpenEra, stakeKeys, validatorsInOffice, weightOf } from './bonds.ts';

/** Validators of one set at most: a node keeps so many links. */
const SET_VALIDATORS_MAX = 256;

/** The heaviest, at most so many. */
function heaviest(all: readonly Validator[], count: number): readonly Validator[] {
  return all
    .toSorted((a, b) => b.weight - a.weight || (a.publicKey < b.publicKey ? -1 : 1))
    .slice(0, count);
}

const totalOf = (validators: readonly Validator[]): number =>
  validators.reduce((sum, { weight }) => sum + weight, 0);

/**
 * Who validates, of all in office. Above 64 votes are added up, which takes a BLS key of everybody. So there
 * are two sets to choose from: the 64 heaviest, or of those with a BLS key as many as a set holds. The heavier
 * one is it: many small validators cannot oust a few large ones by having keys.
 */
export function chooseValidators(all: readonly Validator[]): readonly Validator[] {
  const few = heaviest(all, VECTOR_VALIDATORS_MAX);
  const many = heaviest(
    all.filter(({ bls }) => bls !== undefined),
    SET_VALIDATORS_MAX,
  );
  const isLarge = many.length > VECTOR_VALIDATORS_MAX && totalOf(many) > totalOf(few);
  return (isLarge ? many : few).toSorted((a, b) => (a.publicKey < b.publicKey ? -1 : 1));
}

/**
 * The set two eras from now, from the bonds as they are, by key. A change that would leave nobody is refused.
 */
export function writeNextSet(context: Context): void {
  const { stakeUnit } = consensusOf(context);
  const all: Validator[] = [];
  for (const { publicKey: key, bonded, bls } of validatorsInOffice(context)) {
    const weight = weightOf(bonded, stakeUnit);
    all.push({ publicKey: key, weight, ...(bls !== undefined && { bls }) });
  }
  const chosen = chooseValidators(all);
  demand(context, chosen.length > 0, 'STAKE_LAST_VALIDATOR', 'nobody would validate the chain');
  context.storage.put(stakeKeys.set(nextOpenEra(context)), encodeWith(storedValidators, chosen));
}
