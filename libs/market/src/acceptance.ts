/** Taking an order on: what is checked, in which order, and what a refusal says. */
import { formatAmount } from '#libs/kernel';
import {
  type ArrayTerms,
  BATCH_UNITS_MAX,
  ORDER_DOMAIN,
  type SignedOrder,
  orderBytes,
  orderId,
} from '#contracts';
import { accountOf } from '#libs/crypto';
import { LOG_START } from '#libs/audit';
import { pursueChain } from './chain-steps.ts';
import { enqueueBatches } from './arrays/messages.ts';
import { noteBalance } from './arrays/funds.ts';
import { firstReplicas } from './arrays/replicas.ts';
import { asksForQuorum, QUORUM_TERMS } from './verification/index.ts';
import { enqueueBinding } from './binding.ts';
import { needsOf } from './fitting.ts';
import { logStep } from './job-log.ts';
import { MARKET_ENTRIES } from '#libs/audit';
import { manifestCid, manifestProblem } from './manifest.ts';
import type { MarketConfig } from './model/config.ts';
import type { MarketEvent } from './model/events.ts';
import { type ArrayProgress, type JobNeeds, type OrderRow, ROW_VERSION } from './model/rows.ts';
import type { Refusal } from './model/views.ts';
import { absenceOf } from './placement/absence.ts';
import { type Admission, admit, forecastOf } from './placement/forecast.ts';
import { type Promised, readQuote } from './placement/promise.ts';
import { quoteJob } from './quote.ts';
import { relaxationText, relaxationsOf } from './why.ts';
import { reservedOf } from './reserved.ts';
import { type Market, RECENT_BLOCKS, type Step, emit, indexOpen, isRebuilding } from './state.ts';
import { viewOf } from './views.ts';

type Submission = Extract<MarketEvent, { kind: 'submitOrder' }>;

const MS = 1000;

export function submitOrder(step: Step, event: Submission): void {
  const { market } = step;
  const id = orderId(event.order.order);
  const known = market.orders.get(id);
  // The same order again is the same order, whatever became of it: the answer may have been lost.
  if (known) return replyOrder(step, event.request, known, true);
  const needs = needsOf(event.manifest);
  const refuse = (refusal: Refusal): void =>
    emit(step, { kind: 'reply', request: event.request, reply: { is: 'refused', ...refusal } });
  const refusal =
    refuseDocument(market.config, event, step.now.timeUs) ?? refuseLoad(market, event.order);
  if (refusal) return refuse(refusal);
  const promised = promiseFor(step, event);
  if (promised && 'code' in promised) return refuse(promised);
  const admission = admitOrder(step, event, needs, promised);
  if (admission.refusal) return refuse(admission.refusal);
  noteBalance(market, event.order.order.consumer, event.balance);
  const isArray = event.order.order.array !== undefined;
  const forecast = isArray ? undefined : forecastOf(market, needs, admission.choice, promised);
  const row = createOrder(step, id, event.order, { needs, ...(forecast && { forecast }) });
  replyOrder(step, event.request, row, false);
}

/** What the quote that came with the order promises it, if one did. */
function promiseFor(step: Step, { order, quote }: Submission): Promised | Refusal | undefined {
  return quote && readQuote(step.market.config, quote, order.order, step.now.timeUs);
}

/** Money, floors and deadline: is there a machine that can take it, and where would it go? */
function admitOrder(
  step: Step,
  event: Submission,
  needs: JobNeeds,
  promised: Promised | undefined,
): Admission {
  const { market, now, randomness } = step;
  const { order } = event.order;
  const most = order.array?.unitPrice ?? order.priceCap;
  const cap = promised && promised.price < most ? promised.price : most;
  const refusal = refuseTerms(market, event, needs, cap);
  if (refusal) return { choice: undefined, refusal };
  const deadlineMs = (order.completeByUs - now.timeUs) / MS;
  return admit(market, needs, cap, deadlineMs, { nowMs: now.monotonicMs, draws: randomness });
}

function replyOrder(step: Step, request: string, row: OrderRow, repeated: boolean): void {
  emit(step, { kind: 'reply', request, reply: { is: 'order', view: viewOf(row), repeated } });
}

