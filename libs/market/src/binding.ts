/**
 * Binding: an accepted order goes through its cell's queue; the message that comes out of it, or a
 * slot that falls free, gives it to the best provider that has room. Messages may be lost or come
 * twice: each carries the order's binding number, and only the newest counts.
 */
import { hashOf } from '#libs/crypto';
import { type CodecValue, encodeWith, formatAmount, hash32, record, uint } from '#libs/kernel';
import { failWork } from './endings.ts';
import { cellOf, compareScores, misfitOf, tierScore } from './fitting.ts';
import { logStep } from './job-log.ts';
import { MARKET_ENTRIES } from '#libs/audit';
import type { MarketEvent } from './model/events.ts';
import type { Lease, OrderRow } from './model/rows.ts';
import { priceAtLimits } from './pricing.ts';
import { pursueChain } from './chain-steps.ts';
import { filtersOf } from './why.ts';
import { hasRoom, takeRoom } from './room.ts';
import { type Market, type ProviderState, type Step, emit, orderOf, updateOrder } from './state.ts';

const LEASE_DOMAIN = 'seele/lease/1';
const leaseName = record({ order: hash32, fence: uint() });
const MS = 1000;
/** A freed slot looks at so many waiting orders, oldest first. */
const WAITING_SCAN = 256;

/** Lease ids follow from order and fence, so a restart cannot name the same grant twice. */
export const leaseId = (order: string, fence: number): string =>
  hashOf(LEASE_DOMAIN, encodeWith(leaseName, { order, fence }));

/** Puts the order (again) on the queue of the cell that its tier likes best. */
export function enqueueBinding(step: Step, id: string): void {
  const { market, now } = step;
  const binding = orderOf(market, id).binding + 1;
  const row = updateOrder(step, id, { binding });
  market.waiting.delete(id);
  sendBinding(step, row);
  market.deadlines.set(`binding/${id}`, now.monotonicMs + market.config.times.bindingRetryMs);
}

/** Sends the current binding message; a repetition has the same key. */
export function sendBinding(step: Step, row: OrderRow): void {
  emit(step, {
    kind: 'enqueueBinding',
    queue: bestCell(step.market, row),
    key: `${row.id}-${row.binding}`,
    order: row.id,
    binding: row.binding,
  });
}

const NO_CELL = 'public.eco';

function bestCell(market: Market, row: OrderRow): string {
  let best: { score: readonly number[]; cell: string } | undefined;
  for (const { row: provider } of market.providers.values()) {
    const { offer } = provider;
    if (misfitOf(offer, row.needs, row.signed.order.priceCap)) continue;
    const score = tierScore(row.needs.tier, offer, priceAtLimits(offer, row.needs.limits));
    if (!best || compareScores(score, best.score) < 0) best = { score, cell: cellOf(offer) };
  }
  return best?.cell ?? NO_CELL;
}

/** The back-off is over, or no word came from the queue: a message under a new number. */
export function bindingOverdue(step: Step, id: string): void {
  const row = step.market.orders.get(id);
  if (row?.work === 'queued' && !step.market.waiting.has(id)) enqueueBinding(step, id);
}

export function bindingDue(step: Step, event: Extract<MarketEvent, { kind: 'bindingDue' }>): void {
  const row = step.market.orders.get(event.order);
  if (row?.work === 'queued' && row.binding === event.binding) bindOrWait(step, row);
  emit(step, { kind: 'reply', request: event.request, reply: { is: 'bindingSeen' } });
}

function bindOrWait(step: Step, row: OrderRow): void {
  const { market } = step;
  if (failedForTime(step, row)) return;
  const best = bestProvider(market, row);
  market.deadlines.clear(`binding/${row.id}`);
  if (best) grant(step, row, best.provider, inputsOf(market, row, best.runnerUp));
  else market.waiting.add(row.id);
}

