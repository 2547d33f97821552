/**
 * The operator's log: an RFC 9162 tree whose leaves say how far each job's log had come. Its roots go
 * to the chain while jobs run, one anchor under way at a time, each covering everything before it.
 */
import { leafEntryHash } from '#libs/audit';
import { appendToFrontier, frontierRoot } from '#libs/merkle';
import type { OwnTransactionFact } from './model/events.ts';
import { type LeafRow, ROW_VERSION, type TransactionRow, numberId } from './model/rows.ts';
import { type Step, orderOf, saveMeta, saveRow, updateOrder } from './state.ts';
import { startTransaction } from './transactions.ts';

const ANCHOR = 'anchor';
const LEAVES_PER_ANCHOR = 4096;
/** After an anchor that the chain refused; something is wrong that time alone may not mend. */
const REFUSED_RETRY_MS = 10_000;

/** Wants an anchor soon, because some job's log moved. */
export function armAnchor(step: Step): void {
  const { market, now } = step;
  if (market.unanchored.size > 0)
    market.deadlines.setEarlier(ANCHOR, now.monotonicMs + market.config.times.anchorMs);
}

export function anchorDue(step: Step): void {
  const { market } = step;
  // Its answer comes back here.
  if (market.anchoring) return;
  appendLeaves(step);
  const { operatorLog, anchoredLeaves } = market.meta;
  const { size } = operatorLog;
  if (size === anchoredLeaves) return;
  const call = { kind: 'anchor', size, root: frontierRoot(operatorLog) } as const;
  market.anchoring = startTransaction(step, `anchor/${size}`, undefined, call);
  if (!market.anchoring) rearm(step, market.config.times.anchorMs);
}

function rearm(step: Step, inMs: number): void {
  step.market.deadlines.set(ANCHOR, step.now.monotonicMs + inMs);
}

function appendLeaves(step: Step): void {
  const { market } = step;
  const hashes: string[] = [];
  let index = market.meta.operatorLog.size;
  for (const job of market.unanchored) {
    if (hashes.length >= LEAVES_PER_ANCHOR) break;
    market.unanchored.delete(job);
    const { log, checkpointed } = orderOf(market, job);
    if (log.length === checkpointed) continue;
    const leaf: LeafRow = { version: ROW_VERSION, index, job, log };
    saveRow(step, 'leaf', numberId(index), leaf);
    updateOrder(step, job, { checkpointed: log.length, leaf: index });
    hashes.push(leafEntryHash({ job, log }));
    index += 1;
  }
  if (hashes.length > 0)
    saveMeta(step, { operatorLog: appendToFrontier(market.meta.operatorLog, hashes) });
}

/** A block answered the anchor under way. */
export function anchorAnswered(
  step: Step,
  row: TransactionRow,
  fact: OwnTransactionFact,
  height: number,
): void {
  const { market } = step;
  market.anchoring = false;
  if (row.call.kind !== 'anchor') return;
  const { size, root } = row.call;
  if (!fact.ok) {
    rearm(step, REFUSED_RETRY_MS);
    return;
  }
  const checkpoint = { version: ROW_VERSION, size, root, transaction: row.id, height };
  saveRow(step, 'checkpoint', numberId(size), checkpoint);
  saveMeta(step, { anchoredLeaves: Math.max(size, market.meta.anchoredLeaves) });
  if (market.meta.operatorLog.size > size) rearm(step, 0);
}
