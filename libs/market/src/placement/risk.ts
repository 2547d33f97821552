/** How likely a wrong result is accepted in a cell, by what is done about it there. */
import type { DomainName, Level } from '#libs/scheduler';
import type { JobNeeds } from '../model/rows.ts';
import { regimeFor, wrongResultRisk } from '../verification/index.ts';

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

const known = new Map<string, CellRisk>();

/** The real probability, not a slogan: with one replica it is the share of colluders. */
export function cellRisk(
  { kind = 'js', tier }: Pick<JobNeeds, 'kind' | 'tier'>,
  { domain, level }: { readonly domain: DomainName; readonly level: Level['name'] },
): CellRisk {
  // So few combinations that each is computed once.
  const key = `${kind} ${tier} ${domain} ${level}`;
  const before = known.get(key);
  if (before) return before;
  const regime = regimeFor({ kind, tier, level });
  const colluders = COLLUDERS_ASSUMED[domain];
  const risk = {
    ...{ wrong: wrongResultRisk(regime, { share: colluders }), colluders },
    ...{ check: regime.kind, replicas: regime.terms.most },
  };
  known.set(key, risk);
  return risk;
}
