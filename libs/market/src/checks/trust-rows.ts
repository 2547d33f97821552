/** A provider's trust, kept in its row. */
import { countFault } from '../faults.ts';
import { type Step, saveRow } from '../state.ts';
import { NO_TRUST, provedRight, provedWrong } from '../verification/index.ts';

/** One comparison of a provider's results with somebody else's. */
export function noteComparison(step: Step, account: string, isWrong: boolean): void {
  const provider = step.market.providers.get(account);
  if (!provider) return;
  const before = provider.row.trust ?? NO_TRUST;
  const trust = isWrong ? provedWrong(before, step.now.timeUs) : provedRight(before);
  provider.row = { ...provider.row, trust };
  saveRow(step, 'provider', account, provider.row);
  if (isWrong) countFault(step, account);
}
