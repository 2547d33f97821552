/**
 * How batches end, and with the last of them the order. What was delivered counts; what was not goes back
 * into the pool, in smaller batches when it was somebody's fault, until a unit that breaks whoever takes it
 * is alone and is given up by itself.
 */
import {
  type UnitSet,
  batchDeliveryHash,
  countUnits,
  unitSetOf,
  unitsOf,
  withoutUnits,
} from '#contracts';
import { MARKET_ENTRIES } from '#libs/audit';
import { encodeWith } from '#libs/kernel';
import { pursueChain } from '../chain-steps.ts';
import { backoffMs, countFault, noteOffer } from '../faults.ts';
import { wakeAudit } from '../checks/replay-due.ts';
import { logStep } from '../job-log.ts';
import type { OrderRow, UnitGroup, UnitsRow } from '../model/rows.ts';
import { wakeFollowers } from '../graph/followers.ts';
import { observeArrayFinish } from '../placement/forecast.ts';
import { storeLater } from '../placement/observe.ts';
import { type LeaseEnd, RETRY_RULES } from '../retry.ts';
import { giveBatchRoomBack } from '../room.ts';
import { type Step, emit, orderOf, saveRow, updateOrder, withoutFields } from '../state.ts';
import { arrayResult } from './array-result.ts';
import {
  arrayOf,
  batchesOf,
  isBatchOpen,
  joinRanges,
  openBatches,
  updateArray,
  updateBatch,
} from './batches.ts';
import { enqueueBatches } from './messages.ts';
import { dropUnbound } from './chain.ts';
import { chosenUnits, dropReplicas, judgeBatch, judgedBatches } from './replicas.ts';
import { isReplicated, rememberAnswers } from './task-answers.ts';

const TRIED_MAX = 64;
const HOST_FAILURE: LeaseEnd = {
  code: 'slot',
  reason: 'the slot died or would not run it',
  retry: 'slot',
};

const REJECTED: LeaseEnd = {
  code: 'rejected',
  reason: 'the validator of the order rejected the result',
  retry: 'bad-work',
};

/** A batch ended by the market's or the provider's doing; what it delivered before still counts. */
export function loseBatch(step: Step, batch: UnitsRow, end: LeaseEnd): void {
  const { market } = step;
  const session = market.providers.get(batch.provider)?.session;
  if (session !== undefined) {
    const message = {
      kind: 'cancel',
      lease: batch.lease,
      reason: end.reason.slice(0, 500),
    } as const;
    emit(step, { kind: 'sendAgent', session, message });
  }
  if (RETRY_RULES[end.retry].isFault) countFault(step, batch.provider);
  noteOffer(step, batch.provider, end.retry);
  if (!batch.delivery) return closeBatch(step, batch, end);
  // Some or all of it was delivered: that counts once its results were seen, and not before.
  if (batch.state === 'checking') return;
  market.batchEnds.set(batch.lease, end);
  endLease(step, batch.lease);
  updateBatch(step, { ...batch, state: 'checking' });
  market.deadlines.set(`units/${batch.lease}`, step.now.monotonicMs);
}

/** Counts what a batch delivered, and puts the rest back. */
export function closeBatch(step: Step, batch: UnitsRow, given: LeaseEnd): void {
  const { market } = step;
  rememberAnswers(market, orderOf(market, batch.order));
  const end = market.batchEnds.get(batch.lease) ?? given;
  market.batchEnds.delete(batch.lease);
  const { order: id, lease, fence, provider, delivery, withheld } = batch;
  freeBatch(step, batch);
  const told = delivery?.delivery.units ?? [];
  const kept = withheld ? withoutUnits(told, withheld.units) : told;
  const isKept = kept.length > 0;
  const isJudged = isReplicated(orderOf(market, id).array);
  const counted = isJudged ? 'judging' : 'delivered';
  const closed = updateBatch(step, { ...batch, state: isKept ? counted : 'lost' });
  if (isKept && !isJudged) countDelivered(step, batch, kept, countUnits(kept));
  const missing = withoutUnits(batch.units, told);
  if (withheld) {
    const { rejected = [] } = batch;
    putBack(step, batch, withoutUnits(withheld.units, rejected), HOST_FAILURE);
    putBack(step, batch, rejected, REJECTED);
  }
  if (missing.length > 0) {
    const { code, reason } = end;
    const entry = { provider, fence, units: missing, code, reason: reason.slice(0, 500) };
    logStep(step, id, 'units-lost', MARKET_ENTRIES['units-lost'], entry);
    putBack(step, batch, missing, end);
  }
  dropUnbound(step, closed);
  if (isKept && isJudged) judgeBatch(step, closed);
  const { work } = orderOf(market, id);
  const isStopped = work !== 'running' && work !== 'paused';
  payJudged(step, id, isStopped);
  market.missingSinceMs.delete(lease);
  finishArray(step, id);
  // What the order came to was put together without it.
  if (isStopped && isKept && work !== 'done') storeAnew(step, id);
  if (orderOf(market, id).work === 'running' && !market.places.waiting.has(id))
    enqueueBatches(step, id);
  pursueChain(step, id);
}

