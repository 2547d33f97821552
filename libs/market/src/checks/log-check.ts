/** What a check came to, as the job's log and `seele why` have it. */
import { MARKET_ENTRIES } from '#libs/audit';
import type { CodecValue } from '#libs/kernel';
import { logStep } from '../job-log.ts';
import type { Step } from '../state.ts';

export type CheckEntry = CodecValue<typeof MARKET_ENTRIES.checked>;

export function noteCheck(step: Step, id: string, entry: CheckEntry): void {
  const reason = entry.reason.slice(0, 500);
  logStep(step, id, 'checked', MARKET_ENTRIES.checked, { ...entry, reason });
}
