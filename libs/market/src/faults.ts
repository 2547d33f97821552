/** Whose fault a lost grant was, and how long whoever lost it waits. */
import { observeBrokenOffer } from './placement/observe.ts';
import type { RetryClass } from './retry.ts';
import { type Step, saveRow } from './state.ts';

/** Holds a fault against a provider. */
export function countFault(step: Step, account: string): void {
  const provider = step.market.providers.get(account);
  if (!provider) return;
  provider.row = { ...provider.row, faults: provider.row.faults + 1 };
  saveRow(step, 'provider', account, provider.row);
}

/** What a lost lease says about its provider's offer, and about how steady it is. */
export function noteOffer(step: Step, account: string, retry: RetryClass): void {
  const { market, now } = step;
  const provider = market.providers.get(account);
  if (provider && retry === 'cannot') observeBrokenOffer(step, provider);
  if (retry !== 'silence') return;
  const restsUntilMs = market.places.wentAway(account, now.monotonicMs);
  if (restsUntilMs !== undefined) market.deadlines.set(`fill/${account}`, restsUntilMs);
}

/** Doubles with each lost grant; up to half of it is random, so that retries do not march in step. */
export function backoffMs(step: Step, losses: number): number {
  const { backoffMs: first, backoffMaxMs } = step.market.config.times;
  const full = Math.min(backoffMaxMs, first * 2 ** Math.min(losses - 1, 20));
  const [draw = 0] = step.randomness.bytes(1);
  return Math.round(full * (0.5 + draw / 510));
}
