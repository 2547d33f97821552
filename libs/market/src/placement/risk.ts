/** How likely a wrong result is accepted in a cell, by what is done about it there. */
import { BATCH_UNITS_MAX } from '#contracts';
import type { DomainName, Level } from '#libs/scheduler';
import type { JobNeeds } from '../model/rows.ts';
import {
  AUDIT_SAMPLE,
  REPLAY_CHANCE,
  type VerificationRegime,
  regimeFor,
  wrongResultRisk,
} from '../verification/index.ts';

/**
 * Share of a domain's operators assumed to lie together. Nobody can measure it: it is stated with
 * every risk, so that whoever assumes another can compute another.
 */
const COLLUDERS_ASSUMED: Readonly<Record<DomainName, number>> = {
  public: 0.2,
  vetted: 0.1,
  confidential: 0.05,
  private: 0.01,
};

export interface CellRisk {
  /** Probability that a wrong result is accepted, if so many collude and lie in this job. */
  readonly wrong: number;
  readonly colluders: number;
  /** What is done about it, and with how many replicas at most. */
  readonly check: 'single' | 'quorum' | 'replay' | 'validator';
  readonly replicas: number;
  /** Two that agree decide, and who is trusted works alone, to be compared with `checkChance`. */
  readonly isAdaptive: boolean;
  /** Least share of results that somebody else looks at. */
  readonly checkChance: number;
}

/** What a market does beside what orders ask for: shares of results that are done again, 0 for none. */
export interface MarketChecks {
  readonly replayShare?: number;
  readonly auditShare?: number;
}

/** One provider's word. */
const ALONE: VerificationRegime = {
  ...{ kind: 'single', terms: { quorum: 1, most: 1 }, isAdaptive: false, checkChance: 0 },
};

type Checked = Pick<JobNeeds, 'kind' | 'tier' | 'tasks' | 'replicas' | 'hasValidator'>;

/** Least chance that one task is done again: of a drawn batch it is a few. */
const sampledShare = (tasks: number): number =>
  Math.min(1, AUDIT_SAMPLE / Math.min(tasks, BATCH_UNITS_MAX));

/** What this market does about such an order; the rules know more than it does (docs/limits.md). */
function regimeOf(
  { kind = 'js', tier, tasks = 1, replicas, hasValidator = false }: Checked,
  level: Level['name'],
  { replayShare = REPLAY_CHANCE, auditShare = 0 }: MarketChecks,
): VerificationRegime {
  if (replicas && replicas.most > 1)
    return regimeFor({
      ...{ kind, tier, level, replicas: replicas.most, isAdaptive: replicas.isAdaptive },
    });
  if (kind !== 'js' && !hasValidator) return { ...ALONE, kind: 'replay', checkChance: replayShare };
  // Nothing is done again that must stay where it is.
  const isAudited = kind === 'js' && tier !== 'C';
  const checkChance = isAudited ? auditShare * sampledShare(tasks) : 0;
  // What a program lets pass is up to the program.
  return { ...ALONE, checkChance, ...(hasValidator && { kind: 'validator' as const }) };
}

/**
 * The real probability, of what this market does. A replay is the market's own, which does not lie; like an audit it
 * comes after the result was accepted: it bounds how often one lies unseen, and its provider's bond pays.
 */
export function cellRisk(
  needs: Checked,
  { domain, level }: { readonly domain: DomainName; readonly level: Level['name'] },
  checks: MarketChecks = {},
): CellRisk {
  const regime = regimeOf(needs, level, checks);
  const colluders = COLLUDERS_ASSUMED[domain];
  // Another operator may lie for it; the market does not.
  const isSeen = regime.checkChance * (regime.kind === 'replay' ? 1 : 1 - colluders);
  const wrong =
    regime.kind === 'quorum'
      ? wrongResultRisk(regime, { share: colluders })
      : colluders * (1 - isSeen);
  return {
    ...{ wrong, colluders, check: regime.kind, replicas: regime.terms.most },
    ...{ isAdaptive: regime.isAdaptive, checkChance: regime.checkChance },
  };
}
