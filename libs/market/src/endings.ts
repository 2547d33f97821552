/** How work, leases and orders end. Money follows from the chain's steps, never from here. */
import { logStep, payOwedEntries } from './job-log.ts';
import { MARKET_ENTRIES } from '#libs/audit';
import type { Lease, OrderRow, Reason } from './model/rows.ts';
import { pursueChain } from './chain-steps.ts';
import { abandonBatches, stopArray } from './arrays/endings.ts';
import { type LeaseEnd, RETRY_RULES } from './retry.ts';
import { backoffMs, countFault, noteOffer } from './faults.ts';
import { isAuditWanted, isReplayDue, wakeAudit } from './checks/replay-due.ts';
import { observeGivenUp } from './placement/forecast.ts';
import { storeLater } from './placement/observe.ts';
import { indexSources, isReadByOthers, wakeFollowers } from './graph/followers.ts';
import { giveRoomBack } from './room.ts';
import {
  type Market,
  type Spending,
  type Step,
  emit,
  indexOpen,
  orderOf,
  updateOrder,
  withoutFields,
} from './state.ts';

const MS = 1000;
const TRIED_MAX = 64;

/** Gives up an order's work. Money that the chain holds for it goes back by a later step. */
export function failWork(
  step: Step,
  id: string,
  work: 'failed' | 'cancelled' | 'rejected',
  reason: Reason,
): void {
  const row = orderOf(step.market, id);
  if (row.work === 'leased' || row.work === 'checking') releaseLease(step, row, reason.text);
  updateOrder(step, id, { work, reason });
  // A delivery that was not accepted is nobody's proof of anything.
  if (row.work === 'checking') withoutFields(step, id, 'delivery');
  step.market.places.waiting.delete(id);
  step.market.deadlines.clear(`binding/${id}`);
  payOwedEntries(step, id);
  const { chain, sentToChain } = row;
  const isNeverPlaced = chain.state === 'none' && (sentToChain === 'no' || work === 'rejected');
  if (row.array && isNeverPlaced) abandonBatches(step, id, reason.text);
  if (row.array) stopArray(step, id, reason.text);
  logStep(step, id, work, MARKET_ENTRIES[work], { code: reason.code, reason: reason.text });
  observeGivenUp(step, orderOf(step.market, id));
  wakeAudit(step, row);
  storeLater(step);
  wakeFollowers(step, id);
  if (isNeverPlaced) endOrder(step, id);
  else pursueChain(step, id);
}

/** Takes a live lease back: its slot counts as free, and its agent is told to stop. */
function releaseLease(step: Step, row: OrderRow, reason: string): void {
  if (!row.lease) return;
  const { lease } = row.lease;
  freeSlotOf(step, row);
  step.market.leases.delete(lease);
  const session = step.market.providers.get(row.lease.provider)?.session;
  if (session !== undefined)
    emit(step, { kind: 'sendAgent', session, message: { kind: 'cancel', lease, reason } });
}

/** The provider has a free slot again and may take the next waiting order. */
export function freeSlotOf(step: Step, row: OrderRow): void {
  if (!row.lease) return;
  const { market } = step;
  market.leaseEndsMs.delete(row.lease.lease);
  market.deadlines.clear(`lease/${row.lease.lease}`);
  market.deadlines.clear(`check/${row.id}`);
  market.missingSinceMs.delete(row.id);
  const provider = market.providers.get(row.lease.provider);
  if (provider) {
    giveRoomBack(provider, row);
    market.places.tenants.giveBack(row.id);
    market.deadlines.setEarlier(`fill/${row.lease.provider}`, step.now.monotonicMs);
  }
}

/**
 * A lease ended without an accepted delivery. Its fence is dead; the order is bound again after a
 * back-off, elsewhere if possible, or given up when too many providers failed it.
 */
