/**
 * Taking orders over from the chain when the market's rows are lost. The blocks hold every order that was
 * placed, as its consumer signed it, and what became of it. Ended ones become rows again. Open ones are
 * seen through: a delivery that the chain has is looked at and settled; work that was still to be done is
 * done anew, under a fence above all that may have been granted; what cannot be read any more is given
 * up, and its money goes back. What no block holds is lost: the jobs' logs, and orders not yet placed.
 */
import { LOG_START, MARKET_ENTRIES } from '#libs/audit';
import { utf8 } from '#libs/kernel';
import { EMPTY_FRONTIER, type LogFrontier, logLeafHash, logNodeHash } from '#libs/merkle';
import { armDeadlines } from './acceptance.ts';
import { enqueueBinding } from './binding.ts';
import { leaseId } from './binding-messages.ts';
import { pursueChain } from './chain-steps.ts';
import { acceptDelivery, checkResult, refuseResult } from './deliveries.ts';
import { failWork, keepEnded, rememberSpending } from './endings.ts';
import { needsOf } from './fitting.ts';
import { indexSources, sourcesOf } from './graph/followers.ts';
import { logStep } from './job-log.ts';
import type { MarketEvent, OrderFact } from './model/events.ts';
import {
  type ChainView,
  FENCE_STEP,
  type Lease,
  META_ID,
  type OrderRow,
  type OrderSource,
  ROW_VERSION,
} from './model/rows.ts';
import { HOST_EXITS } from './retry.ts';
import {
  type Step,
  emit,
  indexOpen,
  isRebuilding,
  orderOf,
  saveRow,
  updateOrder,
  withoutFields,
} from './state.ts';

type ManifestFound = Extract<MarketEvent, { kind: 'manifestFound' }>;

/** Anchors on their way when the rows were lost cover fewer leaves more than the last one on the chain. */
const ANCHOR_STEP = 65_536;

/** Stands in the operator's log for each leaf that was lost. */
export const LOST_LEAF = logLeafHash(utf8('seele/lost-leaf/1'));

/** A log of `size` equal leaves, by its complete subtrees. */
export function uniformFrontier(leafHash: string, size: number): LogFrontier {
  const hashes: string[] = [];
  let subtree = leafHash;
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) hashes.unshift(subtree);
    subtree = logNodeHash(subtree, subtree);
  }
  return size === 0 ? EMPTY_FRONTIER : { size, hashes };
}

/** There were no rows, though the chain is not empty. */
export function startRebuild(step: Step, rebuildTo: number): void {
  const { market } = step;
  if (market.meta.height >= rebuildTo) return;
  market.meta = { ...market.meta, rebuildTo };
  saveRow(step, 'meta', META_ID, market.meta);
}

/** A block placed an order of this market that no row knows. */
export function adoptOrder(step: Step, fact: OrderFact, height: number, timeUs: number): void {
  const { market } = step;
  if (fact.event !== 'placed' || !fact.signed) return;
  const { signed, order: id } = fact;
  const chain: ChainView = {
    ...{ state: 'placed', height, placedHeight: height, fence: 0, paid: 0n, refunded: 0n },
  };
  const row: OrderRow = {
    ...{ version: ROW_VERSION, id, signed, chain, acceptedAtUs: timeUs },
    // Until the manifest is read nobody is asked to run it, so these only have to be possible.
    needs: {
      ...{ name: 'rebuilt from the chain', code: signed.order.manifest, tier: 'A' },
      ...{ limits: market.config.caps.limits, minIsolation: 'S0' },
      ...{ cores: 1, memoryBytes: 0, diskBytes: 0, inputBytes: 0 },
    },
    ...{ work: 'queued', faults: 0, fence: 0, binding: 0, tried: [], owed: [], checkpointed: 0 },
    ...{ log: { length: 0, head: LOG_START }, sentToChain: 'yes', rebuilding: true, logLost: true },
  };
  market.orders.set(id, row);
  step.dirtyOrders.add(id);
  indexOpen(market, row, true);
  if (!isRebuilding(market)) takeUp(step, id);
}

/** What a block says of an order that is being taken over. The chain's view of it is updated already. */
export function rebuildFact(step: Step, fact: OrderFact, timeUs: number): void {
  const { order: id, event } = fact;
  if (event === 'bound') updateOrder(step, id, { lease: leaseOf(fact, timeUs) });
  if (event === 'delivered' && fact.signedDelivery)
    updateOrder(step, id, { delivery: fact.signedDelivery });
  if (event === 'rejected') withoutFields(step, id, 'lease', 'delivery');
  if (event === 'settled' || event === 'refunded' || event === 'cancelled')
    closeRebuilt(step, id, event, timeUs);
}

function leaseOf({ order, provider = '', fence, price = 0n }: OrderFact, timeUs: number): Lease {
  return {
    ...{ lease: leaseId(order, fence), provider, fence, price, state: 'working' },
    ...{ pricePerCoreSecond: 0n, pricePerGibSecond: 0n, grantedAtUs: timeUs },
  };
}

