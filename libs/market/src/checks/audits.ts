/**
 * Results of `js` jobs of the tiers A and B, done again by another operator: a share of them, and of batches
 * of many tasks a few tasks. An audit is an order of the market's own account with the same manifest, bound,
 * run and paid like any other. Two that are equal settle it; else a third operator decides, and who is alone
 * with its result loses trust and, on the chain, half of its bond, of which the consumer gets the price back.
 */
import {
  ORDER_DOMAIN,
  type Order,
  batchDeliveryHash,
  decodeUnitLeaf,
  orderBytes,
  orderId,
  splitUnitLeaves,
  unitSetOf,
  unitsOf,
} from '#contracts';
import { createOrder } from '../acceptance.ts';
import { coverOf } from '../arrays/funds.ts';
import type { MarketEvent } from '../model/events.ts';
import { type OrderRow, UNFINISHED } from '../model/rows.ts';
import { absenceOf } from '../placement/absence.ts';
import { type Market, type Step, emit, orderOf } from '../state.ts';
import { AUDIT_TERMS, judgeReplicas, sampleOf } from '../verification/index.ts';
import {
  type Subject,
  type Voice,
  answersOf,
  auditSalt,
  auditStateOf,
  batchAuditOf,
  changeBatchAudit,
  isRepeatable,
  setAuditState,
  subjectKey,
  subjectOf,
  voiceOf,
} from './audit-subjects.ts';
import { openConviction } from './convictions.ts';
import { noteCheck } from './log-check.ts';
import { noteComparison } from './trust-rows.ts';

const MS = 1000;
/** So many price caps are paid in when the market's prepaid balance covers no audit. */
const TOP_UP = 8n;

const isUnderWay = (row: OrderRow | undefined): boolean =>
  row !== undefined && UNFINISHED.has(row.work);

/** Brings an audit on by what its orders came to. May be called at any time. */
export function pursueAudit(step: Step, subject: Subject): void {
  const { market, now } = step;
  const audit = auditStateOf(market, subject);
  if (audit?.state === 'wrong') return openConviction(step, subject);
  if (audit?.state !== 'due') return;
  const key = subjectKey(subject);
  market.audits.add(key);
  // Not urgent; but a word may be lost.
  market.deadlines.set(`audit/${key}`, now.monotonicMs + market.config.times.resultGraceMs);
  const last = market.orders.get(audit.orders.at(-1) ?? '');
  if (isUnderWay(last)) return;
  const row = orderOf(market, subject.id);
  if (subject.fence === undefined && row.work !== 'done')
    return conclude(step, subject, 'undone', 'its order is no longer done');
  if (!hasLeaves(step, subject)) return;
  if (tasksOf(market, subject)?.length === 0)
    return conclude(step, subject, 'undone', 'no task of the batch ended by itself');
  const voices: Voice[] = [];
  for (const one of [row, ...audit.orders.map((order) => market.orders.get(order))]) {
    const voice = one && voiceOf(market, subject, one);
    if (typeof voice !== 'object')
      return conclude(step, subject, 'undone', voice ?? 'it is known no more what it came to');
    voices.push(voice);
  }
  judge(step, subject, voices);
}

/** Of a batch: its leaves are asked for where they are not in memory, and then say which tasks are done again. */
function hasLeaves(step: Step, { id, fence }: Subject): boolean {
  const { market } = step;
  if (fence === undefined) return true;
  const leaves = market.auditLeaves.get(subjectKey({ id, fence }));
  if (!leaves) {
    emit(step, { kind: 'readLeaves', order: id, fence });
    return false;
  }
  const row = orderOf(market, id);
  const audit = batchAuditOf(row, fence);
  const batch = market.batchesOf.get(id)?.get(fence);
  if (!audit || audit.tasks || !batch?.delivery) return true;
  const { delivery } = batch.delivery;
  const paid = new Set(unitsOf(batch.paidUnits ?? delivery.units));
  const comparable = (splitUnitLeaves(leaves) ?? []).flatMap((leaf) => {
    const result = decodeUnitLeaf(leaf);
    return result && isRepeatable(result.exit) && paid.has(result.unit) ? [result.unit] : [];
  });
  const seed = { block: audit.block, delivery: batchDeliveryHash(delivery) };
  changeBatchAudit(step, id, fence, { tasks: sampleOf(seed, comparable) });
  return true;
}

/** The database has them. */
export function leavesRead(
  step: Step,
  { order: id, fence, leaves }: Extract<MarketEvent, { kind: 'leavesRead' }>,
): void {
  const subject = { id, fence };
  const audit = auditStateOf(step.market, subject);
  if (audit?.state !== 'due' && audit?.state !== 'wrong') return;
  step.market.auditLeaves.set(subjectKey(subject), leaves);
  pursueAudit(step, subject);
}

function judge(step: Step, subject: Subject, voices: readonly Voice[]): void {
  const decision = judgeReplicas(AUDIT_TERMS, answersOf(voices), 0);
  if (decision.kind === 'undecided')
    return conclude(step, subject, 'undone', 'three operators came to three results');
  if (decision.kind !== 'accepted') return askFund(step);
  for (const { provider } of decision.agreeing) noteComparison(step, provider, false);
  for (const { provider } of decision.odd) noteComparison(step, provider, true);
  const [odd] = decision.odd;
  const provider = voices[0]?.provider ?? '';
  if (!odd) {
    const reason = 'drawn at random and done again by another operator: exit and result are equal';
    return conclude(step, subject, 'right', reason, provider);
  }
  const isAudited = odd.replica === 0;
  const right = decision.agreeing[0]?.key ?? '';
  const reason = isAudited
    ? `two other operators came to something else: ${right}`
    : `borne out by a third operator; operator ${odd.provider} had come to something else`;
  const { orders = [] } = auditStateOf(step.market, subject) ?? {};
  conclude(step, subject, isAudited ? 'wrong' : 'right', reason, provider);
  const { order } = voices[odd.replica] as Voice;
  setAuditState(step, subject, { state: 'wrong', orders, odd: order });
  openConviction(step, subject);
}

