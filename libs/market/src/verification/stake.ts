/**
 * Stake against cheating. Whoever cheats on every task gains `gain` each time and is found out with
 * probability `q` each time, so 1/q times on average before it ends: gain/q in all. It then loses the
 * stake. Cheating loses money when q · S exceeds the gain.
 */
import { marketError } from '../errors.ts';

const MILLION = 1_000_000n;

export interface StakeTerms {
  /** Probability that a result is checked, 0 to 1. */
  readonly checkChance: number;
  /** What a proven lie costs: the slashable part of the stake, smallest units. */
  readonly atStake: bigint;
  /** What one accepted lie brings in: the price of the task, all of its cost saved. */
  readonly gain: bigint;
}

export interface StakeVerdict {
  /** q·S > gain. */
  readonly isDeterred: boolean;
  /** q·S, smallest units, rounded down: what cheating once costs on average. */
  readonly expectedLoss: bigint;
  /** Least stake with which cheating loses; undefined when nothing is checked. */
  readonly stakeNeeded: bigint | undefined;
}

/** In millionths, rounded down: never claims more than is checked. */
function millionths(chance: number): bigint {
  if (!(chance >= 0 && chance <= 1))
    throw marketError('MARKET_VERIFICATION_TERMS', `a probability of ${chance}`);
  return BigInt(Math.floor(chance * 1_000_000));
}

/**
 * The inequality, exactly.
 *
 * @throws MARKET_VERIFICATION_TERMS
 */
export function judgeStake({ checkChance, atStake, gain }: StakeTerms): StakeVerdict {
  const q = millionths(checkChance);
  if (atStake < 0n || gain < 0n)
    throw marketError('MARKET_VERIFICATION_TERMS', `stake ${atStake}, gain ${gain}`);
  const isDeterred = q * atStake > gain * MILLION;
  return {
    isDeterred,
    expectedLoss: (q * atStake) / MILLION,
    stakeNeeded: q === 0n ? undefined : (gain * MILLION) / q + 1n,
  };
}
