/** Taking the slot of cheap work for other work, be the one or the other a job or a batch of many tasks. */
import { freeBatch, loseBatch } from './arrays/endings.ts';
import { loseLease } from './endings.ts';
import type { UnitsRow } from './model/rows.ts';
import { type Victim, preemptionReason } from './placement/preempt.ts';
import type { LeaseEnd } from './retry.ts';
import { type Step, orderOf, updateOrder } from './state.ts';

/** Frees the victim's slot for an order that is given it at once. */
export function makeRoom(step: Step, by: string, { order, batch }: Victim): void {
  const reason = preemptionReason(step.market, by);
  const end = { code: 'PREEMPTED', reason, retry: 'preempted' } as const;
  if (batch) preemptBatch(step, batch, end);
  else loseLease(step, order, end);
}

/** What of the batch was delivered is looked at and counts; the rest goes back, and the slot is free at once. */
function preemptBatch(step: Step, batch: UnitsRow, end: LeaseEnd): void {
  const { preempted = 0 } = orderOf(step.market, batch.order);
  updateOrder(step, batch.order, { preempted: preempted + 1 });
  loseBatch(step, batch, end);
  freeBatch(step, batch);
  const { lease } = batch;
  if (step.market.batches.has(lease))
    step.market.deadlines.set(`units/${lease}`, step.now.monotonicMs);
}
