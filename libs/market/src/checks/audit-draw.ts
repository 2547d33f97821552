/** Which results may be audited, and with which chance. */
import type { Delivery } from '#contracts';
import type { OrderRow } from '../model/rows.ts';
import type { Market } from '../state.ts';
import { NO_TRUST, auditChance } from '../verification/index.ts';
import { stakeOf } from './bonds.ts';

/** How a program ends by itself is the same everywhere; what a limit of time or memory ends is not. */
const REPEATABLE: ReadonlySet<string> = new Set(['ok', 'guest-error']);

/** Done, and whoever does it again comes to the same. */
export const isRepeatable = (row: OrderRow | undefined): boolean =>
  row?.work === 'done' && REPEATABLE.has(row.delivery?.delivery.exit ?? '');

/**
 * One provider's word about a `js` job that anybody may run: not of tier C, whose data stays where it is; not
 * with a validator; not made of other orders' results; not by two providers, one after the other.
 */
export function isAuditable({ config }: Market, row: OrderRow): boolean {
  const { needs, signed, array, audit, sources, isResumed } = row;
  if (!config.auditShare || signed.order.consumer === config.signer.account) return false;
  if (array || audit || sources || isResumed) return false;
  const isPlain = (needs.kind ?? 'js') === 'js' && needs.tier !== 'C' && !needs.hasValidator;
  return isPlain && isRepeatable(row);
}

export function auditChanceOf(market: Market, { provider: account, charge }: Delivery): number {
  const provider = market.providers.get(account);
  const trust = provider?.row.trust ?? NO_TRUST;
  const atStake = provider ? stakeOf(market, provider) : 0n;
  return auditChance(trust, { gain: charge, atStake }, market.config.auditShare);
}
