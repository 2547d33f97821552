/** Orders that end before their work is done: by the consumer's wish, or because time is up. */
import { MARKET_ENTRIES } from '#libs/audit';
import { abandonBatches } from './arrays/endings.ts';
import { endOrder, failWork } from './endings.ts';
import { logStep } from './job-log.ts';
import type { MarketEvent } from './model/events.ts';
import type { Reply } from './model/effects.ts';
import { UNFINISHED } from './model/rows.ts';
import { type Step, emit, isRebuilding, orderOf } from './state.ts';
import { viewOf } from './views.ts';

const MS = 1000;
/** Clocks of market and sequencer may differ by so much before anything is worth doing twice. */
const CLOCK_SLACK_MS = 1000;

export function cancelOrder(
  step: Step,
  event: Extract<MarketEvent, { kind: 'cancelOrder' }>,
): void {
  emit(step, { kind: 'reply', request: event.request, reply: cancelReply(step, event) });
}

function cancelReply(step: Step, event: Extract<MarketEvent, { kind: 'cancelOrder' }>): Reply {
  const refused = (code: string, message: string): Reply => ({ is: 'refused', code, message });
  const row = step.market.orders.get(event.order);
  if (!row) return refused('MARKET_ORDER_UNKNOWN', `no order ${event.order}`);
  if (row.signed.order.consumer !== event.by)
    return refused('MARKET_NOT_YOURS', `order of ${row.signed.order.consumer}`);
  if (row.work === 'cancelled') return { is: 'order', view: viewOf(row), repeated: true };
  if (row.rebuilding === true && isRebuilding(step.market))
    return refused('MARKET_REBUILDING', 'the market is reading its orders from the chain');
  // Once a delivery came, the provider has earned its pay: nobody takes the result for nothing.
  const isUnderWay = row.work === 'running' || row.work === 'paused' || row.work === 'blocked';
  if (row.work !== 'queued' && row.work !== 'leased' && !isUnderWay)
    return refused('MARKET_TOO_LATE', `the order is ${row.work}`);
  failWork(step, row.id, 'cancelled', {
    code: 'MARKET_CANCELLED',
    text: 'cancelled by its consumer',
  });
  return { is: 'order', view: viewOf(orderOf(step.market, row.id)), repeated: false };
}

/** completeBy has come: work that is not delivered will not be paid, so it is given up. */
export function completeOverdue(step: Step, id: string): void {
  const { market, now } = step;
  const row = market.orders.get(id);
  if (!row || row.endedAtUs !== undefined) return;
  if (!UNFINISHED.has(row.work)) return;
  const { completeByUs } = row.signed.order;
  // The chain has a delivery that came in time, and it is being looked at.
  const isLookedAt = row.work === 'checking' || row.rebuilding === true;
  if (isLookedAt && row.chain.state === 'delivered') return;
  // The chain counts a bound provider's delivery a little longer, so a check may end.
  const graceMs = row.work === 'checking' ? market.config.times.resultGraceMs : 0;
  const leftMs = (completeByUs - now.timeUs) / MS + graceMs;
  if (leftMs > 0) {
    market.deadlines.set(`complete/${id}`, now.monotonicMs + leftMs + 1);
    return;
  }
  failWork(step, id, 'failed', { code: 'MARKET_NO_TIME', text: 'not delivered by completeBy' });
}

/** placeBy has come and no block placed the order: none ever will. */
export function placeOverdue(step: Step, id: string): void {
  const { market, now } = step;
  const row = market.orders.get(id);
  if (!row || row.endedAtUs !== undefined || row.chain.state !== 'none') return;
  const leftMs = (row.signed.order.placeByUs - now.timeUs) / MS + CLOCK_SLACK_MS;
  if (leftMs > 0 || market.transactionOf.has(id)) {
    market.deadlines.set(`placeBy/${id}`, now.monotonicMs + Math.max(leftMs, CLOCK_SLACK_MS));
    return;
  }
  const code = 'MARKET_NOT_PLACED';
  const text = 'no block took the order by placeBy';
  if (row.work !== 'failed' && row.work !== 'cancelled' && row.work !== 'rejected')
    return failWork(step, id, 'rejected', { code, text });
  // What is in the log last says how it ended.
  if (abandonBatches(step, id, text))
    logStep(step, id, row.work, MARKET_ENTRIES[row.work], { code, reason: text });
  endOrder(step, id);
}
