/**
 * What an agent says it did of a batch. Each message holds everything done so far, so a newer one replaces
 * an older one, and what is stored counts even when the rest is lost. The last one is looked at and paid.
 */
import {
  BATCH_DELIVERY_DOMAIN,
  type SignedBatchDelivery,
  batchDeliveryBytes,
  batchDeliveryHash,
  countUnits,
  coversUnits,
  decodeUnitLeaf,
  splitUnitLeaves,
  unitSetOf,
  unitSetProblem,
  unitsOf,
  unitsRoot,
  type UnitResult,
} from '#contracts';
import { accountOf } from '#libs/crypto';
import type { Bytes } from '#libs/kernel';
import type { AgentMessage } from '../agent-protocol.ts';
import type { MarketEvent } from '../model/events.ts';
import { type OrderRow, ROW_VERSION, type UnitsRow, unitsId } from '../model/rows.ts';
import { observeRun, storeLater } from '../placement/observe.ts';
import { noteCheck } from '../checks/log-check.ts';
import { chargeFor } from '../pricing.ts';
import { HOST_EXITS, type LeaseEnd } from '../retry.ts';
import { type Step, emit, orderOf, saveRow } from '../state.ts';
import { BATCH_LOG_MAX_CHARACTERS } from './array-result.ts';
import { arrayOf, openBatches, updateBatch } from './batches.ts';
import { closeBatch, endLease, freeBatch, loseBatch, withoutDelivery } from './endings.ts';
import { isReplicated } from './task-answers.ts';

const MS = 1000;

type DeliverUnits = Extract<AgentMessage, { kind: 'deliverUnits' }>;

export function takeUnitsDelivery(
  step: Step,
  session: string,
  batch: UnitsRow,
  message: DeliverUnits,
): void {
  const { lease } = batch;
  if (batch.state === 'checking') return;
  const row = orderOf(step.market, batch.order);
  const refusal = refuseUnits(step, row, batch, message);
  if (refusal !== undefined) {
    answer(step, session, lease, 'no', refusal);
    return loseBatch(step, batch, { code: 'bad-delivery', reason: refusal, retry: 'bad-work' });
  }
  const { delivery, leaves, isLast } = message;
  const { order, fence } = batch;
  const id = unitsId(order, fence);
  saveRow(step, 'leaves', id, { version: ROW_VERSION, order, fence, leaves });
  const { withheld: _old, leaves: _before, ...rest } = batch;
  const withheld = hostFailures(leaves);
  const stored = updateBatch(step, {
    ...rest,
    delivery,
    ...(keepsLeaves(row) && { leaves }),
    ...(withheld.length > 0 && { withheld: { units: unitSetOf(withheld), charge: 0n } }),
    state: isLast ? 'checking' : 'working',
  });
  if (isLast) {
    learnFrom(step, row, batch, leaves);
    endLease(step, lease);
    return checkUnits(step, lease);
  }
  const units = countUnits(stored.delivery?.delivery.units ?? []);
  emit(step, { kind: 'sendAgent', session, message: { kind: 'unitsSaved', lease, units } });
}

/** Who compares answers has them at hand. */
const keepsLeaves = ({ array, needs, auditOf }: OrderRow): boolean =>
  isReplicated(array) || needs.hasValidator === true || auditOf !== undefined;

function answer(
  step: Step,
  session: string | undefined,
  lease: string,
  accepted: 'yes' | 'no',
  reason?: string,
): void {
  if (session === undefined) return;
  const message = { kind: 'delivered', lease, accepted } as const;
  const because = reason === undefined ? {} : { reason: reason.slice(0, 500) };
  emit(step, { kind: 'sendAgent', session, message: { ...message, ...because } });
}

/** Units whose slot died or would not run them: not charged, done again elsewhere. */
function hostFailures(leaves: Bytes): number[] {
  const failed: number[] = [];
  for (const leaf of splitUnitLeaves(leaves) ?? []) {
    const result = decodeUnitLeaf(leaf);
    if (result && HOST_EXITS.has(result.exit)) failed.push(result.unit);
  }
  return failed;
}

/** Some units of each batch are enough to learn what the others will take. */
const SAMPLE = 4;

function learnFrom(step: Step, { needs }: OrderRow, batch: UnitsRow, leaves: Bytes): void {
  const provider = step.market.providers.get(batch.provider);
  if (!provider) return;
  for (const leaf of (splitUnitLeaves(leaves) ?? []).slice(0, SAMPLE)) {
    const result = decodeUnitLeaf(leaf);
    if (result?.exit !== 'ok') continue;
    observeRun(step.market, provider, { needs, usage: result.usage, neighbours: [] });
  }
  storeLater(step);
}

