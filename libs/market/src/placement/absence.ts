/** Why a provider takes nothing at all now. */
import type { Market, ProviderState } from '../state.ts';

export type Absence = 'offline' | 'draining' | 'unsteady';

/** @param nowMs without it a provider that rests for a moment counts as there */
export function absenceOf(
  market: Market,
  { session, draining, row }: ProviderState,
  nowMs?: number,
): Absence | undefined {
  if (session === undefined) return 'offline';
  if (draining) return 'draining';
  return nowMs !== undefined && market.places.isUnsteady(row.provider, nowMs)
    ? 'unsteady'
    : undefined;
}
