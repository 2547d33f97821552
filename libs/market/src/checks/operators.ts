/** Replicas go to distinct operators: with too few of them nothing could ever be decided. */
import type { JobNeeds } from '../model/rows.ts';
import { absenceOf } from '../placement/absence.ts';
import type { Market } from '../state.ts';
import { QUORUM_TERMS } from '../verification/index.ts';
import { distrustOf } from './bonds.ts';

export interface Operators {
  /** So many must agree; 1 where one operator's word is taken. */
  readonly wanted: number;
  /** So many that fit are there, whether they have room now or not. */
  readonly there: number;
}

/** @param cap most that one task may cost; undefined for any price */
export function operatorsFor(market: Market, needs: JobNeeds, cap: bigint | undefined): Operators {
  const { most = 1, isAdaptive = false } = needs.replicas ?? {};
  const wanted = isAdaptive ? QUORUM_TERMS.quorum : (most >> 1) + 1;
  const { cells } = market.places.fits.of(market.providers, needs);
  let there = 0;
  for (const { candidates } of cells)
    for (const { provider, price } of candidates) {
      if (cap !== undefined && price > cap) continue;
      if (!absenceOf(market, provider) && !distrustOf(market, provider, price)) there++;
    }
  return { wanted: most === 1 ? 1 : wanted, there };
}