function refuseUnits(
  { market }: Step,
  row: OrderRow,
  batch: UnitsRow,
  { delivery: signed, leaves: bytes }: DeliverUnits,
): string | undefined {
  const { delivery } = signed;
  const before = batch.delivery?.delivery;
  const { tasks, replicas } = arrayOf(row);
  if (delivery.chain !== market.config.chain || delivery.order !== batch.order)
    return 'the delivery is of another order';
  if (delivery.fence !== batch.fence) return `fence ${delivery.fence}, current is ${batch.fence}`;
  if (delivery.provider !== batch.provider || accountOf(signed.publicKey) !== batch.provider)
    return 'the delivery is of another provider';
  const problem = unitSetProblem(delivery.units, tasks * replicas);
  if (problem !== undefined) return problem;
  if (!coversUnits(batch.units, delivery.units)) return 'units of another batch';
  if (before && !coversUnits(delivery.units, before.units))
    return 'units delivered before are missing';
  const leaves = splitUnitLeaves(bytes);
  if (!leaves || leaves.length !== countUnits(delivery.units)) return 'one leaf per unit is wanted';
  if (unitsRoot(leaves) !== delivery.root) return 'the root is not that of the leaves';
  return (
    refuseLeaves(row, batch, leaves, delivery) ??
    (isContradicted(batch, signed) ? 'the chain was given another delivery' : undefined) ??
    (market.config.verify(
      signed.publicKey,
      BATCH_DELIVERY_DOMAIN,
      batchDeliveryBytes(delivery),
      signed.signature,
    )
      ? undefined
      : 'the signature does not verify')
  );
}

/** Somebody relayed another delivery of this batch to the chain. */
const isContradicted = (batch: UnitsRow, { delivery }: SignedBatchDelivery): boolean =>
  batch.chainDelivery !== undefined && batch.chainDelivery !== batchDeliveryHash(delivery);

function refuseLeaves(
  row: OrderRow,
  batch: UnitsRow,
  leaves: readonly Bytes[],
  delivery: SignedBatchDelivery['delivery'],
): string | undefined {
  const units = unitsOf(delivery.units);
  let charge = 0n;
  let outputs = 0;
  for (const [i, leaf] of leaves.entries()) {
    const result = decodeUnitLeaf(leaf);
    if (!result || result.unit !== units[i]) return `leaf ${i} is not one of unit ${units[i]}`;
    const most = mostFor(row, batch, result);
    if (result.charge > most)
      return `unit ${result.unit}: charge ${result.charge} above ${most} for this use`;
    charge += result.charge;
    if (result.exit === 'ok') outputs += 1;
  }
  if (charge !== delivery.charge) return `charge ${delivery.charge}, its units say ${charge}`;
  return outputs > 0 && delivery.results === undefined
    ? `${outputs} outputs without a document`
    : undefined;
}

function mostFor(row: OrderRow, batch: UnitsRow, { exit, usage }: UnitResult): bigint {
  return HOST_EXITS.has(exit) ? 0n : chargeFor(batch, row.needs.limits, usage, batch.unitPrice);
}

/** Asks the storage whether the document with the results is there; again until it answers. */
export function checkUnits(step: Step, lease: string): void {
  const { market, now } = step;
  const batch = market.batches.get(lease);
  const delivery = batch?.delivery?.delivery;
  if (batch?.state !== 'checking' || !delivery) return;
  if (delivery.results === undefined) return acceptUnits(step, batch);
  const { limits } = orderOf(market, batch.order).needs;
  const units = countUnits(delivery.units);
  const maxBytes = units * (limits.outputBytes + RESULT_FRAME_BYTES) + RESULT_LOG_BYTES;
  const { root, results: cid } = delivery;
  emit(step, { kind: 'checkUnits', lease, root, cid, maxBytes });
  market.deadlines.set(`units/${lease}`, now.monotonicMs + market.config.times.checkRetryMs);
}

/** What an output takes in the document beside its bytes. */
const RESULT_FRAME_BYTES = 2_048;
/** What logs of failed tasks take in it, at three bytes a character. */
const RESULT_LOG_BYTES = 4 * BATCH_LOG_MAX_CHARACTERS;

export function unitsChecked(
  step: Step,
  { lease, root, outcome }: Extract<MarketEvent, { kind: 'unitsChecked' }>,
): void {
  const { market, now } = step;
  const batch = market.batches.get(lease);
  if (batch?.state !== 'checking' || batch.delivery?.delivery.root !== root) return;
  if (outcome === 'good') return validateUnits(step, batch);
  if (outcome === 'unavailable') return;
  const since = market.missingSinceMs.get(lease) ?? now.monotonicMs;
  market.missingSinceMs.set(lease, since);
  const isOver = now.monotonicMs - since >= market.config.times.resultGraceMs;
  if (outcome === 'missing' && !isOver) return;
  const reason =
    outcome === 'missing' ? 'the results are not in storage' : 'the results are over their limit';
  const provider = market.providers.get(batch.provider);
  answer(step, provider?.session, lease, 'no', reason);
  loseBatch(step, withoutDelivery(batch), { code: 'bad-result', reason, retry: 'bad-work' });
}

