/** Taking in final blocks: the one source of truth about money, and the clock of the chain. */
import { anchorAnswered } from './anchors.ts';
import { bindingEnded, takeUnitsFact } from './arrays/chain.ts';
import { chainMoved } from './arrays/deliveries.ts';
import {
  CHAIN_TOO_LATE,
  abandonBatches,
  takeBackUnits,
  unitsContradicted,
} from './arrays/endings.ts';
import { depositSeen } from './arrays/funds.ts';
import { drawBatch, drawOrder } from './checks/audit-draw.ts';
import { askBond } from './checks/bonds.ts';
import { convictionAnswered } from './checks/convictions.ts';
import { disputeAnswered } from './checks/replays.ts';
import { pursueChain, pursueWanting, resetChainTries, retryChainStep } from './chain-steps.ts';
import { isContradicted } from './delivery-hash.ts';
import { endOrder, failWork, reopenOrder } from './endings.ts';
import { logStep, payOwedEntries } from './job-log.ts';
import { MARKET_ENTRIES } from '#libs/audit';
import type { MarketEvent, OrderFact, OwnTransactionFact } from './model/events.ts';
import { type ChainView, type OrderRow, type TransactionRow, UNFINISHED } from './model/rows.ts';
import { RECENT_BLOCKS, type Step, emit, orderOf, saveMeta, updateOrder } from './state.ts';
import { adoptOrder, finishRebuild, rebuildFact } from './rebuild.ts';
import { endTransaction, matchOwn, startTransaction } from './transactions.ts';

type BlockEvent = Extract<MarketEvent, { kind: 'block' }>;

export function takeBlock(step: Step, block: BlockEvent): void {
  const { market } = step;
  const expected = market.meta.height + 1;
  // Repeated blocks are old news; after a gap the missing ones must come first.
  if (block.height < expected) return;
  if (block.height > expected) {
    emit(step, { kind: 'followChain', fromHeight: expected });
    return;
  }
  saveMeta(step, { height: block.height, chainTimeUs: block.timeUs });
  const { units = [], deposits = [], bonds = [] } = block;
  // Batches move after their order was placed, and before it ends: one block may hold all of it.
  const isPlacing = ({ event }: OrderFact): boolean => event === 'placed';
  for (const fact of block.orders) if (isPlacing(fact)) takeFact(step, fact, block);
  for (const fact of units) {
    const drawnWith = fact.event === 'settled' ? drawBatch(step, fact, block.hash) : undefined;
    takeUnitsFact(step, fact, block.height, drawnWith);
    if (fact.event === 'bound' && market.orders.has(fact.order)) chainMoved(step, fact.order);
    if (fact.event === 'delivered') unitsContradicted(step, fact.order, fact.fence);
  }
  for (const fact of block.orders) if (!isPlacing(fact)) takeFact(step, fact, block);
  for (const fact of block.own) takeOwn(step, fact, block.height);
  for (const account of deposits) depositSeen(step, account);
  for (const account of new Set(bonds)) askBond(step, account);
  finishRebuild(step, block.height, block.anchored);
  for (const fact of block.orders) pursueChain(step, fact.order);
  for (const order of new Set(units.map((fact) => fact.order))) pursueChain(step, order);
  forgetOldSpending(step);
  pursueWanting(step);
}

const STATE_OF_EVENT = {
  placed: 'placed',
  bound: 'bound',
  delivered: 'delivered',
  rejected: 'placed',
  settled: 'settled',
  refunded: 'refunded',
  cancelled: 'cancelled',
} as const;

function takeFact(step: Step, fact: OrderFact, { height, timeUs, hash }: BlockEvent): void {
  const row = step.market.orders.get(fact.order);
  // Only this market places its orders: one that it does not know was known before its rows were lost.
  if (!row) return adoptOrder(step, fact, height, timeUs);
  if (row.endedAtUs !== undefined) reopenOrder(step, row.id);
  const chain: ChainView = {
    state: STATE_OF_EVENT[fact.event],
    height,
    placedHeight: fact.event === 'placed' ? height : row.chain.placedHeight,
    fence: fact.event === 'placed' ? 0 : Math.max(fact.fence, row.chain.fence),
    paid: fact.paid,
    refunded: fact.refunded,
    ...(fact.delivery !== undefined && { delivery: fact.delivery }),
  };
  updateOrder(step, row.id, { chain });
  resetChainTries(step, row.id);
  if (row.rebuilding === true && row.work === 'queued') return rebuildFact(step, fact, timeUs);
  if (chain.state === 'settled' || chain.state === 'refunded' || chain.state === 'cancelled')
    endByChain(step, row.id, fact, hash);
  else logFact(step, row.id, fact, height);
  if (row.array && fact.event === 'placed') chainMoved(step, row.id);
  if (row.work === 'done' && row.delivery && isContradicted(chain, row.delivery.delivery))
    failWork(step, row.id, 'failed', {
      code: 'MARKET_TWO_DELIVERIES',
      text: 'the provider gave the chain another delivery than the market',
    });
}