/** Nobody's heartbeat is waited for any more. */
export function endLease({ market }: Step, lease: string): void {
  market.leaseEndsMs.delete(lease);
  market.deadlines.clear(`lease/${lease}`);
}

/** The slot is free again, for whoever waits. May be called again. */
export function freeBatch(step: Step, { lease, provider: account, order }: UnitsRow): void {
  const { market } = step;
  endLease(step, lease);
  market.deadlines.clear(`units/${lease}`);
  const provider = market.providers.get(account);
  if (!provider) return;
  giveBatchRoomBack(provider, lease, orderOf(market, order).needs);
  market.places.tenants.giveBack(lease);
  market.deadlines.setEarlier(`fill/${account}`, step.now.monotonicMs);
}

/** Counts the batches whose tasks are decided by now. */
function payJudged(step: Step, id: string, isStopped = false): void {
  for (const { batch, kept } of judgedBatches(step, id, isStopped)) {
    if (kept.length > 0) countDelivered(step, batch, kept, 0);
    dropUnbound(step, batch);
    if (batch.chain === 'delivered') unitsContradicted(step, id, batch.fence);
  }
}

function countDelivered(step: Step, batch: UnitsRow, kept: UnitSet, tasks: number): void {
  const { order: id, provider: account, fence, delivery: signed } = batch;
  if (!signed) return;
  const { root, results } = signed.delivery;
  const charge = signed.delivery.charge - (batch.withheld?.charge ?? 0n);
  const { done, charged } = arrayOf(orderOf(step.market, id));
  updateArray(step, id, { done: done + tasks, charged: charged + charge });
  logStep(step, id, 'units-delivered', MARKET_ENTRIES['units-delivered'], {
    ...{ provider: account, fence, units: kept, root, charge },
    ...(results !== undefined && { results }),
  });
  const provider = step.market.providers.get(account);
  if (!provider) return;
  const completed = provider.row.completed + countUnits(kept);
  provider.row = { ...provider.row, completed };
  saveRow(step, 'provider', account, provider.row);
}

/** Back into the pool, or given up when they failed too often. */
function putBack(step: Step, batch: UnitsRow, units: UnitSet, end: LeaseEnd): void {
  const { market } = step;
  const row = orderOf(market, batch.order);
  if (units.length === 0 || (row.work !== 'running' && row.work !== 'paused')) return;
  const { isFault, isPoison, backoffFactor } = RETRY_RULES[end.retry];
  const { caps } = market.config;
  const faults = batch.faults + (isFault ? 1 : 0);
  const poisoned = isPoison ? [...new Set([...batch.poisoned, batch.provider])] : batch.poisoned;
  // Who had to make room has not failed.
  const isPreempted = end.retry === 'preempted';
  const tried = isPreempted ? batch.tried : [...batch.tried, batch.provider].slice(-TRIED_MAX);
  if (poisoned.length >= caps.poisonedProviders)
    return giveUp(
      step,
      row,
      units,
      'MARKET_POISON',
      `ended the slots of ${poisoned.length} different providers`,
    );
  if (faults >= caps.faults)
    return giveUp(
      step,
      row,
      units,
      'MARKET_GIVEN_UP',
      `${faults} attempts failed, last: ${end.reason}`,
    );
  const group: UnitGroup = {
    units: [...units],
    faults,
    tried,
    poisoned: poisoned.slice(-TRIED_MAX),
  };
  const again = mergeGroup(arrayOf(row).again, group);
  updateArray(step, row.id, { again });
  const waitMs = backoffFactor * backoffMs(step, tried.length);
  const readyMs = step.now.monotonicMs + waitMs;
  market.readyMs.set(again.at(-1) as UnitGroup, readyMs);
  market.deadlines.setEarlier(`binding/${row.id}`, readyMs + 1);
}