/** Has the order's validator look at the outputs, if it names one; asked again with the next check. */
function validateUnits(step: Step, batch: UnitsRow): void {
  const { needs, signed } = orderOf(step.market, batch.order);
  const { root, results } = batch.delivery?.delivery ?? {};
  if (!needs.hasValidator || batch.isValidated || root === undefined || results === undefined)
    return acceptUnits(step, batch);
  const { manifest } = signed.order;
  emit(step, { kind: 'validateUnits', lease: batch.lease, root, manifest, results });
}

export function unitsValidated(
  step: Step,
  { lease, root, verdict }: Extract<MarketEvent, { kind: 'unitsValidated' }>,
): void {
  const batch = step.market.batches.get(lease);
  if (batch?.state !== 'checking' || batch.isValidated || verdict.is === 'unavailable') return;
  if (batch.delivery?.delivery.root !== root) return;
  const { order: id, provider } = batch;
  const reasons = new Map(verdict.rejected.map(({ unit, reason }) => [unit, reason]));
  let { units, charge } = batch.withheld ?? { units: [], charge: 0n };
  const rejected: number[] = [];
  for (const leaf of splitUnitLeaves(batch.leaves ?? new Uint8Array()) ?? []) {
    const result = decodeUnitLeaf(leaf);
    if (result?.exit !== 'ok' || !reasons.has(result.unit)) continue;
    rejected.push(result.unit);
    charge += result.charge;
  }
  units = unitSetOf([...unitsOf(units), ...rejected]);
  const judged = updateBatch(step, {
    ...batch,
    isValidated: true,
    ...(rejected.length > 0 && { rejected: unitSetOf(rejected) }),
    ...(units.length > 0 && { withheld: { units, charge } }),
  });
  const first = reasons.get(rejected[0] ?? -1);
  const code = rejected.length > 0 ? 'validator-rejected' : 'validator-accepted';
  const reason = `${verdict.broken === undefined ? '' : `the validator ended without a verdict (${verdict.broken}); `}${first ?? 'every output was accepted'}`;
  const some = rejected.length > 0 ? { units: unitSetOf(rejected) } : {};
  noteCheck(step, id, { code, reason, provider, ...some });
  acceptUnits(step, judged);
}

/** The one place where units become done. The provider is told when this is durable. */
function acceptUnits(step: Step, batch: UnitsRow): void {
  const row = orderOf(step.market, batch.order);
  const session = step.market.providers.get(batch.provider)?.session;
  const refuse = (code: string, reason: string, retry: LeaseEnd['retry']): void => {
    answer(step, session, batch.lease, 'no', reason);
    loseBatch(step, withoutDelivery(batch), { code, reason, retry });
  };
  if (batch.delivery && isContradicted(batch, batch.delivery))
    return refuse('bad-work', 'the chain was given another delivery', 'bad-work');
  const stand = payStand(step, row, batch);
  if (stand === 'too-late')
    return refuse('too-late', 'the chain counts no delivery of it any more', 'room');
  if (stand === 'wait') return waitForChain(step, batch);
  closeBatch(step, batch, { code: 'not-done', reason: 'handed back undone', retry: 'room' });
  answer(step, session, batch.lease, 'yes');
}

/** The work is done, so its slot is free; `chainMoved` goes on when a block has what is missing. */
function waitForChain(step: Step, batch: UnitsRow): void {
  const { market, now } = step;
  freeBatch(step, batch);
  const againMs = now.monotonicMs + market.config.times.checkRetryMs;
  market.deadlines.set(`units/${batch.lease}`, againMs);
}

/** A final block placed the order or bound a batch of it: results that waited for that are accepted. */
export function chainMoved(step: Step, id: string): void {
  for (const { lease, state } of openBatches(step.market, id))
    if (state === 'checking') checkUnits(step, lease);
}

/**
 * Whether the chain can still pay a batch. What is accepted is to be paid, so the order must be placed;
 * and there must be time to bind the batch even if the market dies now, or it is bound already.
 */
function payStand(
  { market, now }: Step,
  row: OrderRow,
  { chain }: UnitsRow,
): 'payable' | 'wait' | 'too-late' {
  const { bindLeadMs, resultGraceMs } = market.config.times;
  if (chain === 'delivered') return 'payable';
  const { state } = row.chain;
  if (state !== 'placed') return state === 'none' && !row.endedAtUs ? 'wait' : 'too-late';
  const nowUs = Math.max(now.timeUs, market.meta.chainTimeUs);
  const leftMs = (row.signed.order.completeByUs - nowUs) / MS;
  if (chain === 'bound') return leftMs + resultGraceMs > 0 ? 'payable' : 'too-late';
  if (leftMs <= 0) return 'too-late';
  return leftMs > bindLeadMs ? 'payable' : 'wait';
}