function createOrder(
  step: Step,
  id: string,
  signed: SignedOrder,
  wanted: Pick<OrderRow, 'needs' | 'forecast'>,
): OrderRow {
  const { market, now } = step;
  const row: OrderRow = {
    version: ROW_VERSION,
    id,
    signed,
    ...wanted,
    acceptedAtUs: now.timeUs,
    work: signed.order.array ? 'running' : 'queued',
    ...(signed.order.array && {
      array: newArray(signed.order.array, wanted.needs.replicas?.isAdaptive === true),
    }),
    faults: 0,
    fence: 0,
    binding: 0,
    tried: [],
    log: { length: 0, head: LOG_START },
    owed: [],
    checkpointed: 0,
    chain: { state: 'none', height: 0, placedHeight: 0, fence: 0, paid: 0n, refunded: 0n },
    sentToChain: 'no',
  };
  market.orders.set(id, row);
  step.dirtyOrders.add(id);
  indexOpen(market, row, true);
  const { consumer, manifest, priceCap, completeByUs } = signed.order;
  logStep(step, id, 'accepted', MARKET_ENTRIES.accepted, {
    consumer,
    manifest,
    priceCap,
    completeByUs,
  });
  armDeadlines(step, row);
  if (row.array) enqueueBatches(step, id);
  else enqueueBinding(step, id);
  pursueChain(step, id);
  return market.orders.get(id) as OrderRow;
}

function newArray({ tasks, replicas, unitPrice }: ArrayTerms, isAdaptive: boolean): ArrayProgress {
  const terms = { replicas, ...(isAdaptive && { isAdaptive }) };
  return {
    ...{ tasks, ...terms, unitPrice, done: 0, failed: 0, notOk: 0 },
    ...{ charged: 0n, given: [], open: [] },
    // With replicas all units come from groups, so that no provider gets two of one task.
    ...{ next: replicas > 1 ? tasks : 0, again: firstReplicas(tasks, terms) },
  };
}

/** Sets the timers by which an order ends even if nothing else happens. */
export function armDeadlines(step: Step, row: OrderRow): void {
  const { now, market } = step;
  const dueMs = (timeUs: number): number => now.monotonicMs + (timeUs - now.timeUs) / MS + 1;
  market.deadlines.set(`complete/${row.id}`, dueMs(row.signed.order.completeByUs));
  market.deadlines.set(`placeBy/${row.id}`, dueMs(row.signed.order.placeByUs));
}

function refuseDocument(
  config: MarketConfig,
  { order: signed, manifest }: Submission,
  nowUs: number,
): Refusal | undefined {
  const { order, publicKey, signature } = signed;
  if (order.chain !== config.chain || order.market !== config.signer.account)
    return {
      code: 'MARKET_ORDER_FOREIGN',
      message: `order is for market ${order.market} on chain ${order.chain}`,
    };
  if (
    accountOf(publicKey) !== order.consumer ||
    !config.verify(publicKey, ORDER_DOMAIN, orderBytes(order), signature)
  )
    return {
      code: 'MARKET_ORDER_SIGNATURE',
      message: `signature of consumer ${order.consumer} does not verify`,
    };
  if (manifestCid(manifest) !== order.manifest)
    return {
      code: 'MARKET_MANIFEST_MISMATCH',
      message: `order names manifest ${order.manifest}, another one was sent`,
    };
  const problem = manifestProblem(manifest) ?? arrayMismatch(order, manifest);
  if (problem !== undefined) return { code: 'MARKET_MANIFEST_INVALID', message: problem };
  if (asksForQuorum(manifest) && manifest.array?.check === undefined)
    return {
      code: 'MARKET_CHECK_UNSAID',
      message: `${manifest.tier === 'C' ? 'tier C' : 'level assured'} is checked by further operators, who are paid: the order must say so`,
    };
  return (
    refuseDates(config, order, manifest.limits.wallMs, nowUs) ?? refuseLimits(config, manifest)
  );
}

function arrayMismatch(
  { array: terms }: SignedOrder['order'],
  { array }: Submission['manifest'],
): string | undefined {
  if (terms?.tasks === array?.tasks && terms?.replicas === array?.replicas) return undefined;
  return `the order is of ${terms?.tasks ?? 1} tasks, its manifest of ${array?.tasks ?? 1}`;
}

function refuseDates(
  { times }: MarketConfig,
  order: SignedOrder['order'],
  wallMs: number,
  nowUs: number,
): Refusal | undefined {
  const { placeByUs, completeByUs } = order;
  if (placeByUs <= nowUs)
    return {
      code: 'MARKET_ORDER_EXPIRED',
      message: `order was to be placed by ${placeByUs} µs, now ${nowUs} µs`,
    };
  const dates = (message: string): Refusal => ({ code: 'MARKET_ORDER_DATES', message });
  if (placeByUs > nowUs + times.placeByMaxMs * MS)
    return dates(`placeBy more than ${times.placeByMaxMs} ms ahead`);
  if (completeByUs > nowUs + times.completeByMaxMs * MS)
    return dates(`completeBy more than ${times.completeByMaxMs} ms ahead`);
  if (placeByUs > completeByUs) return dates('placeBy after completeBy');
  if (completeByUs < nowUs + wallMs * MS)
    return dates(`completeBy leaves less than the job's wall limit of ${wallMs} ms`);
  return undefined;
}