function closeRebuilt(
  step: Step,
  id: string,
  event: 'settled' | 'refunded' | 'cancelled',
  timeUs: number,
): void {
  const { market } = step;
  const work = event === 'settled' ? 'done' : event === 'cancelled' ? 'cancelled' : 'failed';
  updateOrder(step, id, { work, endedAtUs: timeUs });
  const row = withoutFields(step, id, 'rebuilding');
  indexOpen(market, row, false);
  market.wanting.delete(id);
  market.deadlines.clear(`manifest/${id}`);
  rememberSpending(market, row);
  keepEnded(step, row);
}

/** The blocks are read up to where the chain stood: what is open is taken up. */
export function finishRebuild(step: Step, height: number, anchored: number | undefined): void {
  const { market } = step;
  const { rebuildTo, lostLeaves = 0, ...meta } = market.meta;
  if (rebuildTo === undefined) return;
  const lost = Math.max(lostLeaves, anchored ?? 0);
  if (height < rebuildTo) {
    if (lost > lostLeaves) market.meta = { ...market.meta, lostLeaves: lost };
    return saveRow(step, 'meta', META_ID, market.meta);
  }
  const size = lost === 0 ? 0 : lost + ANCHOR_STEP;
  const operatorLog = uniformFrontier(LOST_LEAF, size);
  market.meta = { ...meta, operatorLog, anchoredLeaves: size, lostLeaves: size };
  saveRow(step, 'meta', META_ID, market.meta);
  for (const { id, rebuilding } of [...market.orders.values()]) if (rebuilding) takeUp(step, id);
}

function takeUp(step: Step, id: string): void {
  const { signed, chain } = orderOf(step.market, id);
  const { consumer, manifest, priceCap, completeByUs } = signed.order;
  const { state, fence, height } = chain;
  const accepted = { consumer, manifest, priceCap, completeByUs };
  logStep(step, id, 'accepted', MARKET_ENTRIES.accepted, accepted);
  logStep(step, id, 'rebuilt', MARKET_ENTRIES.rebuilt, { height, state, fence });
  armDeadlines(step, orderOf(step.market, id));
  findManifest(step, id);
}

/** Asks for the manifest of an order that is being taken over, until it is found or given up. */
export function findManifest(step: Step, id: string): void {
  const { market, now } = step;
  const row = market.orders.get(id);
  if (row?.rebuilding !== true || row.work !== 'queued' || isRebuilding(market)) return;
  emit(step, { kind: 'findManifest', order: id, cid: row.signed.order.manifest });
  market.deadlines.set(`manifest/${id}`, now.monotonicMs + market.config.times.checkRetryMs);
}

export function manifestFound(step: Step, { order: id, outcome }: ManifestFound): void {
  const { market, now } = step;
  const row = market.orders.get(id);
  if (row?.rebuilding !== true || row.work !== 'queued') return;
  if (outcome.is === 'unavailable') return;
  if (outcome.is === 'missing') {
    const since = market.missingSinceMs.get(id) ?? now.monotonicMs;
    market.missingSinceMs.set(id, since);
    if (now.monotonicMs - since < market.config.times.resultGraceMs) return;
  }
  market.missingSinceMs.delete(id);
  market.deadlines.clear(`manifest/${id}`);
  withoutFields(step, id, 'rebuilding');
  updateOrder(step, id, { fence: row.chain.fence + FENCE_STEP });
  // Its batches are not known any more: what was paid stays, the rest goes back.
  if (row.signed.order.array)
    return failWork(step, id, 'failed', {
      code: 'MARKET_MANIFEST_LOST',
      text: 'the market’s records were lost, and with them who had which tasks',
    });
  const sources = outcome.is === 'good' ? sourcesOf(outcome.manifest) : [];
  if (outcome.is === 'good') updateOrder(step, id, { needs: needsOf(outcome.manifest) });
  if (row.chain.state === 'delivered' && row.lease && row.delivery) return judge(step, id);
  if (outcome.is === 'missing')
    return failWork(step, id, 'failed', {
      code: 'MARKET_MANIFEST_LOST',
      text: 'the market’s records were lost, and the job’s manifest is not in storage',
    });
  withoutFields(step, id, 'lease', 'delivery', 'logLost');
  if (sources.length > 0) waitForInputs(step, id, sources);
  else enqueueBinding(step, id);
  pursueChain(step, id);
}

/** What it reads was taken over from the chain as well, or is lost. */
function waitForInputs(step: Step, id: string, sources: readonly OrderSource[]): void {
  const row = updateOrder(step, id, { work: 'blocked', sources: [...sources], depth: 1 });
  indexSources(step.market, row, true);
  step.market.deadlines.set(`inputs/${id}`, step.now.monotonicMs);
}

/** The chain has a delivery under its newest fence: it counts unless its result is missing or too large. */
function judge(step: Step, id: string): void {
  const row = updateOrder(step, id, { work: 'checking' });
  const { exit, result } = row.delivery?.delivery ?? {};
  if (exit !== undefined && HOST_EXITS.has(exit))
    refuseResult(step, row, `exit ${exit} is not charged`);
  else if (result === undefined) acceptDelivery(step, id);
  else checkResult(step, id);
}
