/**
 * Handing out batches of units. A binding message, or a slot that falls free, cuts one batch from the
 * order's pool: units that were lost first, in ever smaller batches, then those never handed out.
 */
import { BATCH_UNITS_MAX, type UnitSet } from '#contracts';
import { MARKET_ENTRIES } from '#libs/audit';
import { leaseId } from '../binding-messages.ts';
import { pursueChain } from '../chain-steps.ts';
import { failWork } from '../endings.ts';
import { logStep } from '../job-log.ts';
import { type ArrayProgress, type OrderRow, ROW_VERSION, type UnitGroup } from '../model/rows.ts';
import type { Job } from '../placement/choose.ts';
import { bestPlace, capOf, jobOf, waitForRoom } from '../placement/place.ts';
import { victimFor } from '../placement/preempt.ts';
import { makeRoom } from '../preemption.ts';
import { priceAtLimits } from '../pricing.ts';
import { madeInputsOf } from '../graph/followers.ts';
import { takeBatchRoom } from '../room.ts';
import { type ProviderState, type Step, emit, orderOf, updateOrder } from '../state.ts';
import {
  NO_FAILURES,
  arrayOf,
  openBatches,
  pendingUnits,
  takeUnits,
  tasksOfProvider,
  updateArray,
  updateBatch,
} from './batches.ts';
import { affordableUnits } from './funds.ts';
import { isBarred, withoutWork } from './replicas.ts';
import { rememberAnswers } from './task-answers.ts';
import { wordTaken } from './words.ts';

const MS = 1000;
/** Batches of one order that may be in work at once. */
const OPEN_MAX = 4096;

/** Units that a batch may have after so many failures: 200, 50, 12, 3, 1. */
export const batchSize = (faults: number): number =>
  Math.max(1, BATCH_UNITS_MAX >> Math.min(8, 2 * faults));

/** A binding message came out of the queue; a repeated one only hands out a batch sooner. */
export function batchDue(step: Step, id: string): void {
  const { market } = step;
  const row = orderOf(market, id);
  if (row.work !== 'running' || pendingUnits(arrayOf(row)) === 0) return;
  const avoid = new Set([...withoutWork(market, row), ...(row.avoid ?? [])]);
  const job = { ...jobOf(row, step.now.timeUs), avoid };
  const best = bestPlace(step, job);
  if (best) handOutBatch(step, id, best.offer.provider);
  else if (!takeSlot(step, row, job)) waitIfRunning(step, id);
}

/** It may have been given up for want of time, or paused for want of money. */
function waitIfRunning(step: Step, id: string): void {
  const row = orderOf(step.market, id);
  if (row.work === 'running') waitForRoom(step, row);
}

/** Takes the slot of cheap work for a batch, as a job would; not for a batch that nobody is given then. */
function takeSlot(step: Step, row: OrderRow, job: Job): boolean {
  // An audit can wait.
  if (row.auditOf !== undefined || isTooLate(step, row)) return false;
  const victim = victimFor(step.market, job, row.signed.order.consumer);
  if (!victim || !nextBatch(step, row, victim.provider)) return false;
  makeRoom(step, row.id, victim);
  handOutBatch(step, row.id, victim.provider);
  return true;
}

/** Gives this provider a batch; with units left the order waits for the next slot, in its turn. */
export function handOutBatch(step: Step, id: string, provider: ProviderState): void {
  const { market, now } = step;
  const row = orderOf(market, id);
  if (row.work !== 'running' || pendingUnits(arrayOf(row)) === 0 || isTooLate(step, row)) return;
  const isGranted = grantBatch(step, row, provider);
  const after = orderOf(market, id);
  if (after.work !== 'running' || pendingUnits(arrayOf(after)) === 0) return;
  if (isGranted) return waitForRoom(step, after);
  // Nothing for this provider now (units are backing off, money is being looked at): a message asks again.
  market.deadlines.setEarlier(`binding/${id}`, now.monotonicMs + market.config.times.backoffMs);
}

function isTooLate(step: Step, row: OrderRow): boolean {
  const leftMs = (row.signed.order.completeByUs - step.now.timeUs) / MS;
  if (leftMs >= row.needs.limits.wallMs) return false;
  // What is in work may still come in time; what is not does not begin any more.
  if (openBatches(step.market, row.id).length > 0) return true;
  const text = `${Math.max(0, Math.round(leftMs))} ms are left for tasks that may take ${row.needs.limits.wallMs}`;
  failWork(step, row.id, 'failed', { code: 'MARKET_NO_TIME', text });
  return true;
}

interface Cut {
  readonly group: UnitGroup;
  readonly change: Pick<ArrayProgress, 'next' | 'again'>;
}