export function loseLease(step: Step, id: string, end: LeaseEnd): void {
  const { market } = step;
  const row = orderOf(market, id);
  const lease = row.lease as Lease;
  releaseLease(step, row, end.reason);
  const { isFault, isPoison, backoffFactor, keepsSavePoint } = RETRY_RULES[end.retry];
  const faults = row.faults + (isFault ? 1 : 0);
  const isPreempted = end.retry === 'preempted';
  const tried = isPreempted ? row.tried : [...row.tried, lease.provider].slice(-TRIED_MAX);
  const poisoned = new Set(row.poisoned);
  if (isPoison) poisoned.add(lease.provider);
  updateOrder(step, id, {
    work: 'queued',
    faults,
    tried,
    poisoned: [...poisoned].slice(-TRIED_MAX),
    ...(isPreempted && { preempted: (row.preempted ?? 0) + 1 }),
  });
  withoutFields(step, id, 'lease', 'delivery');
  if (!keepsSavePoint) withoutFields(step, id, 'savePoint');
  if (isFault) countFault(step, lease.provider);
  noteOffer(step, lease.provider, end.retry);
  payOwedEntries(step, id);
  const { provider, fence } = lease;
  const { code, reason } = end;
  logStep(step, id, 'lost', MARKET_ENTRIES.lost, { provider, fence, code, reason });
  // What it reads may have come to nothing while its delivery was looked at.
  if (row.sources) market.deadlines.set(`inputs/${id}`, step.now.monotonicMs);
  const stop = stopReason(market, poisoned.size, faults, reason);
  if (stop) failWork(step, id, 'failed', stop);
  else {
    const waitMs = backoffFactor * backoffMs(step, tried.length);
    market.deadlines.set(`binding/${id}`, step.now.monotonicMs + waitMs);
    // A delivery of this lease that the chain has already is rejected there.
    pursueChain(step, id);
  }
}

/** Why an order is not tried again: it breaks whoever takes it, or nobody manages it. */
function stopReason(
  { config: { caps } }: Market,
  poisoned: number,
  faults: number,
  last: string,
): Reason | undefined {
  const because = (code: string, text: string): Reason => ({
    code,
    text: `${text}, last: ${last}`.slice(0, 500),
  });
  if (poisoned >= caps.poisonedProviders)
    return because('MARKET_POISON', `it ended the slots of ${poisoned} different providers`);
  if (faults >= caps.faults) return because('MARKET_GIVEN_UP', `${faults} attempts failed`);
  return undefined;
}

/** Nothing can happen to the order any more. It leaves memory when nobody can resubmit it. */
export function endOrder(step: Step, id: string): void {
  const { market, now } = step;
  const row = updateOrder(step, id, { endedAtUs: now.timeUs });
  indexOpen(market, row, false);
  rememberSpending(market, row);
  market.wanting.delete(id);
  market.places.waiting.delete(id);
  market.chainTries.delete(id);
  for (const timer of ['complete', 'placeBy', 'binding', 'chain', 'check', 'funds', 'inputs'])
    market.deadlines.clear(`${timer}/${id}`);
  indexSources(market, row, false);
  keepEnded(step, row);
}

/** An ended order stays in memory while the same order might be submitted again. */
export function keepEnded(step: Step, row: OrderRow): void {
  const { market, now } = step;
  const untilPlaceByMs = Math.max(0, (row.signed.order.placeByUs - now.timeUs) / MS);
  const keepMs = untilPlaceByMs + market.config.times.keepEndedMs;
  market.deadlines.set(`evict/${row.id}`, now.monotonicMs + keepMs);
}

export function rememberSpending(market: Market, row: OrderRow): void {
  if (row.chain.paid === 0n) return;
  const { consumer } = row.signed.order;
  const spent: Spending = { placedHeight: row.chain.placedHeight, paid: row.chain.paid };
  market.recentSpending.set(consumer, [...(market.recentSpending.get(consumer) ?? []), spent]);
}

/** The chain brought back what counted as over (an old transaction got in late): see it through. */
export function reopenOrder(step: Step, id: string): void {
  const row = withoutFields(step, id, 'endedAtUs');
  indexOpen(step.market, row, true);
  indexSources(step.market, row, true);
  step.market.deadlines.clear(`evict/${id}`);
}

/** Takes an ended order out of memory once its whole log is anchored; its rows stay stored. */
export function evictOrder(step: Step, id: string): void {
  const { market, now } = step;
  const row = market.orders.get(id);
  if (!row || row.endedAtUs === undefined) return;
  const isAnchored =
    row.log.length === 0 ||
    (row.checkpointed === row.log.length &&
      row.leaf !== undefined &&
      row.leaf < market.meta.anchoredLeaves);
  const isWanted = isReadByOthers(market, id) || isReplayDue(row) || isAuditWanted(market, row);
  if (!isAnchored || market.transactionOf.has(id) || isWanted) {
    market.deadlines.set(`evict/${id}`, now.monotonicMs + market.config.times.keepEndedMs);
    return;
  }
  if (row.lease) market.leases.delete(row.lease.lease);
  market.batchesOf.delete(id);
  market.replicas.delete(id);
  market.unanchored.delete(id);
  market.orders.delete(id);
}
