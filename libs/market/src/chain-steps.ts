/**
 * What each order wants of the chain next. The chain's own record, as final blocks tell it, decides:
 * one step at a time, and pay-out only of a delivery that a final block holds.
 */
import { arrayCalls } from './arrays/chain.ts';
import { keyOfCall } from './chain-calls.ts';
import { isContradicted } from './delivery-hash.ts';
import type { MarketCall, OrderRow, TransactionRow } from './model/rows.ts';
import { type Step, updateOrder } from './state.ts';
import { startTransaction } from './transactions.ts';

/** The step that would bring the order on, or undefined when there is nothing to do but wait. */
export function nextCall(row: OrderRow, nowUs: number): MarketCall | undefined {
  // Of an order that is being taken over from the chain nobody knows yet what it wants.
  if (row.rebuilding === true && row.work === 'queued') return undefined;
  switch (row.chain.state) {
    case 'none':
      return isWorthPlacing(row, nowUs) ? placeOf(row) : undefined;
    case 'placed':
    case 'bound':
      return nextOfHeld(row, nowUs);
    case 'delivered':
      return nextOfDelivered(row);
    default:
      return undefined;
  }
}

const placeOf = ({ signed: order, topUp }: OrderRow): MarketCall => ({
  ...{ kind: 'place', order },
  ...(topUp !== undefined && { topUp }),
});

function isWorthPlacing(row: OrderRow, nowUs: number): boolean {
  if (row.work === 'rejected' || nowUs > row.signed.order.placeByUs) return false;
  // Once sent it is seen through, even to be cancelled: otherwise nobody knows when it is over.
  const givenUp = row.work === 'failed' || row.work === 'cancelled';
  return !givenUp || row.sentToChain === 'yes';
}

function nextOfHeld(row: OrderRow, nowUs: number): MarketCall | undefined {
  const order = row.id;
  switch (row.work) {
    case 'failed':
    case 'cancelled':
    case 'rejected':
      return { kind: 'cancel', order };
    case 'queued':
    case 'blocked':
      return nowUs > row.signed.order.completeByUs ? { kind: 'refund', order } : undefined;
    case 'leased':
    case 'checking':
      return bindOf(row);
    case 'running':
    case 'paused':
      return undefined;
    case 'done':
      if (!row.delivery) return undefined;
      return row.chain.state === 'bound' && row.chain.fence === row.delivery.delivery.fence
        ? { kind: 'deliver', delivery: row.delivery }
        : bindOf(row);
  }
}

function bindOf(row: OrderRow): MarketCall | undefined {
  if (!row.lease || row.lease.fence <= row.chain.fence) return undefined;
  const { provider, price, fence } = row.lease;
  return { kind: 'bind', order: row.id, provider, price, fence };
}

/** Only what the market accepted is paid; a delivery that a provider relayed itself is rejected. */
function nextOfDelivered(row: OrderRow): MarketCall | undefined {
  const order = row.id;
  const { fence } = row.chain;
  const accepted =
    row.work === 'done' &&
    row.delivery?.delivery.fence === fence &&
    !isContradicted(row.chain, row.delivery.delivery);
  if (accepted) return { kind: 'settle', order, fence };
  const undecided =
    (row.work === 'leased' || row.work === 'checking') && row.lease?.fence === fence;
  return undecided ? undefined : { kind: 'reject', order, fence, reason: 'MARKET_NOT_ACCEPTED' };
}

/** Brings the order's next chain step under way, if there is one and room for it. */
export function pursueChain(step: Step, id: string): void {
  const { market } = step;
  const row = market.orders.get(id);
  if (!row || row.endedAtUs !== undefined) {
    market.wanting.delete(id);
    return;
  }
  // One step at a time: the answer to this one decides the next.
  if (market.deadlines.has(`chain/${id}`)) return;
  if (row.array && row.chain.state === 'placed') return pursueBatches(step, row);
  if (market.transactionOf.has(id)) return;
  const call = nextCall(row, step.now.timeUs);
  if (!call) {
    market.wanting.delete(id);
    return;
  }
  if (!startTransaction(step, keyOfCall(id, call), id, call)) {
    market.wanting.add(id);
    return;
  }
  market.wanting.delete(id);
  if (call.kind === 'place' && row.sentToChain === 'no')
    updateOrder(step, id, { sentToChain: 'yes' });
}

/** Batches go side by side: each of them one step at a time. */
function pursueBatches(step: Step, row: OrderRow): void {
  const { market } = step;
  for (const call of arrayCalls(market, row))
    if (!startTransaction(step, keyOfCall(row.id, call), row.id, call)) {
      market.wanting.add(row.id);
      return;
    }
  // Only now: whoever goes through those that want one must not meet it again.
  market.wanting.delete(row.id);
}

/** Uses room that a block made. */
export function pursueWanting(step: Step): void {
  for (const id of step.market.wanting) {
    if (step.market.transactions.size >= step.market.config.caps.transactions) return;
    pursueChain(step, id);
  }
}

/** Calls of no order's own course; in disputes a second one reverts. */
const ORDERLESS: ReadonlySet<MarketCall['kind']> = new Set([
  'anchor',
  'dispute',
  'convict',
  'convictUnits',
  'move',
]);

/** True while the transaction would still bring its order on. */
export function isStepWanted(step: Step, row: TransactionRow): boolean {
  if (row.order === undefined) return ORDERLESS.has(row.call.kind);
  const order = step.market.orders.get(row.order);
  if (!order || order.endedAtUs !== undefined) return false;
  if (order.array && order.chain.state === 'placed')
    return arrayCalls(step.market, order).some((call) => keyOfCall(order.id, call) === row.key);
  const call = nextCall(order, step.now.timeUs);
  return call !== undefined && keyOfCall(row.order, call) === row.key;
}

/** A step reverted: unless the order moved on by other means, it is tried again, ever later. */
export function retryChainStep(step: Step, id: string): void {
  const { market, now } = step;
  const tries = (market.chainTries.get(id) ?? 0) + 1;
  market.chainTries.set(id, tries);
  const { backoffMs, backoffMaxMs } = market.config.times;
  const delayMs = Math.min(backoffMaxMs, backoffMs * 2 ** Math.min(tries, 20));
  market.deadlines.set(`chain/${id}`, now.monotonicMs + delayMs);
}

/** The order moved: whatever it waited for on the chain starts afresh. */
export function resetChainTries(step: Step, id: string): void {
  step.market.chainTries.delete(id);
  step.market.deadlines.clear(`chain/${id}`);
}