/** The next batch for this provider, or undefined when nothing is for it now. */
function cutBatch(step: Step, row: OrderRow, provider: string, most: number): Cut | undefined {
  const { market } = step;
  const array = arrayOf(row);
  if (array.replicas > 1 && isBarred(market, provider)) return undefined;
  const seen = array.replicas > 1 ? tasksOfProvider(market, row, provider) : undefined;
  const isWanted = seen && ((unit: number) => !seen.has(unit % array.tasks));
  const fromGroup = (isLiked: (group: UnitGroup) => boolean): Cut | undefined => {
    for (const [at, group] of array.again.entries()) {
      if ((market.readyMs.get(group) ?? 0) > step.now.monotonicMs || !isLiked(group)) continue;
      const size = Math.min(most, batchSize(group.faults));
      const { taken, rest } = takeUnits(group.units, size, isWanted);
      if (taken.length === 0) continue;
      const left = rest.length > 0 ? [{ ...group, units: [...rest] }] : [];
      const again = [...array.again.slice(0, at), ...left, ...array.again.slice(at + 1)];
      return { group: { ...group, units: taken }, change: { next: array.next, again } };
    }
    return undefined;
  };
  const fresh = (): Cut | undefined => {
    const size = Math.min(most, BATCH_UNITS_MAX, array.tasks - array.next);
    if (size <= 0) return undefined;
    const units = [{ from: array.next, count: size }];
    const change = { next: array.next + size, again: array.again };
    return { group: { units, ...NO_FAILURES }, change };
  };
  // Whoever failed units gets them again only when there is nothing else for it to do.
  return fromGroup(({ tried }) => !tried.includes(provider)) ?? fresh() ?? fromGroup(() => true);
}

/** What this provider would be given now, and for how much; undefined for nothing. */
function nextBatch(step: Step, row: OrderRow, { row: { offer, provider } }: ProviderState) {
  if (arrayOf(row).open.length >= OPEN_MAX) return undefined;
  const unitPrice = priceAtLimits(offer, row.needs.limits);
  if (unitPrice > capOf(row)) return undefined;
  const most = affordableUnits(step, row, unitPrice, BATCH_UNITS_MAX);
  const cut = most === 0 ? undefined : cutBatch(step, row, provider, most);
  return cut && { cut, unitPrice };
}

function grantBatch(step: Step, row: OrderRow, provider: ProviderState): boolean {
  const { market, now } = step;
  const { offer, provider: account } = provider.row;
  const array = arrayOf(row);
  const next = nextBatch(step, row, provider);
  if (!next) return false;
  const { cut, unitPrice } = next;
  rememberAnswers(market, row);
  const fence = row.fence + 1;
  const lease = leaseId(row.id, fence);
  const { units, ...failures } = cut.group;
  updateOrder(step, row.id, { fence });
  updateArray(step, row.id, { ...cut.change, open: [...array.open, fence] });
  const alone = wordTaken(step, row.id, account, cut.group.units as UnitSet);
  updateBatch(step, {
    ...{ version: ROW_VERSION, order: row.id, fence, lease, provider: account },
    ...{ units, unitPrice, state: 'offered', grantedAtUs: now.timeUs, chain: 'none', ...failures },
    ...(alone.length > 0 && { alone }),
    pricePerCoreSecond: offer.pricePerCoreSecond,
    pricePerGibSecond: offer.pricePerGibSecond,
  });
  const entry = { provider: account, fence, lease, units, unitPrice };
  logStep(step, row.id, 'units-leased', MARKET_ENTRIES['units-leased'], entry);
  takeBatchRoom(provider, lease, row.needs);
  market.places.tenants.take(lease, row.signed.order.consumer, row.needs);
  const endsMs = now.monotonicMs + market.config.times.acceptMs;
  market.leaseEndsMs.set(lease, endsMs);
  market.deadlines.set(`lease/${lease}`, endsMs);
  sendBatch(step, lease);
  pursueChain(step, row.id);
  return true;
}

/** Sends a batch to its provider; harmless when it has it already. */
export function sendBatch(step: Step, lease: string): void {
  const { market } = step;
  const batch = market.batches.get(lease);
  const session = batch && market.providers.get(batch.provider)?.session;
  if (!batch || session === undefined) return;
  const row = orderOf(market, batch.order);
  const { manifest, completeByUs } = row.signed.order;
  const { order, fence, unitPrice } = batch;
  const units = [...batch.units];
  emit(step, {
    kind: 'sendAgent',
    session,
    message: {
      ...{ kind: 'leaseUnits', lease, order, fence, manifest, units, unitPrice, completeByUs },
      ...madeInputsOf(row),
    },
  });
}
