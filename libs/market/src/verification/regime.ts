/** Which check a job gets, by its kind, tier and level, and the risk that stays with it. */
import type { JobKind, Manifest, Tier } from '../manifest.ts';
import {
  type Crowd,
  type QuorumOdds,
  type QuorumTerms,
  answersNeeded,
  quorumOdds,
} from './collusion.ts';
import { AUDIT_LEAST } from './audit.ts';
import { QUORUM_TERMS } from './terms.ts';
import { CHECK_AT_LEAST_ONE_IN } from './trust.ts';

export type LevelName = 'eco' | 'standard' | 'fast' | 'assured';

export interface VerificationRegime {
  /**
   * `single`: one provider, its word. `quorum`: equal result hashes of distinct operators.
   * `replay`: one provider, and another runs it again in the metered engine, at random.
   * `validator`: one provider, and a program that the manifest names says accept or reject, run by another.
   */
  readonly kind: 'single' | 'quorum' | 'replay' | 'validator';
  readonly terms: QuorumTerms;
  /** Trusted providers work alone, and are checked as `checkChance` says. */
  readonly isAdaptive: boolean;
  /** Least probability that somebody else looks at a result. */
  readonly checkChance: number;
}

/** Share of metered results that are run again. */
export const REPLAY_CHANCE = 1 / CHECK_AT_LEAST_ONE_IN;
const ALONE: QuorumTerms = { quorum: 1, most: 1 };

export interface VerificationNeeds {
  readonly kind: JobKind;
  readonly tier: Tier;
  readonly level: LevelName;
  /** Replicas that the job asks for itself; a majority of them decides and nobody works alone. */
  readonly replicas?: number;
  /** Two that agree of at most `replicas` decide, and who is trusted works alone. */
  readonly isAdaptive?: boolean;
  /** The manifest names a validator program. */
  readonly hasValidator?: boolean;
}

/** The check that these needs come to. */
export function regimeFor(needs: VerificationNeeds): VerificationRegime {
  const { kind, tier, level, replicas, isAdaptive, hasValidator } = needs;
  if (replicas !== undefined && replicas > 1 && !isAdaptive) {
    const terms = { quorum: (replicas >> 1) + 1, most: replicas };
    return { kind: 'quorum', terms, isAdaptive: false, checkChance: 1 };
  }
  if (hasValidator) return { kind: 'validator', terms: ALONE, isAdaptive: false, checkChance: 1 };
  if (kind !== 'js')
    return { kind: 'replay', terms: ALONE, isAdaptive: false, checkChance: REPLAY_CHANCE };
  const isStatedAlone = replicas === 1;
  if (isAdaptive || (!isStatedAlone && (tier === 'C' || level === 'assured')))
    return {
      ...{ kind: 'quorum', isAdaptive: true, checkChance: 1 / CHECK_AT_LEAST_ONE_IN },
      terms: { ...QUORUM_TERMS, most: replicas ?? QUORUM_TERMS.most },
    };
  return { kind: 'single', terms: ALONE, isAdaptive: false, checkChance: AUDIT_LEAST };
}

/**
 * True for jobs that are checked by further operators unless they say otherwise: `js` jobs of tier C, and
 * those that permit the level `assured` only.
 */
export const asksForQuorum = ({
  kind,
  tier,
  placement,
}: Pick<Manifest, 'kind' | 'tier' | 'placement'>): boolean =>
  kind === 'js' &&
  (tier === 'C' || placement?.levels?.every((level) => level === 'assured') === true);

/** Assumed of a domain whose operators nobody vetted, unless a market says otherwise. */
export const COLLUDING_SHARE_ASSUMED = 0.2;

/**
 * Probability that a wrong result of one task is accepted, if this share of the operators colluded and
 * lied in that task. The worst moment: colluders who behaved until they were trusted.
 */
export function wrongResultRisk(regime: VerificationRegime, crowd: Crowd): number {
  const share = 'share' in crowd ? crowd.share : crowd.colluders / Math.max(1, crowd.operators);
  switch (regime.kind) {
    case 'quorum': {
      const odds = oddsWithin(regime.terms, crowd);
      if (!odds) return share;
      if (!regime.isAdaptive) return odds.wrong;
      const { checkChance } = regime;
      // Alone where not checked; where checked, the quorum must still be wrong.
      return Math.min(1, share * (1 - checkChance) + checkChance * odds.wrong);
    }
    case 'validator':
    case 'replay':
    case 'single': {
      // Not checked and lied, or checked by one who lies too.
      const both = oddsWithin({ quorum: 2, most: 2 }, crowd)?.wrong ?? share;
      return share * (1 - regime.checkChance) + regime.checkChance * both;
    }
  }
}

/** Undefined when there are fewer operators than replicas. */
function oddsWithin(terms: QuorumTerms, crowd: Crowd): QuorumOdds | undefined {
  if ('operators' in crowd && crowd.operators < answersNeeded(terms)) return undefined;
  return quorumOdds(terms, crowd);
}

/** As counts: so many of these operators, the share rounded up. */
export const crowdOf = (operators: number, share = COLLUDING_SHARE_ASSUMED): Crowd => ({
  operators,
  colluders: Math.ceil(operators * share),
});
