/** Reputation from the log: what the events of a chain's blocks come to, without asking its state. */
import type { AccountId } from '#libs/kernel';
import { type EmittedEvent, readEvent } from '../contract-kit.ts';
import { disputesEvents } from '../disputes/events.ts';
import { ordersEvents } from '../orders/events.ts';
import { countUnits } from '../orders/units.ts';
import { type Outcome, type ReputationRecord, addOutcome, outcomeOf } from './reputation.ts';

/** What an event says about providers. */
export function outcomesOf(event: EmittedEvent): readonly Outcome[] {
  const settled = readEvent(ordersEvents.settled, event);
  if (settled) return [outcomeOf(settled.provider, { settled: 1, paid: settled.paid })];
  const rejected = readEvent(ordersEvents.rejected, event);
  if (rejected) return [outcomeOf(rejected.provider, { rejected: 1 })];
  const batch = readEvent(ordersEvents.unitsSettled, event);
  if (batch) {
    const { provider, units, withheld = [], paid } = batch;
    const counts = { settled: countUnits(units), rejected: countUnits(withheld) };
    return [outcomeOf(provider, { ...counts, paid })];
  }
  const convicted = readEvent(disputesEvents.convicted, event);
  if (convicted) return [outcomeOf(convicted.provider, { disputesLost: 1 })];
  const decided = readEvent(disputesEvents.decided, event);
  if (decided?.ruling === 'defender') return [outcomeOf(decided.defender, { disputesWon: 1 })];
  if (decided && decided.ruling !== 'undecided')
    return [outcomeOf(decided.defender, { disputesLost: 1 })];
  return [];
}

/** Counts on through the events of blocks in order; give it every block from the first one on. */
export function followReputation(
  records: Map<AccountId, ReputationRecord>,
  events: readonly EmittedEvent[],
  timeUs: number,
): void {
  for (const event of events)
    for (const added of outcomesOf(event)) {
      const { settled, rejected, disputesWon, disputesLost } = added;
      if (settled + rejected + disputesWon + disputesLost === 0) continue;
      records.set(added.provider, addOutcome(records.get(added.provider), added, timeUs));
    }
}
