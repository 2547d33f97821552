/**
 * Results of `js` orders of the tiers A and B, done again by another operator: a share of them, drawn when
 * the signed delivery was accepted. An audit is an order of the market's own account with the same manifest,
 * bound, run and paid like any other. Two that are equal settle it; else a third operator decides, and who
 * is alone with its result loses trust and, on the chain, half of its bond, of which the consumer gets the
 * price back.
 */
import { ORDER_DOMAIN, type Order, orderBytes, orderId } from '#contracts';
import { hashOf } from '#libs/crypto';
import { utf8 } from '#libs/kernel';
import { createOrder } from '../acceptance.ts';
import { coverOf } from '../arrays/funds.ts';
import { keyOfCall } from '../chain-calls.ts';
import type { OwnTransactionFact } from '../model/events.ts';
import { type AuditState, type MarketCall, type OrderRow, UNFINISHED } from '../model/rows.ts';
import { absenceOf } from '../placement/absence.ts';
import { type Step, emit, updateOrder } from '../state.ts';
import { startTransaction } from '../transactions.ts';
import {
  AUDIT_TERMS,
  type ReplicaAnswer,
  answerKey,
  judgeReplicas,
} from '../verification/index.ts';
import { auditChanceOf, isAuditable, isRepeatable } from './audit-draw.ts';
import { noteCheck } from './log-check.ts';
import { noteComparison } from './trust-rows.ts';

const MS = 1000;
const DRAW_BYTES = 4;
const SALT_DOMAIN = 'seele/audit/1';
const SALT_DIGITS = 32;
const CONVICT_AGAIN_MS = 3_000;
/** Audits under way; beyond that none are drawn. */
const AUDITS_MAX = 1024;
/** So many price caps are paid in when the market's prepaid balance covers no audit. */
const TOP_UP = 8n;

/** A delivery was accepted: is it among those that are done again? */
export function drawAudit(step: Step, id: string): void {
  const { market } = step;
  const row = market.orders.get(id);
  if (!row?.delivery || market.audits.size >= AUDITS_MAX || !isAuditable(market, row)) return;
  const draw =
    new DataView(step.randomness.bytes(DRAW_BYTES).slice().buffer).getUint32(0) / 2 ** 32;
  if (draw >= auditChanceOf(market, row.delivery.delivery)) return;
  updateOrder(step, id, { audit: { state: 'due', orders: [] } });
  pursueAudit(step, id);
}

const isUnderWay = (row: OrderRow | undefined): boolean =>
  row !== undefined && UNFINISHED.has(row.work);

/** Brings an audit on by what its orders came to. May be called at any time. */
export function pursueAudit(step: Step, id: string): void {
  const { market, now } = step;
  const row = market.orders.get(id);
  if (row?.audit?.state === 'wrong') return openConviction(step, id);
  if (row?.audit?.state !== 'due') return;
  market.audits.add(id);
  // Not urgent; but a word may be lost.
  market.deadlines.set(`audit/${id}`, now.monotonicMs + market.config.times.resultGraceMs);
  const { orders } = row.audit;
  const done = orders.map((order) => market.orders.get(order));
  const last = done.at(-1);
  if (isUnderWay(last)) return;
  if (row.work !== 'done') return conclude(step, id, 'undone', 'its order is no longer done');
  if (orders.length > 0 && !isRepeatable(last))
    return conclude(step, id, 'undone', last?.reason?.text ?? 'the other run ended by a limit');
  judge(step, row, answersOf([row, ...(done as OrderRow[])]));
}

/** One voice for each order, in the order in which they were given. */
const answersOf = (rows: readonly OrderRow[]): ReplicaAnswer[] =>
  rows.flatMap(({ delivery: signed }, replica) => {
    if (!signed) return [];
    const { provider, exit, result } = signed.delivery;
    return [{ replica, provider, key: answerKey(exit, result) }];
  });

function judge(step: Step, row: OrderRow, answers: readonly ReplicaAnswer[]): void {
  const decision = judgeReplicas(AUDIT_TERMS, answers, 0);
  const { id } = row;
  if (decision.kind === 'undecided')
    return conclude(step, id, 'undone', 'three operators came to three results');
  if (decision.kind !== 'accepted') return askFund(step);
  for (const { provider } of decision.agreeing) noteComparison(step, provider, false);
  for (const { provider } of decision.odd) noteComparison(step, provider, true);
  const [odd] = decision.odd;
  const { provider } = answers[0] as ReplicaAnswer;
  if (!odd) {
    const reason = 'drawn at random and done again by another operator: exit and result are equal';
    return conclude(step, id, 'right', reason, provider);
  }
  const isAudited = odd.replica === 0;
  const right = decision.agreeing[0]?.key ?? '';
  const reason = isAudited
    ? `two other operators came to something else: ${right}`
    : `borne out by a third operator; operator ${odd.provider} had come to something else`;
  conclude(step, id, isAudited ? 'wrong' : 'right', reason, provider);
  const orders = [id, ...(row.audit?.orders ?? [])];
  updateOrder(step, id, {
    audit: { state: 'wrong', orders: row.audit?.orders ?? [], odd: orders[odd.replica] as string },
  });
  openConviction(step, id);
}

const CODES = { right: 'audit-right', wrong: 'audit-wrong', undone: 'audit-undone' } as const;

