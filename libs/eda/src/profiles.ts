/**
 * How much may fail: W is the whole weight of a validator set, u the weight that may fail in any way,
 * r ≤ u the part of it that may lie. W ≥ 2u + r + 1 and Q = W − u, so two quorums share an honest
 * validator (2Q − W ≥ r + 1), a quorum has an honest majority (Q ≥ 2r + 1), and what a quorum holds
 * outlives every tolerated failure (Q − u ≥ r + 1).
 */
import { edaError } from './errors.ts';

export const PROFILES = ['classic', 'seele-40', 'resilient-45', 'crash-only'] as const;
export type Profile = (typeof PROFILES)[number];
export const DEFAULT_PROFILE: Profile = 'seele-40';

export interface Tolerance {
  /** Whole weight. */
  readonly total: number;
  /** Weight that may fail in any way: crash, silence, cut links, lies. */
  readonly failed: number;
  /** Weight of it that may lie. */
  readonly lying: number;
  /** Weight that makes a certificate. */
  readonly quorum: number;
}

/** Largest whole weight: sums and products of weights stay exact. */
export const TOTAL_WEIGHT_MAX = 2 ** 40;

// Whole-number percentages: ⌊0.45 W⌋ in floating point is wrong for some W.
const FAILED_PERCENT = { 'seele-40': 40, 'resilient-45': 45 } as const;

function failedWeight(profile: Profile, total: number): number {
  if (profile === 'classic') return Math.floor((total - 1) / 3);
  if (profile === 'crash-only') return Math.floor((total - 1) / 2);
  return Math.floor((total * FAILED_PERCENT[profile]) / 100);
}

/** What a profile tolerates at a whole weight. @throws EDA_PROFILE_INVALID */
export function toleranceOf(profile: Profile, total: number): Tolerance {
  if (!PROFILES.includes(profile) || !Number.isInteger(total) || total < 1)
    throw edaError('EDA_PROFILE_INVALID', `profile "${profile}" at weight ${total}`);
  if (total > TOTAL_WEIGHT_MAX)
    throw edaError('EDA_PROFILE_INVALID', `weight ${total} is above ${TOTAL_WEIGHT_MAX}`);
  const failed = failedWeight(profile, total);
  const lying = profile === 'crash-only' ? 0 : Math.min(failed, total - 2 * failed - 1);
  return { total, failed, lying, quorum: total - failed };
}

/** A sentence for whoever creates such a chain, when one liar could break it; else undefined. */
export function toleranceWarning(profile: Profile, weights: readonly number[]): string | undefined {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const { lying, failed } = toleranceOf(profile, total);
  const lightest = Math.min(...weights);
  const heaviest = Math.max(...weights);
  if (lying < lightest)
    return `profile ${profile} with ${weights.length} validators of whole weight ${total} tolerates no lying validator`;
  if (lying < heaviest)
    return `profile ${profile} tolerates lies of weight ${lying}, the heaviest validator has ${heaviest}`;
  return failed < heaviest
    ? `profile ${profile} tolerates a loss of weight ${failed}, the heaviest validator has ${heaviest}`
    : undefined;
}