function refuseLimits(
  { caps }: MarketConfig,
  manifest: Submission['manifest'],
): Refusal | undefined {
  for (const [name, most] of Object.entries(caps.limits)) {
    const asked = manifest.limits[name as keyof typeof caps.limits];
    if (asked > most)
      return { code: 'MARKET_LIMITS_EXCEEDED', message: `limits.${name}: ${asked} above ${most}` };
  }
  return undefined;
}

/** Admission: the market says no before it says too much. */
function refuseLoad(market: Market, { order }: SignedOrder): Refusal | undefined {
  const { caps } = market.config;
  if (isRebuilding(market))
    return {
      code: 'MARKET_REBUILDING',
      message: `block ${market.meta.height} of ${market.meta.rebuildTo} is read`,
    };
  if (
    market.openOrders >= caps.openOrders ||
    market.orders.size >= caps.orders ||
    market.places.waiting.size >= caps.waiting
  )
    return { code: 'MARKET_OVERLOADED', message: `${market.openOrders} orders are open` };
  const own = market.openByConsumer.get(order.consumer)?.size ?? 0;
  if (own >= caps.openOrdersPerConsumer)
    return { code: 'MARKET_CONSUMER_BUSY', message: `${own} of your orders are open` };
  return undefined;
}

function refuseTerms(
  market: Market,
  { order: { order }, balance }: Submission,
  needs: JobNeeds,
  cap: bigint,
): Refusal | undefined {
  const { array } = order;
  if (array && order.priceCap < array.unitPrice * BigInt(array.tasks * array.replicas))
    return {
      code: 'MARKET_CAP_TOO_LOW',
      message: `price cap ${order.priceCap} for ${array.tasks} tasks, ${array.replicas} times, of ${array.unitPrice} each`,
    };
  if (!canEverRun(market, needs, cap)) {
    const quote = quoteJob(market, needs);
    const [best] = quote.options.toSorted((a, b) => (a.priceCap < b.priceCap ? -1 : 1));
    if (best)
      return {
        code: 'MARKET_CAP_TOO_LOW',
        message: `price cap ${cap}, cheapest quote ${best.priceCap} (${best.cell})`,
      };
    const [nearest] = relaxationsOf(market, needs, cap);
    const why = quote.reasons.map((r) => `${r.providers} ${r.text}`).join('; ');
    return {
      code: 'MARKET_NOTHING_FITS',
      message: `${why || 'no provider online'}${nearest ? `; it would run with ${relaxationText(nearest)}` : ''}`,
      reasons: quote.reasons,
    };
  }
  const few = refuseOperators(market, needs, cap);
  if (few) return few;
  if (balance.height < market.meta.height - RECENT_BLOCKS)
    return {
      code: 'MARKET_OVERLOADED',
      message: `the balance was read at height ${balance.height}, the chain is at ${market.meta.height}`,
    };
  const reserved = reservedOf(market, order.consumer, balance.height);
  // Of many tasks the first batch is enough to begin: the rest is held as it is handed out.
  const wanted = array
    ? array.unitPrice * BigInt(Math.min(array.tasks, BATCH_UNITS_MAX))
    : order.priceCap;
  if (balance.amount < reserved + wanted)
    return {
      code: 'MARKET_BALANCE_TOO_LOW',
      message: `prepaid ${formatAmount(balance.amount)}, of which ${formatAmount(reserved)} is promised to earlier orders; this one needs ${formatAmount(wanted)}`,
    };
  return undefined;
}

/** Replicas go to distinct operators: with too few of them nothing could ever be decided. */
function refuseOperators(market: Market, needs: JobNeeds, cap: bigint): Refusal | undefined {
  const { most = 1, isAdaptive = false } = needs.replicas ?? {};
  const wanted = isAdaptive ? QUORUM_TERMS.quorum : (most >> 1) + 1;
  const { cells } = market.places.fits.of(market.providers, needs);
  const fitting = cells.flatMap(({ candidates }) =>
    candidates.filter(({ provider, price }) => price <= cap && !absenceOf(market, provider)),
  );
  if (most === 1 || fitting.length >= wanted) return undefined;
  return {
    code: 'MARKET_TOO_FEW_OPERATORS',
    message: `${wanted} operators must agree, ${fitting.length} that fit are there`,
  };
}

function canEverRun(market: Market, needs: JobNeeds, priceCap: bigint): boolean {
  const { cells } = market.places.fits.of(market.providers, needs);
  return cells.some(({ candidates }) =>
    candidates.some(({ provider, price }) => price <= priceCap && !absenceOf(market, provider)),
  );
}