function conclude(
  step: Step,
  id: string,
  state: keyof typeof CODES,
  reason: string,
  provider?: string,
): void {
  const { market } = step;
  market.audits.delete(id);
  market.deadlines.clear(`audit/${id}`);
  const { orders = [] } = market.orders.get(id)?.audit ?? {};
  updateOrder(step, id, { audit: { state, orders } satisfies AuditState });
  noteCheck(step, id, { code: CODES[state], reason, ...(provider !== undefined && { provider }) });
}

/** Looks at what the market's own prepaid balance covers; `fundRead` goes on. */
function askFund(step: Step): void {
  emit(step, { kind: 'readBalance', account: step.market.config.signer.account });
}

/** The market's own balance was read: audits that wait for another operator are ordered. */
export function fundRead(step: Step, account: string): void {
  const { market } = step;
  const { caps, signer } = market.config;
  if (account !== signer.account) return;
  for (const id of market.audits) {
    // Consumers go first: it is asked for again.
    if (market.openOrders >= caps.openOrders || market.orders.size >= caps.orders) return;
    const row = market.orders.get(id);
    if (
      row?.audit?.state === 'due' &&
      !isUnderWay(market.orders.get(row.audit.orders.at(-1) ?? ''))
    )
      orderAudit(step, row, row.audit.orders);
  }
}

/** Orders the same manifest once more, from an operator that has not done it. */
function orderAudit(step: Step, row: OrderRow, before: readonly string[]): void {
  const { market, now } = step;
  const rows = [row, ...before.map((order) => market.orders.get(order))];
  const avoid = rows.flatMap((one) => one?.delivery?.delivery.provider ?? []);
  const { priceCap, manifest } = row.signed.order;
  if (!isThereAnother(step, row, avoid))
    return conclude(step, row.id, 'undone', 'no other operator is there that could do it');
  const { chain, signer, times } = market.config;
  const waitMs = row.needs.limits.wallMs + times.auditPatienceMs;
  const order: Order = {
    ...{ chain, consumer: signer.account, market: signer.account, manifest, priceCap },
    // The same after a crash, so that nothing is ordered twice.
    salt: hashOf(SALT_DOMAIN, utf8(`${row.id}/${before.length}`)).slice(0, SALT_DIGITS),
    placeByUs: now.timeUs + MS * Math.min(times.placeByMaxMs / 2, waitMs),
    completeByUs: now.timeUs + MS * waitMs,
  };
  const id = orderId(order);
  const signature = signer.sign(ORDER_DOMAIN, orderBytes(order));
  const { placement } = row.needs;
  const needs = { ...row.needs, placement: { ...placement, priority: 0 } };
  const cover = coverOf(market, signer.account) ?? 0n;
  updateOrder(step, row.id, { audit: { state: 'due', orders: [...before, id] } });
  const inGraph = { sources: [], depth: 0, readyInMs: 0 };
  createOrder(
    step,
    id,
    { order, publicKey: signer.publicKey, signature },
    { needs, inGraph },
    {
      ...{ auditOf: row.id, avoid },
      ...(cover < priceCap && { topUp: TOP_UP * priceCap }),
    },
  );
}

function isThereAnother(
  { market }: Step,
  { needs, signed }: OrderRow,
  avoid: readonly string[],
): boolean {
  const { cells } = market.places.fits.of(market.providers, needs);
  return cells.some(({ candidates }) =>
    candidates.some(
      ({ provider, price }) =>
        price <= signed.order.priceCap &&
        !avoid.includes(provider.row.provider) &&
        !absenceOf(market, provider),
    ),
  );
}

/** Convicts on the chain who was alone with its result, once a block holds all three deliveries. */
function openConviction(step: Step, id: string): void {
  const { market, now } = step;
  const row = market.orders.get(id);
  if (row?.audit?.odd === undefined || row.audit.isOpened) return;
  const { odd, orders } = row.audit;
  const all = [id, ...orders];
  const states = all.map((order) => market.orders.get(order)?.chain.state);
  const isLost = (state: string | undefined): boolean =>
    state === undefined || state === 'cancelled' || state === 'refunded';
  // Taken back since, or forgotten: the chain would not hear it.
  if (states.some(isLost)) {
    updateOrder(step, id, { audit: { ...row.audit, isOpened: true } });
    const reason = 'nobody is convicted: one of the three deliveries does not stand on the chain';
    return noteCheck(step, id, { code: 'convict-refused', reason });
  }
  const others = all.filter((order) => order !== odd);
  const call: MarketCall = { kind: 'convict', order: odd, others };
  const isThere = states.every((state) => state === 'delivered' || state === 'settled');
  if (isThere && startTransaction(step, keyOfCall(odd, call), undefined, call))
    updateOrder(step, id, { audit: { ...row.audit, isOpened: true } });
  else market.deadlines.set(`audit/${id}`, now.monotonicMs + CONVICT_AGAIN_MS);
}

/** A block has the conviction, or says why not. */
export function convictionAnswered(
  step: Step,
  { order: odd, others }: Extract<MarketCall, { kind: 'convict' }>,
  { ok, code }: OwnTransactionFact,
): void {
  const { market } = step;
  const id = [odd, ...others].find((one) => market.orders.get(one)?.audit !== undefined);
  if (id === undefined) return;
  if (ok) {
    const reason = 'the chain has the three deliveries: half of the bond of the odd one is lost';
    return noteCheck(step, id, { code: 'convicted', reason });
  }
  const reason = `the chain did not convict: ${code ?? 'no reason given'}`;
  noteCheck(step, id, { code: 'convict-refused', reason });
}