const GROUPS_MAX = 1024;

/** A new group at the end; beyond the cap it is joined with the last, under the worse of both histories. */
function mergeGroup(groups: readonly UnitGroup[], group: UnitGroup): UnitGroup[] {
  const last = groups.at(-1);
  if (!last || groups.length < GROUPS_MAX) return [...groups, group];
  return [
    ...groups.slice(0, -1),
    {
      units: joinRanges(last.units, group.units),
      faults: Math.min(last.faults, group.faults),
      tried: group.tried,
      poisoned: [],
    },
  ];
}

function giveUp(step: Step, row: OrderRow, units: UnitSet, code: string, text: string): void {
  const array = arrayOf(row);
  const reason = text.slice(0, 500);
  if (isReplicated(array)) dropReplicas(step, row.id, units);
  else {
    const given = joinRanges(array.given, units);
    updateArray(step, row.id, { failed: array.failed + countUnits(units), given });
  }
  const entry = { units, code, reason };
  logStep(step, row.id, 'units-given-up', MARKET_ENTRIES['units-given-up'], entry);
}

/** The last unit is done or given up: the order is done, or failed when nothing of it is. */
function finishArray(step: Step, id: string): void {
  const row = orderOf(step.market, id);
  const { done, failed, tasks } = arrayOf(row);
  if ((row.work !== 'running' && row.work !== 'paused') || done + failed < tasks) return;
  step.market.places.waiting.delete(id);
  for (const timer of ['binding', 'funds', 'complete'])
    step.market.deadlines.clear(`${timer}/${id}`);
  if (done > 0) {
    updateOrder(step, id, { work: 'done' });
    withoutFields(step, id, 'reason');
    observeArrayFinish(step, orderOf(step.market, id));
    wakeAudit(step, row);
    storeLater(step);
    storeArrayResult(step, id);
    return;
  }
  const reason = { code: 'MARKET_GIVEN_UP', text: `all ${failed} tasks were given up` };
  updateOrder(step, id, { work: 'failed', reason });
  logStep(step, id, 'failed', MARKET_ENTRIES.failed, { code: reason.code, reason: reason.text });
  wakeAudit(step, row);
  wakeFollowers(step, id);
}

/** Has the document over all batches stored; asked again until it is. */
export function storeArrayResult(step: Step, id: string): void {
  const { market, now } = step;
  const row = market.orders.get(id);
  if (!row?.array || row.array.result !== undefined || row.array.done === 0) return;
  const chosen = isReplicated(row.array) ? chosenUnits(market, row) : undefined;
  const batches = [...batchesOf(market, id)]
    .filter(({ state }) => state === 'delivered')
    .flatMap(({ fence, delivery, withheld }) => {
      if (!delivery) return [];
      const { units, root, results } = delivery.delivery;
      const paid = withheld ? withoutUnits(units, withheld.units) : units;
      const kept = chosen ? unitSetOf(unitsOf(paid).filter((unit) => chosen.has(unit))) : paid;
      return [{ fence, root, units: [...kept], ...(results !== undefined && { results }) }];
    });
  const { tasks, replicas, given } = row.array;
  const value = { version: 1, tasks, replicas, batches, missing: [...given] };
  emit(step, { kind: 'storeResult', order: id, bytes: encodeWith(arrayResult, value) });
  market.deadlines.set(`result/${id}`, now.monotonicMs + market.config.times.checkRetryMs);
}

/** A document over fewer batches may be stored, or none: the order is over only once this one is. */
function storeAnew(step: Step, id: string): void {
  const { result: _stale, ...array } = arrayOf(orderOf(step.market, id));
  updateOrder(step, id, { array });
  storeArrayResult(step, id);
}

export function resultStored(step: Step, id: string, cid: string): void {
  const row = step.market.orders.get(id);
  if (!row?.array || row.array.result !== undefined) return;
  step.market.deadlines.clear(`result/${id}`);
  updateArray(step, id, { result: cid });
  wakeFollowers(step, id);
  pursueChain(step, id);
}

