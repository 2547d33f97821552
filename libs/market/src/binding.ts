/**
 * Binding: an accepted order goes through its cell's queue; the message that comes out of it, or a
 * slot that falls free, gives it to the best provider that has room. Messages may be lost or come
 * twice: each carries the order's binding number, and only the newest counts.
 */
import { batchDue, handOutBatch } from './arrays/binding.ts';
import { enqueueBatches } from './arrays/messages.ts';
import { leaseId, sendBinding } from './binding-messages.ts';
import { failWork } from './endings.ts';
import { logStep } from './job-log.ts';
import { MARKET_ENTRIES } from '#libs/audit';
import type { MarketEvent } from './model/events.ts';
import type { Lease, OrderRow } from './model/rows.ts';
import { priceAtLimits } from './pricing.ts';
import { pursueChain } from './chain-steps.ts';
import {
  type LeaseInputs,
  bestPlace,
  inputsOf,
  inputsOfPreemption,
  inputsOfTurn,
  jobOf,
  ordersInTurn,
  waitForRoom,
} from './placement/place.ts';
import { type Victim, victimFor } from './placement/preempt.ts';
import { makeRoom } from './preemption.ts';
import { madeInputsOf } from './graph/followers.ts';
import { takeRoom } from './room.ts';
import {
  type ProviderState,
  type Step,
  emit,
  orderOf,
  updateOrder,
  withoutFields,
} from './state.ts';

const MS = 1000;

/** Puts the order (again) on the queue of the cell that its tier likes best. */
export function enqueueBinding(step: Step, id: string): void {
  const { market, now } = step;
  const binding = orderOf(market, id).binding + 1;
  const row = updateOrder(step, id, { binding });
  market.places.waiting.delete(id);
  sendBinding(step, row);
  market.deadlines.set(`binding/${id}`, now.monotonicMs + market.config.times.bindingRetryMs);
}

/** The back-off is over, or no word came from the queue: a message under a new number. */
export function bindingOverdue(step: Step, id: string): void {
  const row = step.market.orders.get(id);
  if (row?.array) enqueueBatches(step, id);
  if (row?.work === 'queued' && !step.market.places.waiting.has(id)) enqueueBinding(step, id);
}

export function bindingDue(step: Step, event: Extract<MarketEvent, { kind: 'bindingDue' }>): void {
  const row = step.market.orders.get(event.order);
  if (row?.array) batchDue(step, row.id);
  else if (row?.work === 'queued' && row.binding === event.binding) bindOrWait(step, row);
  emit(step, { kind: 'reply', request: event.request, reply: { is: 'bindingSeen' } });
}

function bindOrWait(step: Step, row: OrderRow): void {
  const { market, now } = step;
  if (failedForTime(step, row)) return;
  market.deadlines.clear(`binding/${row.id}`);
  const job = jobOf(row, now.timeUs);
  const best = bestPlace(step, job);
  if (best) return grant(step, row, best.offer.provider, inputsOf(step, row, best));
  // An audit can wait.
  const victim = row.auditOf === undefined && victimFor(market, job, row.signed.order.consumer);
  if (victim) preempt(step, row, victim);
  else waitForRoom(step, row);
}

/** Takes the slot of cheap work for this order. */
function preempt(step: Step, row: OrderRow, victim: Victim): void {
  const inputs = inputsOfPreemption(step, row, victim.order);
  makeRoom(step, row.id, victim);
  grant(step, row, victim.provider, inputs);
}

/** A grant that cannot end in time only wastes the provider's work: the order ends now instead. */
function failedForTime(step: Step, row: OrderRow): boolean {
  const leftMs = (row.signed.order.completeByUs - step.now.timeUs) / MS;
  if (leftMs >= row.needs.limits.wallMs) return false;
  const text = `${Math.max(0, Math.round(leftMs))} ms are left for a job that may take ${row.needs.limits.wallMs}`;
  failWork(step, row.id, 'failed', { code: 'MARKET_NO_TIME', text });
  return true;
}

/** A slot fell free or a provider came: waiting orders are given to it in turn while it has room. */
export function fillProvider(step: Step, account: string): void {
  const provider = step.market.providers.get(account);
  if (provider?.session === undefined) return;
  for (const row of ordersInTurn(step, provider))
    if (row.array) handOutBatch(step, row.id, provider);
    else if (!failedForTime(step, row)) grant(step, row, provider, inputsOfTurn(step, row));
}

function grant(step: Step, row: OrderRow, provider: ProviderState, inputs: LeaseInputs): void {
  const { market, now } = step;
  const fence = row.fence + 1;
  const granted: Lease = {
    lease: leaseId(row.id, fence),
    provider: provider.row.provider,
    fence,
    price: priceAtLimits(provider.row.offer, row.needs.limits),
    pricePerCoreSecond: provider.row.offer.pricePerCoreSecond,
    pricePerGibSecond: provider.row.offer.pricePerGibSecond,
    state: 'offered',
    grantedAtUs: now.timeUs,
  };
  if (row.lease) market.leases.delete(row.lease.lease);
  const { lease, price } = granted;
  logStep(step, row.id, 'leased', MARKET_ENTRIES.leased, {
    lease,
    provider: granted.provider,
    fence,
    price,
    inputs,
  });
  const isResumed = row.savePoint !== undefined;
  updateOrder(step, row.id, {
    work: 'leased',
    fence,
    lease: granted,
    ...(isResumed && { isResumed }),
  });
  if (!isResumed && row.isResumed) withoutFields(step, row.id, 'isResumed');
  takeRoom(provider, row);
  market.places.tenants.take(row.id, row.signed.order.consumer, row.needs);
  market.leases.set(lease, row.id);
  market.leaseEndsMs.set(lease, now.monotonicMs + market.config.times.acceptMs);
  market.deadlines.set(`lease/${lease}`, now.monotonicMs + market.config.times.acceptMs);
  sendLease(step, row.id);
  pursueChain(step, row.id);
}

/** Sends the current lease to its provider; harmless when it has it already. */
export function sendLease(step: Step, id: string): void {
  const row = orderOf(step.market, id);
  const session = row.lease && step.market.providers.get(row.lease.provider)?.session;
  if (!row.lease || session === undefined) return;
  const { lease, fence, price } = row.lease;
  const { manifest, completeByUs } = row.signed.order;
  const log = row.log;
  emit(step, {
    kind: 'sendAgent',
    session,
    message: {
      ...{ kind: 'lease', lease, order: id, fence, manifest, price, log, completeByUs },
      ...(row.savePoint && { savePoint: row.savePoint }),
      ...madeInputsOf(row),
    },
  });
}
