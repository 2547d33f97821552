/**
 * The market's own transactions. Every body is stored before it is sent, so that sending it again
 * after a crash, a time-out or an unknown outcome is the very same transaction, which a chain takes
 * once. Nonces run in one lane; when a body can no longer get in (expired, or its nonce was used by
 * an older body), the lane is laid anew from the chain's nonce. That may let an old and a new body
 * of one step both get in: the contract's own rules make the second one revert.
 */
import { bodyOf, transactionIdOf } from './chain-calls.ts';
import type { MarketEvent, OwnTransactionFact } from './model/events.ts';
import { type MarketCall, ROW_VERSION, type TransactionRow } from './model/rows.ts';
import {
  type Market,
  type Step,
  type TransactionState,
  emit,
  removeRow,
  saveRow,
} from './state.ts';

const MS = 1000;
const LANE = 'lane';
/** After a refusal at the node's door. */
const REFUSED_RETRY_MS = 250;

/** Starts a transaction unless its key is under way; false when there is no room or no nonce yet. */
export function startTransaction(
  step: Step,
  key: string,
  order: string | undefined,
  call: MarketCall,
): boolean {
  const { market } = step;
  if (market.transactions.has(key)) return true;
  if (
    market.nextNonce === undefined ||
    market.transactions.size >= market.config.caps.transactions
  ) {
    watchLane(step, market.config.times.chainRetryMs);
    return false;
  }
  const row = rowFor(step, market.nextNonce, {
    version: ROW_VERSION,
    key,
    call,
    ...(order !== undefined && { order }),
  });
  market.nextNonce += 1;
  if (order !== undefined) market.transactionOf.set(order, key);
  market.transactions.set(key, { row, sentAtMs: step.now.monotonicMs });
  saveRow(step, 'transaction', key, row);
  send(step, row);
  watchLane(step, market.config.times.chainRetryMs);
  return true;
}

function rowFor(
  step: Step,
  nonce: number,
  row: Omit<TransactionRow, 'nonce' | 'validUntilUs' | 'id'>,
): TransactionRow {
  const { config } = step.market;
  const validUntilUs = step.now.timeUs + config.times.transactionValidMs * MS;
  const id = transactionIdOf(config, { call: row.call, nonce, validUntilUs });
  return { ...row, nonce, validUntilUs, id };
}

function send(step: Step, row: TransactionRow): void {
  const body = bodyOf(step.market.config, row);
  emit(step, { kind: 'submitTransaction', key: row.key, id: row.id, body });
}

function watchLane(step: Step, inMs: number): void {
  step.market.deadlines.setEarlier(LANE, step.now.monotonicMs + inMs);
}

/** Takes the transaction out of the lane: a block answered it, or nobody needs it any more. */
export function endTransaction(step: Step, row: TransactionRow): void {
  const { market } = step;
  market.transactions.delete(row.key);
  if (row.order !== undefined && market.transactionOf.get(row.order) === row.key)
    market.transactionOf.delete(row.order);
  removeRow(step, 'transaction', row.key);
}

/**
 * A block used one of our nonces. Returns the row it answered; when the nonce went to a body that we
 * no longer hold, the row that counted on it is returned as `displaced`.
 */
export function matchOwn(
  market: Market,
  fact: OwnTransactionFact,
): { answered?: TransactionRow; displaced?: TransactionRow } {
  market.confirmedNonce = Math.max(market.confirmedNonce, fact.nonce + 1);
  if (market.nextNonce !== undefined)
    market.nextNonce = Math.max(market.nextNonce, market.confirmedNonce);
  for (const { row } of market.transactions.values()) {
    if (row.id === fact.id) return { answered: row };
    if (row.nonce === fact.nonce) return { displaced: row };
  }
  return {};
}

/** The lane has stood still: ask the chain where it is. */
export function checkLane(step: Step): void {
  const { market, now } = step;
  const isIdle = market.transactions.size === 0 && market.wanting.size === 0;
  // Without its nonce the market asks on, or the first order after a start would wait for it.
  if (isIdle && market.nextNonce !== undefined) return;
  const { chainRetryMs } = market.config.times;
  let oldest = now.monotonicMs;
  for (const { sentAtMs } of market.transactions.values()) oldest = Math.min(oldest, sentAtMs);
  if (market.nextNonce === undefined || now.monotonicMs - oldest >= chainRetryMs)
    emit(step, { kind: 'readNonce' });
  watchLane(step, chainRetryMs);
}

export function transactionRefused(
  step: Step,
  event: Extract<MarketEvent, { kind: 'transactionRefused' }>,
): void {
  const state = step.market.transactions.get(event.key);
  if (state?.row.id !== event.id) return;
  step.market.lastRefusal = event.code;
  // The next look at the lane counts it as overdue, whatever was sent meanwhile.
  state.sentAtMs = Number.NEGATIVE_INFINITY;
  watchLane(step, REFUSED_RETRY_MS);
}

/**
 * Sends again what may still get in; lays the lane anew when it cannot.
 * @returns transactions that nobody wanted any more and that are given up
 */
export function nonceRead(
  step: Step,
  event: Extract<MarketEvent, { kind: 'nonceRead' }>,
  isWanted: (row: TransactionRow) => boolean,
): readonly TransactionRow[] {
  const { market } = step;
  // Blocks that we have not seen yet may answer some of them: decide when they came.
  if (event.height > market.meta.height) {
    watchLane(step, REFUSED_RETRY_MS);
    return [];
  }
  const base = Math.max(event.nonce, market.confirmedNonce);
  const lane = [...market.transactions.values()];
  if (lane.length === 0) market.nextNonce = Math.max(base, market.nextNonce ?? 0);
  else if (isSound(step, lane, base)) resend(step, lane);
  else return layAnew(step, lane, base, isWanted);
  return [];
}

function isSound(step: Step, lane: readonly TransactionState[], base: number): boolean {
  const expiredBefore = Math.max(step.market.meta.chainTimeUs, step.now.timeUs);
  return lane.every(({ row }, i) => row.nonce === base + i && row.validUntilUs > expiredBefore);
}

function resend(step: Step, lane: readonly TransactionState[]): void {
  for (const state of lane) {
    state.sentAtMs = step.now.monotonicMs;
    send(step, state.row);
  }
  const last = lane.at(-1) as TransactionState;
  step.market.nextNonce = Math.max(step.market.nextNonce ?? 0, last.row.nonce + 1);
}

function layAnew(
  step: Step,
  lane: readonly TransactionState[],
  base: number,
  isWanted: (row: TransactionRow) => boolean,
): readonly TransactionRow[] {
  const { market } = step;
  const unwanted: TransactionRow[] = [];
  market.transactions.clear();
  let nonce = base;
  for (const { row } of lane) {
    if (!isWanted(row)) {
      endTransaction(step, row);
      unwanted.push(row);
      continue;
    }
    const { version, key, call, order } = row;
    const next = rowFor(step, nonce, {
      version,
      key,
      call,
      ...(order !== undefined && { order }),
    });
    nonce += 1;
    market.transactions.set(key, { row: next, sentAtMs: step.now.monotonicMs });
    saveRow(step, 'transaction', key, next);
    send(step, next);
  }
  market.nextNonce = nonce;
  return unwanted;
}

/** After a restart: the same bodies again, and a look at the chain's nonce. */
export function resumeLane(step: Step): void {
  const lane = [...step.market.transactions.values()];
  for (const state of lane) {
    state.sentAtMs = step.now.monotonicMs;
    send(step, state.row);
  }
  emit(step, { kind: 'readNonce' });
  watchLane(step, step.market.config.times.chainRetryMs);
}
