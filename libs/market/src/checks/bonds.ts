/**
 * What providers stand to lose: their bond in contract `disputes`, read from the chain. Of level `assured`
 * they get no work without a bond that makes lying lose money; of the others it sets how often one is audited.
 */
import type { MarketEvent } from '../model/events.ts';
import type { JobNeeds } from '../model/rows.ts';
import { priceAtLimits } from '../pricing.ts';
import { type Market, type ProviderState, type Step, emit } from '../state.ts';
import { CHECK_AT_LEAST_ONE_IN, isExcluded, judgeStake } from '../verification/index.ts';

const ASK_AGAIN_MS = 3_000;
const PER_MILLE = 1_000n;

/** True when a lie about a job of this price would pay this provider. */
function lacksBond(
  { config: { slashedPerMille } }: Pick<Market, 'config'>,
  { row: { offer }, bonded = 0n }: ProviderState,
  price: bigint,
): boolean {
  if (slashedPerMille === undefined || offer.level !== 'assured') return false;
  const atStake = (bonded * slashedPerMille) / PER_MILLE;
  return !judgeStake({ checkChance: 1 / CHECK_AT_LEAST_ONE_IN, atStake, gain: price }).isDeterred;
}

/** What a proven lie takes of a provider's bond, as last read. */
export const stakeOf = (
  { config: { slashedPerMille = 0n } }: Pick<Market, 'config'>,
  { bonded = 0n }: ProviderState,
): bigint => (bonded * slashedPerMille) / PER_MILLE;

/** Why a provider gets none of it: found wrong too often where results are audited, or too little at stake. */
export function distrustOf(
  market: Market,
  provider: ProviderState,
  price: bigint,
): 'barred' | 'bond' | undefined {
  const { trust } = provider.row;
  if (market.config.auditShare && trust && isExcluded(trust)) return 'barred';
  return lacksBond(market, provider, price) ? 'bond' : undefined;
}

/** The same for a job with its limits used up. */
export const distrustFor = (market: Market, provider: ProviderState, needs: JobNeeds) =>
  distrustOf(market, provider, priceAtLimits(provider.row.offer, needs.limits));

/** A provider came, or its bond changed: the bond is read before it gets work. */
export function askBond(step: Step, account: string): void {
  const { market, now } = step;
  const provider = market.providers.get(account);
  const { slashedPerMille, auditShare = 0 } = market.config;
  if (slashedPerMille === undefined || provider?.session === undefined) return;
  if (provider.row.offer.level !== 'assured' && auditShare === 0) return;
  emit(step, { kind: 'readBond', account });
  market.deadlines.set(`bond/${account}`, now.monotonicMs + ASK_AGAIN_MS);
}

export function bondRead(
  step: Step,
  { account, bonded }: Extract<MarketEvent, { kind: 'bondRead' }>,
): void {
  const { market, now } = step;
  market.deadlines.clear(`bond/${account}`);
  const provider = market.providers.get(account);
  if (!provider || provider.bonded === bonded) return;
  provider.bonded = bonded;
  market.deadlines.setEarlier(`fill/${account}`, now.monotonicMs);
}
