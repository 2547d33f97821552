/**
 * Results of metered jobs, run again at random by the market itself. Nobody knows beforehand which: the block
 * that settles a delivery draws (`drawOrder`). A result that the run does not bear out costs its provider its
 * trust, and the market disputes it on the chain.
 */
import type { DisputedClaim, MeteredRun } from '#contracts';
import { encodeWith, equalBytes } from '#libs/kernel';
import { disputedClaim } from '#contracts';
import { keyOfCall } from '../chain-calls.ts';
import type { MarketEvent, OwnTransactionFact } from '../model/events.ts';
import type { MarketCall, OrderRow } from '../model/rows.ts';
import { type Step, emit, updateOrder } from '../state.ts';
import { startTransaction } from '../transactions.ts';
import { noteCheck } from './log-check.ts';
import { noteComparison } from './trust-rows.ts';

/** A run may take minutes; the app knows which one is under way. */
const ASK_AGAIN_MS = 30_000;
const OPEN_AGAIN_MS = 3_000;

/** Asks for the run, again until it is answered. */
export function askReplay(step: Step, id: string): void {
  const { market, now } = step;
  const row = market.orders.get(id);
  if (row?.replay?.state === 'wrong') return openDispute(step, id);
  const delivery = row?.delivery?.delivery;
  if (row?.replay?.state !== 'due' || !delivery) return;
  emit(step, { kind: 'replayJob', order: id, manifest: row.signed.order.manifest, delivery });
  market.deadlines.set(`replay/${id}`, now.monotonicMs + ASK_AGAIN_MS);
}

/** A delivery's claim as contract `disputes` compares it. */
export function claimOf(exit: DisputedClaim['exit'], metered: MeteredRun): DisputedClaim {
  const { fuel, checkpoints, checkpointsRoot, outputChain, outputBytes } = metered;
  return { exit, fuel, checkpoints, checkpointsRoot, outputChain, outputBytes };
}

const isSame = (a: DisputedClaim, b: DisputedClaim): boolean =>
  equalBytes(encodeWith(disputedClaim, a), encodeWith(disputedClaim, b));

export function replayed(step: Step, event: Extract<MarketEvent, { kind: 'replayed' }>): void {
  const { market } = step;
  const { order: id, outcome } = event;
  const row = market.orders.get(id);
  const delivery = row?.delivery?.delivery;
  if (row?.replay?.state !== 'due' || !delivery?.metered || outcome.is === 'unavailable') return;
  market.deadlines.clear(`replay/${id}`);
  const { provider } = delivery;
  if (outcome.is === 'impossible') {
    updateOrder(step, id, { replay: { state: 'undone' } });
    const reason = `it could not be run again: ${outcome.reason}`;
    return noteCheck(step, id, { code: 'replay-undone', reason });
  }
  const isClaimSame = isSame(outcome.claim, claimOf(delivery.exit, delivery.metered));
  const isRight = isClaimSame && outcome.result === delivery.result;
  noteComparison(step, provider, !isRight);
  const { claim } = outcome;
  if (isRight) {
    updateOrder(step, id, { replay: { state: 'right' } });
    const reason =
      'drawn at random and run again by the market: exit, output, fuel and all checkpoints are equal';
    return noteCheck(step, id, { code: 'replay-right', reason, provider });
  }
  // Another name for the same output is a lie that the chain does not judge.
  updateOrder(step, id, { replay: { state: 'wrong', ...(!isClaimSame && { claim }) } });
  const next = isClaimSame ? 'the output under that name is another one' : 'disputed on the chain';
  const reason = `run again by the market, it comes to something else (fuel ${claim.fuel}, ${claim.checkpoints} checkpoints, exit ${claim.exit}): ${next}`;
  noteCheck(step, id, { code: 'replay-wrong', reason, provider });
  openDispute(step, id);
}

/** Opens the dispute once a block holds the delivery that is doubted. */
export function openDispute(step: Step, id: string): void {
  const { market, now } = step;
  const row = market.orders.get(id);
  if (!row?.replay?.claim || row.replay.isOpened) return;
  const { claim } = row.replay;
  const isThere = row.chain.state === 'delivered' || row.chain.state === 'settled';
  const call: MarketCall = { kind: 'dispute', order: id, claim };
  if (isThere && startTransaction(step, keyOfCall(id, call), undefined, call))
    updateOrder(step, id, { replay: { ...row.replay, isOpened: true } });
  else if (!isLostToChain(row))
    market.deadlines.set(`replay/${id}`, now.monotonicMs + OPEN_AGAIN_MS);
}

/** A block has the dispute, or says why not. */
export function disputeAnswered(step: Step, id: string, { ok, code }: OwnTransactionFact): void {
  if (!step.market.orders.has(id)) return;
  if (ok) {
    const reason = 'the market disputes the delivery on the chain (seele dispute show)';
    return noteCheck(step, id, { code: 'disputed', reason });
  }
  const reason = `the chain did not take the dispute: ${code ?? 'no reason given'}`;
  noteCheck(step, id, { code: 'dispute-refused', reason });
}

const isLostToChain = ({ chain: { state } }: OrderRow): boolean =>
  state === 'cancelled' || state === 'refunded';

/** The app's keeper of disputes wants a call sent. */
export function disputeMove(
  step: Step,
  { call }: Extract<MarketEvent, { kind: 'disputeMove' }>,
): void {
  startTransaction(step, keyOfCall('', call), undefined, call);
}