const CODES = { right: 'audit-right', wrong: 'audit-wrong', undone: 'audit-undone' } as const;

function conclude(
  step: Step,
  subject: Subject,
  state: keyof typeof CODES,
  reason: string,
  provider?: string,
): void {
  const { market } = step;
  const key = subjectKey(subject);
  market.audits.delete(key);
  market.deadlines.clear(`audit/${key}`);
  // Whoever is to be convicted of it shows them to the chain.
  if (state !== 'wrong') market.auditLeaves.delete(key);
  const { id } = subject;
  const { orders = [] } = auditStateOf(market, subject) ?? {};
  setAuditState(step, subject, { state, orders });
  const tasks = tasksOf(market, subject) ?? [];
  noteCheck(step, id, {
    ...{ code: CODES[state], reason, ...(provider !== undefined && { provider }) },
    ...(tasks.length > 0 && { units: unitSetOf(tasks) }),
  });
}

/** Of a batch: which of its tasks are done again, once that is known. */
const tasksOf = (market: Market, { id, fence }: Subject): readonly number[] | undefined =>
  fence === undefined ? undefined : batchAuditOf(orderOf(market, id), fence)?.tasks;

/** Looks at what the market's own prepaid balance covers; `fundRead` goes on. */
function askFund(step: Step): void {
  emit(step, { kind: 'readBalance', account: step.market.config.signer.account });
}

/** The market's own balance was read: audits that wait for another operator are ordered. */
export function fundRead(step: Step, account: string): void {
  const { market } = step;
  const { caps, signer } = market.config;
  if (account !== signer.account) return;
  for (const key of market.audits) {
    // Consumers go first: it is asked for again.
    if (market.openOrders >= caps.openOrders || market.orders.size >= caps.orders) return;
    const subject = subjectOf(key);
    const audit = auditStateOf(market, subject);
    const isReady = subject.fence === undefined || market.auditLeaves.has(key);
    if (
      audit?.state === 'due' &&
      isReady &&
      !isUnderWay(market.orders.get(audit.orders.at(-1) ?? ''))
    )
      orderAudit(step, subject, audit.orders);
  }
}

/** Orders the same once more, from an operator that has not done it. */
function orderAudit(step: Step, subject: Subject, before: readonly string[]): void {
  const { market } = step;
  const row = orderOf(market, subject.id);
  const rows = [row, ...before.flatMap((order) => market.orders.get(order) ?? [])];
  const avoid = rows.flatMap((one) => {
    const voice = voiceOf(market, subject, one);
    return typeof voice === 'object' ? [voice.provider] : [];
  });
  if (!isThereAnother(step, row, avoid))
    return conclude(step, subject, 'undone', 'no other operator is there that could do it');
  const order = orderFor(step, subject, before.length);
  const { signer } = market.config;
  const id = orderId(order);
  const signature = signer.sign(ORDER_DOMAIN, orderBytes(order));
  const { placement } = row.needs;
  const needs = { ...row.needs, placement: { ...placement, priority: 0 } };
  setAuditState(step, subject, { state: 'due', orders: [...before, id] });
  const inGraph = { sources: [], depth: 0, readyInMs: 0 };
  createOrder(
    step,
    id,
    { order, publicKey: signer.publicKey, signature },
    { needs, inGraph },
    {
      ...{ auditOf: row.id, avoid: [...avoid] },
      ...(subject.fence !== undefined && { auditFence: subject.fence }),
      ...(isPurseLow(market, order.priceCap) && { topUp: TOP_UP * order.priceCap }),
    },
    tasksOf(market, subject),
  );
}

function orderFor({ market, now }: Step, subject: Subject, round: number): Order {
  const { chain, signer, times } = market.config;
  const { needs, signed } = orderOf(market, subject.id);
  const { manifest, array } = signed.order;
  const tasks = tasksOf(market, subject)?.length ?? 0;
  const priceCap = array ? array.unitPrice * BigInt(tasks) : signed.order.priceCap;
  const waitMs = needs.limits.wallMs + times.auditPatienceMs;
  return {
    ...{ chain, consumer: signer.account, market: signer.account, manifest, priceCap },
    // The same after a crash, so that nothing is ordered twice.
    salt: auditSalt(subject, round),
    placeByUs: now.timeUs + MS * Math.min(times.placeByMaxMs / 2, waitMs),
    completeByUs: now.timeUs + MS * waitMs,
    ...(array && { array: { ...array, replicas: 1 } }),
  };
}

/** Money of tasks is taken when they are handed out: audits that were ordered may still want theirs. */
function isPurseLow(market: Market, priceCap: bigint): boolean {
  const { account } = market.config.signer;
  let wanted = priceCap;
  for (const id of market.openByConsumer.get(account) ?? []) {
    const row = market.orders.get(id);
    if (row?.array) wanted += row.signed.order.priceCap;
  }
  return (coverOf(market, account) ?? 0n) < wanted;
}

function isThereAnother(
  { market }: Step,
  { needs, signed }: OrderRow,
  avoid: readonly string[],
): boolean {
  const { priceCap, array } = signed.order;
  const most = array?.unitPrice ?? priceCap;
  const { cells } = market.places.fits.of(market.providers, needs);
  return cells.some(({ candidates }) =>
    candidates.some(
      ({ provider, price }) =>
        price <= most && !avoid.includes(provider.row.provider) && !absenceOf(market, provider),
    ),
  );
}
