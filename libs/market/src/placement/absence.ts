/** Why a provider takes nothing at all. */
import type { Market, ProviderState } from '../state.ts';

export type Absence = 'offline' | 'draining' | 'unsteady';

/**
 * @param nowMs given, the question is who takes work at this moment; without it, who can be counted on:
 *   then a provider that rests for a moment, or is expected back, counts as there
 */
export function absenceOf(
  market: Market,
  provider: ProviderState,
  nowMs?: number,
): Absence | undefined {
  const { session, isExpected, draining, row } = provider;
  if (session === undefined && (nowMs !== undefined || !isExpected)) return 'offline';
  if (draining) return 'draining';
  return nowMs !== undefined && market.places.isUnsteady(row.provider, nowMs)
    ? 'unsteady'
    : undefined;
}
