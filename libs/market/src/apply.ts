/** The reducer's front door: one event in, effects out. */
import type { Randomness } from '#libs/kernel';
import { armDeadlines, submitGraph, submitOrder } from './acceptance.ts';
import { agentGone, agentHello, agentMessage, leaseOverdue } from './agents.ts';
import { batchesOf, openBatches } from './arrays/batches.ts';
import { bindingEnded, dropUnbound } from './arrays/chain.ts';
import { enqueueBatches } from './arrays/messages.ts';
import { checkUnits, unitsChecked, unitsValidated } from './arrays/deliveries.ts';
import { resultStored, storeArrayResult } from './arrays/endings.ts';
import { balanceRead, fundsDue } from './arrays/funds.ts';
import { anchorDue, armAnchor } from './anchors.ts';
import { bindingDue, bindingOverdue, enqueueBinding, fillProvider } from './binding.ts';
import { takeBlock } from './blocks.ts';
import { cancelOrder, completeOverdue, placeOverdue } from './closing.ts';
import { isStepWanted, pursueChain, pursueWanting } from './chain-steps.ts';
import { subjectOf } from './checks/audit-subjects.ts';
import { fundRead, leavesRead, pursueAudit } from './checks/audits.ts';
import { askBond, bondRead } from './checks/bonds.ts';
import { askReplay, disputeMove, replayed } from './checks/replays.ts';
import { checkResult, resultChecked, validated } from './deliveries.ts';
import { evictOrder, keepEnded } from './endings.ts';
import { inputMade, inputsDue } from './graph/inputs.ts';
import { flushEntries } from './job-log.ts';
import type { MarketEffect } from './model/effects.ts';
import type { MarketEvent, Now } from './model/events.ts';
import { type OrderRow, encodeRow } from './model/rows.ts';
import { type Market, type Step, createStep, emit, isRebuilding, orderOf } from './state.ts';
import { findManifest, manifestFound, startRebuild } from './rebuild.ts';
import { storeLearned } from './placement/observe.ts';
import { expectBack, giveUp } from './returns.ts';
import { checkLane, nonceRead, resumeLane, transactionRefused } from './transactions.ts';
import { orderIndexOf } from './views.ts';

/** Deadlines handled per event, so that one late tick cannot stall the market. */
const DEADLINES_PER_EVENT = 1000;

/**
 * Applies one event. Changes `market` in place and returns what the world must do: saves and removals
 * first, then everything that may only happen once those are durable. If they cannot be made durable
 * the process must end: memory is then ahead of the disk.
 */
export function applyEvent(
  market: Market,
  event: MarketEvent,
  now: Now,
  randomness: Randomness,
): readonly MarketEffect[] {
  const step = createStep(market, now, randomness);
  dispatch(step, event);
  runDeadlines(step);
  armAnchor(step);
  return finish(step);
}

/** Monotonic time by which the next `tick` should come; undefined when nothing is waited for. */
export const nextTickMs = (market: Market): number | undefined => market.deadlines.nextMs();

function dispatch(step: Step, event: MarketEvent): void {
  switch (event.kind) {
    case 'tick':
      return;
    case 'resume':
      return resume(step, event.rebuildTo);
    case 'submitOrder':
      return submitOrder(step, event);
    case 'submitGraph':
      return submitGraph(step, event);
    case 'cancelOrder':
      return cancelOrder(step, event);
    case 'bindingDue':
      return bindingDue(step, event);
    case 'agentHello':
      return agentHello(step, event);
    case 'agentMessage':
      return agentMessage(step, event.session, event.message);
    case 'agentGone':
      return agentGone(step, event);
    case 'resultChecked':
      return resultChecked(step, event);
    case 'manifestFound':
      return manifestFound(step, event);
    case 'block':
      return takeBlock(step, event);
    case 'balanceRead':
      for (const id of balanceRead(step, event)) enqueueBatches(step, id);
      return fundRead(step, event.account);
    case 'unitsChecked':
      return unitsChecked(step, event);
    case 'unitsValidated':
      return unitsValidated(step, event);
    case 'validated':
      return validated(step, event);
    case 'replayed':
      return replayed(step, event);
    case 'leavesRead':
      return leavesRead(step, event);
    case 'bondRead':
      return bondRead(step, event);
    case 'disputeMove':
      return disputeMove(step, event);
    case 'resultStored':
      return resultStored(step, event.order, event.cid);
    case 'inputMade':
      return inputMade(step, event);
    case 'transactionRefused':
      return transactionRefused(step, event);
    case 'nonceRead':
      return laneRead(step, event);
  }
}

/** What was given up because nobody wants it may have kept its order from its next step. */
function laneRead(step: Step, event: Extract<MarketEvent, { kind: 'nonceRead' }>): void {
  const unwanted = nonceRead(step, event, (row) => isStepWanted(step, row));
  for (const row of unwanted) {
    bindingEnded(step, row);
    if (row.order !== undefined) pursueChain(step, row.order);
  }
  pursueWanting(step);
}