/** The chain will not take a batch any more, be it its binding or its delivery. */
export const CHAIN_TOO_LATE: LeaseEnd = {
  ...{ code: 'MARKET_NO_TIME', reason: 'the chain got it too late', retry: 'room' },
};
/** Its provider gave the chain another delivery than the market. */
const TWO_DELIVERIES: LeaseEnd = {
  code: 'MARKET_TWO_DELIVERIES',
  reason: 'the provider gave the chain another delivery than the market',
  retry: 'bad-work',
};

/** What was accepted of a batch cannot be paid, so it does not count either. */
export function takeBackUnits(step: Step, batch: UnitsRow, end: LeaseEnd): void {
  const { order: id, provider, fence, delivery, withheld } = batch;
  if (isBatchOpen(batch)) return loseBatch(step, withoutDelivery(batch), end);
  if (batch.state === 'lost' || !delivery) return dropUnbound(step, batch);
  const { code, reason } = end;
  if (RETRY_RULES[end.retry].isFault) countFault(step, provider);
  rememberAnswers(step.market, orderOf(step.market, id));
  const lost = updateBatch(step, { ...withoutDelivery(batch), state: 'lost' });
  const kept = withoutUnits(delivery.delivery.units, withheld?.units ?? []);
  const entry = { provider, fence, units: kept, code, reason };
  logStep(step, id, 'units-lost', MARKET_ENTRIES['units-lost'], entry);
  if (batch.state === 'delivered') countTakenBack(step, batch, kept, end);
  dropUnbound(step, lost);
  finishArray(step, id);
  const { work, array } = orderOf(step.market, id);
  if (work === 'done' && array?.done === 0)
    updateOrder(step, id, { work: 'failed', reason: { code, text: reason } });
  // What was read of it may count no more.
  wakeFollowers(step, id);
  if (work === 'running') enqueueBatches(step, id);
  else storeArrayResult(step, id);
}

/** Done again if there is time; with replicas what was decided stays decided: others answered the same. */
function countTakenBack(step: Step, batch: UnitsRow, kept: UnitSet, end: LeaseEnd): void {
  const { order: id, delivery, withheld } = batch;
  const charge = (delivery?.delivery.charge ?? 0n) - (withheld?.charge ?? 0n);
  const row = orderOf(step.market, id);
  const { result: _stale, ...array } = arrayOf(row);
  const charged = array.charged - charge;
  if (isReplicated(array)) {
    updateOrder(step, id, { array: { ...array, charged } });
    return;
  }
  const units = countUnits(kept);
  updateOrder(step, id, { array: { ...array, charged, done: array.done - units } });
  const isUnderWay = row.work === 'running' || row.work === 'paused';
  if (isUnderWay && end !== CHAIN_TOO_LATE) return putBack(step, batch, kept, end);
  giveUp(step, orderOf(step.market, id), kept, end.code, end.reason);
}

/** A block holds a delivery of a batch that was accepted under another one. */
export function unitsContradicted(step: Step, id: string, fence: number): void {
  const batch = step.market.batchesOf.get(id)?.get(fence);
  if (batch?.state !== 'delivered' || !batch.delivery) return;
  if (batch.chainDelivery === batchDeliveryHash(batch.delivery.delivery)) return;
  takeBackUnits(step, batch, TWO_DELIVERIES);
}

/** What is in the batch's row of a delivery that does not count. */
export function withoutDelivery({
  delivery: _delivery,
  withheld: _withheld,
  leaves: _leaves,
  ...rest
}: UnitsRow): UnitsRow {
  return rest;
}

/** The order can never be paid: what is still being looked at does not count. */
export function abandonBatches(step: Step, id: string, reason: string): boolean {
  const open = openBatches(step.market, id);
  for (const batch of open)
    loseBatch(step, withoutDelivery(batch), { code: 'stopped', reason, retry: 'room' });
  return open.length > 0;
}

/** The order is given up or cancelled: nothing more of it is to be done. What was delivered still counts. */
export function stopArray(step: Step, id: string, reason: string): void {
  for (const batch of openBatches(step.market, id))
    loseBatch(step, batch, { code: 'stopped', reason, retry: 'room' });
  payJudged(step, id, true);
  for (const timer of ['binding', 'funds']) step.market.deadlines.clear(`${timer}/${id}`);
  storeArrayResult(step, id);
}
