/**
 * Parameters of consensus that validators change while the chain runs: the interval ε within which
 * positions agree, and the rate at which large sets sample. Each validator names one pair of values; a pair
 * that more than two thirds of all weight name is in force from the era on that no set is fixed for yet.
 */
import { accountOf } from '#libs/crypto';
import { EPSILON_MAX_US, SAMPLING_MAX } from '#libs/eda';
import { hexBytes, optional, record, uint } from '#libs/kernel';
import { type Context, STAKE_CONTRACT, defineMethod } from '#libs/ledger';
import { defineEvent, emit, readValue, writeValue } from '../contract-kit.ts';
import { demand } from '../errors.ts';
import {
  type ParameterVote,
  consensusOf,
  nextOpenEra,
  parameterVote,
  readValidator,
  stakeKeys,
  validatorsInOffice,
  weightOf,
} from './bonds.ts';

const pair = { epsilonUs: uint(), samplingPerMille: uint() };

/** Decided: in force from `era` on. */
export const parametersEvent = defineEvent(
  STAKE_CONTRACT,
  'parameters',
  record({ era: uint(), ...pair }),
);

/** Weight that names this pair, and all weight; both as of now. */
function countVotes(context: Context, wanted: ParameterVote) {
  const { stakeUnit } = consensusOf(context);
  let agreeing = 0;
  let total = 0;
  for (const { publicKey: key, bonded } of validatorsInOffice(context)) {
    const weight = weightOf(bonded, stakeUnit);
    const vote = readValue(context.storage, stakeKeys.vote(key), parameterVote);
    total += weight;
    if (vote?.epsilonUs !== wanted.epsilonUs) continue;
    if (vote.samplingPerMille === wanted.samplingPerMille) agreeing += weight;
  }
  return { agreeing, total };
}

export const parameterMethods = {
  /**
   * The account of a validator's key: names the values it wants; the last vote of each counts, with the
   * weight it has when somebody votes.
   */
  voteParameters: defineMethod({
    name: 'voteParameters',
    args: record({ publicKey: hexBytes(33), ...pair }),
    returns: record({
      agreeing: uint(),
      total: uint(),
      /** The first era with these values, once they are decided. */
      era: optional(uint()),
    }),
    run(context, { publicKey: key, epsilonUs, samplingPerMille }) {
      const { stakeUnit } = consensusOf(context);
      demand(
        context,
        context.caller === accountOf(key),
        'STAKE_NOT_OWNER',
        `${context.caller} is not the account of ${key}`,
      );
      const before = readValidator(context, key);
      if (!before || weightOf(before.bonded, stakeUnit) === 0)
        return context.revert('STAKE_UNKNOWN', `${key} has no weight`);
      demand(context, before.faults === 0, 'STAKE_SLASHED', `${key} contradicted itself`);
      const isInRange =
        epsilonUs >= 1 &&
        epsilonUs <= EPSILON_MAX_US &&
        samplingPerMille >= 1 &&
        samplingPerMille <= SAMPLING_MAX;
      demand(
        context,
        isInRange,
        'STAKE_PARAMETERS_INVALID',
        `an interval of ${epsilonUs} µs, ${samplingPerMille} seats per thousand`,
      );
      const wanted = { epsilonUs, samplingPerMille };
      writeValue(context.storage, stakeKeys.vote(key), parameterVote, wanted);
      const { agreeing, total } = countVotes(context, wanted);
      if (3 * agreeing <= 2 * total) return { agreeing, total };
      const era = nextOpenEra(context);
      writeValue(context.storage, stakeKeys.parameters(era), parameterVote, wanted);
      emit(context, parametersEvent, { era, ...wanted });
      return { agreeing, total, era };
    },
  }),
};
