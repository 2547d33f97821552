/** The binding messages of an order of many tasks. */
import { BATCH_UNITS_MAX } from '#contracts';
import { sendBinding } from '../binding-messages.ts';
import { type Step, orderOf, updateOrder } from '../state.ts';
import { arrayOf, pendingUnits } from './batches.ts';

/** Binding messages of one order on the queue at once; slots that fall free ask for the rest. */
const MESSAGES_MAX = 16;

/** Puts binding messages on the queue: one per batch, as many as may be useful now. */
export function enqueueBatches(step: Step, id: string): void {
  const { market, now } = step;
  const row = orderOf(market, id);
  if (row.work !== 'running') return;
  const pending = pendingUnits(arrayOf(row));
  if (pending === 0) return;
  const messages = Math.min(MESSAGES_MAX, Math.ceil(pending / BATCH_UNITS_MAX));
  for (let i = 0; i < messages; i++) {
    const binding = orderOf(market, id).binding + 1;
    sendBinding(step, updateOrder(step, id, { binding }));
  }
  market.deadlines.set(`binding/${id}`, now.monotonicMs + market.config.times.bindingRetryMs);
}