/** A grant that cannot end in time only wastes the provider's work: the order ends now instead. */
function failedForTime(step: Step, row: OrderRow): boolean {
  const leftMs = (row.signed.order.completeByUs - step.now.timeUs) / MS;
  if (leftMs >= row.needs.limits.wallMs) return false;
  const text = `${Math.max(0, Math.round(leftMs))} ms are left for a job that may take ${row.needs.limits.wallMs}`;
  failWork(step, row.id, 'failed', { code: 'MARKET_NO_TIME', text });
  return true;
}

interface Best {
  readonly provider: ProviderState;
  readonly runnerUp: ProviderState | undefined;
}

function bestProvider(market: Market, row: OrderRow): Best | undefined {
  let best: Scored | undefined;
  let second: Scored | undefined;
  for (const provider of market.providers.values()) {
    if (!isCandidate(provider, row)) continue;
    const scored = { score: scoreOf(provider, row), provider };
    if (!best || compareScores(scored.score, best.score) < 0) [best, second] = [scored, best];
    else if (!second || compareScores(scored.score, second.score) < 0) second = scored;
  }
  return best && { provider: best.provider, runnerUp: second?.provider };
}

interface Scored {
  readonly score: readonly number[];
  readonly provider: ProviderState;
}

type LeaseInputs = NonNullable<CodecValue<typeof MARKET_ENTRIES.leased>['inputs']>;

const TASTE = { A: 'cheapest', B: 'fastest', C: 'best isolated' } as const;

/** What the choice was made from, for the job's log. */
function inputsOf(market: Market, row: OrderRow, runnerUp: ProviderState | undefined): LeaseInputs {
  const { free, filters } = filtersOf(market, row.needs, row.signed.order.priceCap);
  const taste = TASTE[row.needs.tier];
  const next = runnerUp && priceAtLimits(runnerUp.row.offer, row.needs.limits);
  const over = next === undefined ? '' : `; the next best asks ${formatAmount(next)}`;
  const before = row.tried.length > 0 ? ', after those that had not failed it' : '';
  return {
    ...{ considered: market.providers.size, candidates: free },
    left: filters.map(({ code, providers }) => ({ code, providers })),
    because: `${taste} of ${free} with room${before}${over}`,
  };
}

function isCandidate(provider: ProviderState, row: OrderRow): boolean {
  return (
    provider.session !== undefined &&
    hasRoom(provider, row.needs) &&
    misfitOf(provider.row.offer, row.needs, row.signed.order.priceCap) === undefined
  );
}

/** Whoever failed this order comes last; then the tier's taste; then the tightest fit. */
function scoreOf(provider: ProviderState, { needs, tried }: OrderRow): readonly number[] {
  const { offer, provider: account } = provider.row;
  const failures = tried.reduce((count, one) => count + (one === account ? 1 : 0), 0);
  const spareCores = offer.cores - provider.usedCores - needs.cores;
  const spareMemory = offer.memoryBytes - provider.usedMemoryBytes - needs.memoryBytes;
  const price = priceAtLimits(offer, needs.limits);
  return [failures, ...tierScore(needs.tier, offer, price), spareCores, spareMemory];
}

/** A slot fell free or a provider came: waiting orders are given to it while it has room. */
export function fillProvider(step: Step, account: string): void {
  const provider = step.market.providers.get(account);
  if (provider?.session === undefined) return;
  let scanned = 0;
  for (const id of step.market.waiting) {
    if (++scanned > WAITING_SCAN) return;
    const row = orderOf(step.market, id);
    if (!isCandidate(provider, row)) continue;
    step.market.waiting.delete(id);
    if (!failedForTime(step, row)) grant(step, row, provider, nextFree(row, step));
  }
}

/** It waited, and this was the first slot that fell free. */
function nextFree(row: OrderRow, { now }: Step): LeaseInputs {
  const waitedMs = Math.max(0, Math.round((now.timeUs - row.acceptedAtUs) / MS));
  const because = `the first that fits with a slot free again, ${waitedMs} ms after the order`;
  return { considered: 1, candidates: 1, left: [], because };
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
  updateOrder(step, row.id, { work: 'leased', fence, lease: granted });
  takeRoom(provider, row);
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
    message: { kind: 'lease', lease, order: id, fence, manifest, price, log, completeByUs },
  });
}
