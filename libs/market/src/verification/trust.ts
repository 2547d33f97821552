/**
 * Adaptive replication, after BOINC: who gave enough right results in a row is trusted with a task
 * alone, and still checked now and then without knowing when. Only compared results count, so nobody
 * earns trust by results that nobody looked at. A provider caught with a wrong result starts again and
 * has twice as far to go; what it delivered alone and is not yet paid is run again elsewhere.
 */
import { optional, record, uint, type CodecValue } from '#libs/kernel';

/** What a market remembers of one provider's results. */
export const trustRecord = record({
  /** Right results in a row that were compared with somebody else's. */
  consecutiveValid: uint(),
  /** Results found wrong, ever. */
  wrong: uint(),
  /** When the last wrong one was found (µs). */
  lastWrongUs: optional(uint()),
});
export type Trust = CodecValue<typeof trustRecord>;

export const NO_TRUST: Trust = { consecutiveValid: 0, wrong: 0 };

/** Right results in a row from which on a provider works alone. */
export const TRUST_AT = 10;
/** However long the row, one task in so many is checked. */
export const CHECK_AT_LEAST_ONE_IN = 20;
/** Wrong results after which a provider gets no more replicated work, and its stake is asked for. */
export const WRONG_MAX = 3;

/** How long a row this provider needs: twice as long after each wrong result. */
export const trustNeeded = ({ wrong }: Trust): number => TRUST_AT * 2 ** Math.min(wrong, 10);

export const isTrusted = (trust: Trust): boolean => trust.consecutiveValid >= trustNeeded(trust);

/** Too often wrong to be asked again. */
export const isExcluded = ({ wrong }: Trust): boolean => wrong >= WRONG_MAX;

/** Chance that a result of this provider is compared with another's: 1, or 1/CV once trusted. */
export const checkChance = (trust: Trust): number =>
  isTrusted(trust) ? 1 / Math.min(trust.consecutiveValid, CHECK_AT_LEAST_ONE_IN) : 1;

/** A comparison bore the provider out. */
export const provedRight = (trust: Trust): Trust => ({
  ...trust,
  consecutiveValid: trust.consecutiveValid + 1,
});

/** A comparison showed the provider wrong. */
export const provedWrong = (trust: Trust, nowUs: number): Trust => ({
  consecutiveValid: 0,
  wrong: trust.wrong + 1,
  lastWrongUs: nowUs,
});
