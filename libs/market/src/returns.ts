/**
 * Providers that are expected back. A line that broke, and a market that starts again, are no reason to
 * refuse an order: for `returnMs` the provider counts as one that can be had, though nothing is leased to
 * it, and only then as offline.
 */
import { type ProviderState, type Step, saveRow } from './state.ts';

/** It is not there now, and may be back in a moment. */
export function expectBack({ market, now }: Step, provider: ProviderState): void {
  provider.isExpected = true;
  const { returnMs } = market.config.times;
  market.deadlines.set(`return/${provider.row.provider}`, now.monotonicMs + returnMs);
}

/** It is there, and nobody waits for it any more. */
export function welcomeBack({ market }: Step, provider: ProviderState): void {
  provider.isExpected = false;
  market.deadlines.clear(`return/${provider.row.provider}`);
}

/** It said that it goes, or did not come back in time. */
export function giveUp(step: Step, account: string): void {
  const provider = step.market.providers.get(account);
  if (!provider || provider.session !== undefined) return;
  provider.isExpected = false;
  provider.row = { ...provider.row, goneUs: step.now.timeUs };
  saveRow(step, 'provider', account, provider.row);
}