function logFact(step: Step, id: string, fact: OrderFact, height: number): void {
  const { fence, provider = '' } = fact;
  if (fact.event === 'placed') logStep(step, id, 'placed', MARKET_ENTRIES.placed, { height });
  if (fact.event === 'bound')
    logStep(step, id, 'bound', MARKET_ENTRIES.bound, { height, provider, fence });
}

/** The money is where it belongs. Work still going on is stopped: nobody would pay for it. */
function endByChain(step: Step, id: string, fact: OrderFact, block: string): void {
  const { work, chain } = orderOf(step.market, id);
  const { event: how, provider = '', paid, refunded } = fact;
  if (UNFINISHED.has(work)) {
    const given = how === 'cancelled' ? 'cancelled' : 'failed';
    failWork(step, id, given, { code: 'MARKET_ENDED_ON_CHAIN', text: `the order was ${how}` });
  }
  abandonBatches(step, id, `the order was ${how}`);
  payOwedEntries(step, id);
  const { height } = chain;
  if (how === 'settled') {
    const chance = drawOrder(step, id, block);
    logStep(step, id, 'settled', MARKET_ENTRIES.settled, {
      ...{ height, provider, paid, refunded },
      ...(chance !== undefined && { checkPerMillion: chance }),
    });
  } else logStep(step, id, 'refunded', MARKET_ENTRIES.refunded, { height, refunded, how });
  endOrder(step, id);
}

function takeOwn(step: Step, fact: OwnTransactionFact, height: number): void {
  const { answered, displaced } = matchOwn(step.market, fact);
  if (answered) {
    endTransaction(step, answered);
    bindingEnded(step, answered);
    if (answered.call.kind === 'anchor') anchorAnswered(step, answered, fact, height);
    else if (answered.call.kind === 'dispute') disputeAnswered(step, answered.call.order, fact);
    else if (answered.call.kind === 'convict' || answered.call.kind === 'convictUnits')
      convictionAnswered(step, answered.call, fact);
    else if (!fact.ok) stepReverted(step, answered, fact.code ?? 'unknown');
  }
  if (displaced) {
    endTransaction(step, displaced);
    bindingEnded(step, displaced);
    if (displaced.call.kind === 'anchor')
      startTransaction(step, displaced.key, undefined, displaced.call);
  }
  const order = (answered ?? displaced)?.order;
  if (order !== undefined) pursueChain(step, order);
}

/** Refusals of a placing that no repetition can mend. */
const UNPLACEABLE: ReadonlySet<string> = new Set([
  'ORDERS_PREPAID_TOO_LOW',
  'TOKEN_BALANCE_TOO_LOW',
  'ORDERS_EXPIRED',
  'ORDERS_TIMES',
  'ORDERS_SIGNATURE',
  'ORDERS_WRONG_CHAIN',
  'ORDERS_NOT_MARKET',
]);

function stepReverted(step: Step, answered: TransactionRow, code: string): void {
  const row = answered.order === undefined ? undefined : step.market.orders.get(answered.order);
  if (!row || row.endedAtUs !== undefined) return;
  const { kind } = answered.call;
  const batch = code === 'ORDERS_EXPIRED' ? batchOfCall(step, answered) : undefined;
  if (batch) return takeBackUnits(step, batch, CHAIN_TOO_LATE);
  if (kind === 'place' && row.chain.state === 'none' && UNPLACEABLE.has(code)) {
    if (row.work !== 'rejected')
      failWork(step, row.id, 'rejected', { code, text: 'the chain did not take the order' });
  } else if (isTooLate(answered, code) && !isGivenUp(row)) {
    failWork(step, row.id, 'failed', { code, text: 'the chain got it too late' });
  } else retryChainStep(step, row.id);
}

/** The batch that the call was to bind or to pay. */
function batchOfCall({ market }: Step, { order = '', call }: TransactionRow) {
  const batches = market.batchesOf.get(order);
  if (call.kind === 'bindUnits') return batches?.get(call.fence);
  return call.kind === 'payUnits' ? batches?.get(call.delivery.delivery.fence) : undefined;
}

const isTooLate = ({ call }: TransactionRow, code: string): boolean =>
  (call.kind === 'bind' || call.kind === 'deliver') && code === 'ORDERS_EXPIRED';

const isGivenUp = (row: OrderRow): boolean =>
  row.work === 'failed' || row.work === 'cancelled' || row.work === 'rejected';

function forgetOldSpending(step: Step): void {
  const { recentSpending, meta } = step.market;
  for (const [consumer, list] of recentSpending) {
    const recent = list.filter((spent) => spent.placedHeight > meta.height - RECENT_BLOCKS);
    if (recent.length === 0) recentSpending.delete(consumer);
    else if (recent.length < list.length) recentSpending.set(consumer, recent);
  }
}
