/**
 * Random audits of results that one provider's word stands for: the share of them that another operator
 * does again afterwards. Which, the hash of the block says that settled the delivery: it was not known when
 * the delivery was signed, and whoever has the chain draws again.
 */
import { hashOf } from '#libs/crypto';
import { type CodecValue, encodeWith, hash32, record, uint } from '#libs/kernel';
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

const drawn = record({
  /** Hash of the block that settled the delivery, and of the delivery as its provider signed it. */
  block: hash32,
  delivery: hash32,
});
/** What fixes a draw. */
export type DrawSeed = CodecValue<typeof drawn>;

const DRAW_DOMAINS = { audit: 'seele/audit-draw/1', replay: 'seele/replay-draw/1' } as const;
const TASK_DOMAIN = 'seele/audit-task/1';
const drawnTask = record({ seed: drawn, unit: uint() });
/** Of 2^52, as much as a double holds exactly. */
const DRAW_DIGITS = 13;

/** A number from 0 to below 1: the delivery is looked at again where it is below the chance. */
export const drawOf = (what: keyof typeof DRAW_DOMAINS, seed: DrawSeed): number =>
  parseInt(hashOf(DRAW_DOMAINS[what], encodeWith(drawn, seed)).slice(0, DRAW_DIGITS), 16) / 2 ** 52;

/** Tasks of a drawn batch that are done again, at most. */
export const AUDIT_SAMPLE = 4;

/** Which of a batch's units are done again, ascending: those whose hashes are the lowest. */
export function sampleOf(
  seed: DrawSeed,
  units: readonly number[],
  most: number = AUDIT_SAMPLE,
): number[] {
  const ranks = units.map((unit) => ({
    ...{ unit, rank: hashOf(TASK_DOMAIN, encodeWith(drawnTask, { seed, unit })) },
  }));
  const lowest = ranks.toSorted((a, b) => (a.rank < b.rank ? -1 : 1)).slice(0, most);
  return lowest.map(({ unit }) => unit).toSorted((a, b) => a - b);
}

/** Chance that a sample of a drawn batch meets one of so many wrong results. */
export function foundInSample(units: number, wrong: number, sample: number = AUDIT_SAMPLE): number {
  let missed = 1;
  for (let i = 0; i < Math.min(sample, units); i++)
    missed *= Math.max(0, units - wrong - i) / (units - i);
  return 1 - missed;
}
