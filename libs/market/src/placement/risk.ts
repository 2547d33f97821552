/** How likely a wrong result is accepted in a cell, by what is done about it there. */
import type { DomainName, Level } from '#libs/scheduler';
import type { JobNeeds } from '../model/rows.ts';
import { type VerificationRegime, regimeFor, wrongResultRisk } from '../verification/index.ts';

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
}

/** One provider's word: what an order gets that asks for no replicas. */
const ALONE: VerificationRegime = {
  ...{ kind: 'single', terms: { quorum: 1, most: 1 }, isAdaptive: false, checkChance: 0 },
};

/**
 * The real probability, of what this market does: the share of colluders with one provider, the odds
 * of their majority with the replicas that an order asks for.
 */
export function cellRisk(
  { kind = 'js', tier }: Pick<JobNeeds, 'kind' | 'tier'>,
  { domain, level }: { readonly domain: DomainName; readonly level: Level['name'] },
  replicas = 1,
): CellRisk {
  const regime = replicas > 1 ? regimeFor({ kind, tier, level, replicas }) : ALONE;
  const colluders = COLLUDERS_ASSUMED[domain];
  return {
    ...{ wrong: wrongResultRisk(regime, { share: colluders }), colluders },
    ...{ check: regime.kind, replicas: regime.terms.most },
  };
}
