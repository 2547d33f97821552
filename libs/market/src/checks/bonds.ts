/**
 * What providers of level `assured` stand to lose: their bond in contract `disputes`, read from the chain.
 * Without a bond that makes lying lose money they get no work of that level.
 */
import type { MarketEvent } from '../model/events.ts';
import type { JobNeeds } from '../model/rows.ts';
import { priceAtLimits } from '../pricing.ts';
import { type Market, type ProviderState, type Step, emit } from '../state.ts';
import { CHECK_AT_LEAST_ONE_IN, judgeStake } from '../verification/index.ts';

const ASK_AGAIN_MS = 3_000;
const PER_MILLE = 1_000n;

/** True when a lie about a job of this price would pay this provider. */
export function lacksBond(
  { config: { slashedPerMille } }: Pick<Market, 'config'>,
  { row: { offer }, bonded = 0n }: ProviderState,
  price: bigint,
): boolean {
  if (slashedPerMille === undefined || offer.level !== 'assured') return false;
  const atStake = (bonded * slashedPerMille) / PER_MILLE;
  return !judgeStake({ checkChance: 1 / CHECK_AT_LEAST_ONE_IN, atStake, gain: price }).isDeterred;
}

/** The same for a job with its limits used up. */
export const lacksBondFor = (market: Market, provider: ProviderState, needs: JobNeeds): boolean =>
  lacksBond(market, provider, priceAtLimits(provider.row.offer, needs.limits));

/** A provider came, or its bond changed: the bond is read before it gets work. */
export function askBond(step: Step, account: string): void {
  const { market, now } = step;
  const provider = market.providers.get(account);
  const isWanted = market.config.slashedPerMille !== undefined;
  if (!isWanted || provider?.row.offer.level !== 'assured' || provider.session === undefined)
    return;
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
