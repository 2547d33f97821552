/** What is checked before an order is taken on, in which order, and what a refusal says. */
import { formatAmount } from '#libs/kernel';
import { BATCH_UNITS_MAX, ORDER_DOMAIN, type SignedOrder, orderBytes } from '#contracts';
import { accountOf } from '#libs/crypto';
import { distrustOf } from './checks/bonds.ts';
import { operatorsFor } from './checks/operators.ts';
import { needsOf } from './fitting.ts';
import { type Ahead, type InGraph, placeInGraph, putAhead } from './graph/admission.ts';
import { manifestCid, manifestProblem } from './manifest.ts';
import type { MarketConfig } from './model/config.ts';
import type { BalanceRead, Submission } from './model/events.ts';
import type { JobNeeds, OrderRow } from './model/rows.ts';
import type { Refusal } from './model/views.ts';
import { absenceOf } from './placement/absence.ts';
import { type Admission, admit, forecastOf } from './placement/forecast.ts';
import { type Promised, readQuote } from './placement/promise.ts';
import { quoteJob } from './quote.ts';
import { relaxationText, relaxationsOf } from './why.ts';
import { reservedOf } from './reserved.ts';
import { type Market, RECENT_BLOCKS, type Step, isRebuilding } from './state.ts';
import { usualMs } from './placement/outlook.ts';
import { asksForQuorum } from './verification/index.ts';

const MS = 1000;

/** What is known of an order that may be taken on. */
export interface Admitted extends Pick<OrderRow, 'needs' | 'forecast'> {
  readonly inGraph: InGraph;
}

/** Looks at one order of a submission, after those `ahead` of it. Changes nothing but `ahead`. */
export function checkOrder(
  step: Step,
  id: string,
  submission: Submission,
  balance: BalanceRead,
  ahead: Ahead,
): Admitted | Refusal {
  const { market, now } = step;
  const { order: signed, manifest } = submission;
  const refusal =
    refuseDocument(market.config, submission, now.timeUs) ?? refuseLoad(market, signed, ahead);
  if (refusal) return refusal;
  const inGraph = placeInGraph(market, signed, manifest, ahead, now.timeUs);
  if ('code' in inGraph) return inGraph;
  const promised = promiseFor(step, submission);
  if (promised && 'code' in promised) return promised;
  const needs = needsOf(manifest);
  const asked = { submission, needs, balance, ahead, readyInMs: inGraph.readyInMs };
  const admission = admitOrder(step, asked, promised);
  if (admission.refusal) return admission.refusal;
  const { array, consumer } = signed.order;
  // What is foreseen without a quote is of one task: only a quote looked at all of them.
  const forecast =
    array && !promised ? undefined : forecastOf(market, needs, admission.choice, promised);
  const runMs = forecast?.finishMs ?? usualMs(market, needs);
  const after = [...new Set(inGraph.sources.map(({ order }) => order))];
  const seen = { consumer, needs, tasks: array?.tasks, depth: inGraph.depth, after, runMs };
  putAhead(ahead, id, seen, wantedBy(signed));
  return { needs, inGraph, ...(forecast && { forecast }) };
}

/** Money that must be there. Of many tasks the first batch is enough to begin: the rest is held as it is handed out. */
const wantedBy = ({ order: { array, priceCap } }: SignedOrder): bigint =>
  array ? array.unitPrice * BigInt(Math.min(array.tasks, BATCH_UNITS_MAX)) : priceCap;

/** What the quote that came with the order promises it, if one did. */
function promiseFor(step: Step, { order, quote }: Submission): Promised | Refusal | undefined {
  return quote && readQuote(step.market.config, quote, order.order, step.now.timeUs);
}

interface Asked {
  readonly submission: Submission;
  readonly needs: JobNeeds;
  readonly balance: BalanceRead;
  readonly ahead: Ahead;
  readonly readyInMs: number;
}

