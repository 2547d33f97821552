/**
 * Random audits of results that one provider's word stands for: the share of them that another operator
 * does again afterwards. The draw is made when the signed delivery is in, so nobody can know beforehand.
 */
import { type Trust, isTrusted } from './trust.ts';

/** Share of the results of a trusted provider, where a market says nothing else. */
export const AUDIT_LEAST = 0.02;
/** Of one that has not earned trust so many times as much, doubled with each result found wrong. */
export const AUDIT_YOUNG_FACTOR = 5;
/** However little is at stake, no more than this is done twice. */
export const AUDIT_MOST = 0.5;
/** Cheating is to lose money for certain, not just about. */
const MARGIN = 1.25;

/** Three answers of distinct operators decide. */
export const AUDIT_TERMS = { quorum: 2, most: 3 } as const;

export interface AuditStake {
  /** What one accepted lie brings in: the price. */
  readonly gain: bigint;
  /** What a proven lie costs; 0 without a bond. */
  readonly atStake: bigint;
}

/**
 * Chance that a result is audited: by trust, and at least so much that q · S > gain as long as the stake
 * is worth more than three prices. Who has nothing at stake risks its name only.
 */
export function auditChance(
  trust: Trust,
  { gain, atStake }: AuditStake,
  least: number = AUDIT_LEAST,
): number {
  const young = least * AUDIT_YOUNG_FACTOR * 2 ** Math.min(trust.wrong, 10);
  const needed = atStake === 0n ? 0 : (MARGIN * Number(gain)) / Number(atStake);
  return Math.max(least, Math.min(AUDIT_MOST, Math.max(isTrusted(trust) ? 0 : young, needed)));
}