function runDeadlines(step: Step): void {
  const { deadlines } = step.market;
  for (let i = 0; i < DEADLINES_PER_EVENT; i++) {
    const name = deadlines.take(step.now.monotonicMs);
    if (name === undefined) return;
    const slash = name.indexOf('/');
    const kind = slash < 0 ? name : name.slice(0, slash);
    onDeadline(step, kind, name.slice(slash + 1));
  }
}

function onDeadline(step: Step, kind: string, id: string): void {
  switch (kind) {
    case 'binding':
      return bindingOverdue(step, id);
    case 'lease':
      return leaseOverdue(step, id);
    case 'check':
      return checkResult(step, id);
    case 'units':
      return checkUnits(step, id);
    case 'funds':
      return fundsDue(step, id);
    case 'result':
      return storeArrayResult(step, id);
    case 'inputs':
      return inputsDue(step, id);
    case 'fill':
      return fillProvider(step, id);
    case 'chain':
      return pursueChain(step, id);
    case 'complete':
      return completeOverdue(step, id);
    case 'placeBy':
      return placeOverdue(step, id);
    case 'evict':
      return evictOrder(step, id);
    case 'manifest':
      return findManifest(step, id);
    case 'lane':
      return checkLane(step);
    case 'anchor':
      return anchorDue(step);
    case 'learn':
      return storeLearned(step);
    case 'replay':
      return askReplay(step, id);
    case 'audit':
      return pursueAudit(step, subjectOf(id));
    case 'bond':
      return askBond(step, id);
    case 'return':
      return giveUp(step, id);
  }
}

/** Sets going what the rows say is unfinished. Effects may repeat what was done before the crash. */
function resume(step: Step, rebuildTo: number | undefined): void {
  const { market } = step;
  if (rebuildTo !== undefined) startRebuild(step, rebuildTo);
  emit(step, { kind: 'followChain', fromHeight: market.meta.height + 1 });
  resumeLane(step);
  for (const provider of market.providers.values())
    if (provider.isExpected) expectBack(step, provider);
  for (const row of [...market.orders.values()]) {
    if (row.replay) askReplay(step, row.id);
    if (row.audit) pursueAudit(step, { id: row.id });
    for (const { fence } of row.audits ?? []) pursueAudit(step, { id: row.id, fence });
    if (row.endedAtUs === undefined) resumeOrder(step, row);
    else keepEnded(step, row);
    if (row.log.length > row.checkpointed) market.unanchored.add(row.id);
  }
  if (market.meta.operatorLog.size > market.meta.anchoredLeaves && !market.anchoring)
    market.deadlines.setEarlier('anchor', step.now.monotonicMs);
}

function resumeOrder(step: Step, row: OrderRow): void {
  const { market, now } = step;
  if (row.rebuilding === true && isRebuilding(market)) return;
  armDeadlines(step, row);
  if (row.rebuilding === true) findManifest(step, row.id);
  else if (row.work === 'queued') enqueueBinding(step, row.id);
  if (row.work === 'checking') checkResult(step, row.id);
  if (row.sources) market.deadlines.set(`inputs/${row.id}`, now.monotonicMs);
  if (row.array) resumeArray(step, row.id);
  if (row.work === 'leased' && row.lease) {
    // The time we were away is not held against the provider.
    // All get the longer time: they first have to find back to us.
    const endsMs = now.monotonicMs + market.config.times.leaseMs;
    market.leaseEndsMs.set(row.lease.lease, endsMs);
    market.deadlines.set(`lease/${row.lease.lease}`, endsMs);
  }
  pursueChain(step, row.id);
}

/** Batches in agents' hands are theirs for another lease; what was being looked at is looked at again. */
function resumeArray(step: Step, id: string): void {
  const { market, now } = step;
  for (const { lease, state } of openBatches(market, id)) {
    if (state === 'checking') {
      checkUnits(step, lease);
      continue;
    }
    const endsMs = now.monotonicMs + market.config.times.leaseMs;
    market.leaseEndsMs.set(lease, endsMs);
    market.deadlines.set(`lease/${lease}`, endsMs);
  }
  // What was lost before its binding was on the way would keep the order open for ever.
  for (const batch of [...batchesOf(market, id)]) dropUnbound(step, batch);
  const { work } = orderOf(market, id);
  if (work === 'running') enqueueBatches(step, id);
  else if (work === 'paused') fundsDue(step, id);
  else storeArrayResult(step, id);
}

function finish(step: Step): readonly MarketEffect[] {
  flushEntries(step);
  const saves: MarketEffect[] = [...step.saves.values()];
  for (const id of step.dirtyOrders) {
    if (!step.market.orders.has(id)) continue;
    const row = orderOf(step.market, id);
    const bytes = encodeRow('order', row);
    saves.push({ kind: 'save', table: 'order', id, bytes, index: orderIndexOf(row) });
  }
  const events = step.events.map((event): MarketEffect => ({ kind: 'jobEvent', event }));
  return [...saves, ...step.effects, ...events];
}