/** Money, floors and deadline: is there a machine that can take it, and where would it go? */
function admitOrder(step: Step, asked: Asked, promised: Promised | undefined): Admission {
  const { market, now, randomness } = step;
  const { needs, readyInMs } = asked;
  const { order } = asked.submission.order;
  const most = order.array?.unitPrice ?? order.priceCap;
  const promise = promised?.unitPrice ?? promised?.price;
  const cap = promise !== undefined && promise < most ? promise : most;
  const refusal = refuseTerms(market, asked, cap);
  if (refusal) return { choice: undefined, refusal };
  const deadlineMs = (order.completeByUs - now.timeUs) / MS - readyInMs;
  const draws = { nowMs: now.monotonicMs, draws: randomness };
  const admission = admit(market, needs, cap, deadlineMs, draws);
  if (!admission.refusal || readyInMs === 0) return admission;
  const { code, message } = admission.refusal;
  const inputs = `what it reads is foreseen in ${Math.ceil(readyInMs)} ms; from then on `;
  return { ...admission, refusal: { code, message: inputs + message } };
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
function refuseLoad(market: Market, { order }: SignedOrder, ahead: Ahead): Refusal | undefined {
  const { caps } = market.config;
  const more = ahead.orders.size;
  if (isRebuilding(market))
    return {
      code: 'MARKET_REBUILDING',
      message: `block ${market.meta.height} of ${market.meta.rebuildTo} is read`,
    };
  if (
    market.openOrders + more >= caps.openOrders ||
    market.orders.size + more >= caps.orders ||
    market.places.waiting.size >= caps.waiting
  )
    return { code: 'MARKET_OVERLOADED', message: `${market.openOrders} orders are open` };
  const own = (market.openByConsumer.get(order.consumer)?.size ?? 0) + more;
  if (own >= caps.openOrdersPerConsumer)
    return { code: 'MARKET_CONSUMER_BUSY', message: `${own} of your orders are open` };
  return undefined;
}

function refuseTerms(
  market: Market,
  { submission, needs, balance, ahead }: Asked,
  cap: bigint,
): Refusal | undefined {
  const { order } = submission.order;
  const { array } = order;
  if (array && order.priceCap < array.unitPrice * BigInt(array.tasks * array.replicas))
    return {
      code: 'MARKET_CAP_TOO_LOW',
      message: `price cap ${order.priceCap} for ${array.tasks} tasks, ${array.replicas} times, of ${array.unitPrice} each`,
    };
  if (!canEverRun(market, needs, cap)) {
    const quote = quoteJob(market, needs);
    const each = quote.options.map(({ cell, priceCap, unitPrice }) => ({
      ...{ cell, price: unitPrice ?? priceCap },
    }));
    const [best] = each.toSorted((a, b) => (a.price < b.price ? -1 : 1));
    if (best)
      return {
        code: 'MARKET_CAP_TOO_LOW',
        message: `price cap ${cap}${array ? ' for each task' : ''}, cheapest quote ${best.price} (${best.cell})`,
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
  const reserved = reservedOf(market, order.consumer, balance.height) + ahead.wanted;
  const wanted = wantedBy(submission.order);
  if (balance.amount < reserved + wanted)
    return {
      code: 'MARKET_BALANCE_TOO_LOW',
      message: `prepaid ${formatAmount(balance.amount)}, of which ${formatAmount(reserved)} is promised to earlier orders; this one needs ${formatAmount(wanted)}`,
    };
  return undefined;
}

function canEverRun(market: Market, needs: JobNeeds, priceCap: bigint): boolean {
  const { cells } = market.places.fits.of(market.providers, needs);
  return cells.some(({ candidates }) =>
    candidates.some(
      ({ provider, price }) =>
        price <= priceCap && !absenceOf(market, provider) && !distrustOf(market, provider, price),
    ),
  );
}

function refuseOperators(market: Market, needs: JobNeeds, cap: bigint): Refusal | undefined {
  const { wanted, there } = operatorsFor(market, needs, cap);
  if (wanted === 1 || there >= wanted) return undefined;
  return {
    code: 'MARKET_TOO_FEW_OPERATORS',
    message: `${wanted} operators must agree, ${there} that fit are there`,
  };
}
