/**
 * View 0 only: what the first leader lists, and what a voter compares with its own positions. Later
 * views make none of these checks, or one block without agreement would stop the chain for ever.
 */
import { type CutContext, arrange } from './cuts.ts';
import type { Body, CutEntry } from './messages.ts';
import { ENTRIES_MAX } from './messages.ts';
import type { OpenBlock } from './open-block.ts';
import type { Positions } from './positions.ts';
import type { EdaRules } from './rules.ts';

export interface Row {
  readonly block: OpenBlock;
  readonly raw: number;
}

/** Available blocks in author order, up to eras that a cut may list. */
export function rowsOf(positions: Positions, era: number): Row[] {
  const rows: Row[] = [];
  for (const chain of positions.chains())
    if (chain.era === era || chain.era === era - 1) rows.push(...chain.row());
  return rows;
}

/** Available blocks by this node's own positions. */
export function tentativeOrder(positions: Positions, era: number) {
  return rowsOf(positions, era)
    .map(({ block, raw }) => ({ hash: block.name.hash, x: raw }))
    .sort((a, b) => a.x - b.x || (a.hash < b.hash ? -1 : 1));
}

/** The leader's cut: all converged blocks up to a time below every block that has not converged. */
export function leaderCut(
  context: CutContext,
  rows: readonly Row[],
  cutTimeUs: number,
  rules: EdaRules,
): { readonly timeUs: number; readonly entries: readonly CutEntry[] } | undefined {
  let timeUs = cutTimeUs;
  const open = new Set<string>();
  for (const { block, raw } of rows) {
    const key = `${block.name.era}/${block.name.author}`;
    if (block.isConverged && !open.has(key)) continue;
    open.add(key);
    timeUs = Math.min(timeUs, raw - 1);
  }
  timeUs = Math.max(timeUs, context.prevTimeUs + 1);
  const candidates: (CutEntry & { x: number })[] = [];
  const stopped = new Set<string>();
  for (const { block, raw } of rows) {
    const key = `${block.name.era}/${block.name.author}`;
    if (!block.isConverged) stopped.add(key);
    if (stopped.has(key)) {
      // Would be missed in this cut: voters refuse it, so let the block converge or become overdue.
      if (raw <= timeUs) return undefined;
      continue;
    }
    candidates.push({ ...block.name, x: block.x as number, pos: raw, raw });
  }
  const entries = arrange(context, candidates, timeUs, rules);
  return entries.length === 0 ? undefined : { timeUs, entries };
}

export interface VerdictInput {
  readonly context: CutContext;
  readonly body: Body;
  readonly rows: readonly Row[];
  readonly cutTimeUs: number;
  readonly nowUs: number;
  readonly deltaUs: number;
  readonly epsilonUs: number;
}

/** A voter's comparison of a first cut with what it sees itself. */
export function verdictOn(input: VerdictInput): 'accept' | 'wait' | 'refuse' {
  const { context, body, rows, cutTimeUs, nowUs, deltaUs, epsilonUs } = input;
  if (body.timeUs > cutTimeUs && body.timeUs !== context.prevTimeUs + 1) return 'wait';
  const own = new Map<string, Row>();
  for (const row of rows) own.set(row.block.name.hash, row);
  const listed = new Set<string>();
  let waits = false;
  for (const { hash, raw } of body.entries) {
    listed.add(hash);
    const row = own.get(hash);
    if (!row?.block.block) {
      waits = true;
      continue;
    }
    if (Math.abs(raw - row.raw) <= 2 * epsilonUs) continue;
    if (row.block.isConverged) return 'refuse';
    waits = true;
  }
  if (body.entries.length < ENTRIES_MAX)
    for (const { block, raw } of rows) {
      const isHeld =
        block.block !== undefined && nowUs - (block.availableAtUs ?? nowUs) >= 2 * deltaUs;
      if (isHeld && raw <= body.timeUs - 2 * epsilonUs && !listed.has(block.name.hash))
        return 'refuse';
    }
  return waits ? 'wait' : 'accept';
}

/** Whether a cut could list something, and whether a block has waited too long for agreement. */
export function backlogOf(
  rows: readonly Row[],
  cutTimeUs: number,
  nowUs: number,
  overdueUs: number,
): { readonly isListable: boolean; readonly isOverdue: boolean } {
  let isListable = false;
  let isOverdue = false;
  for (const { block, raw } of rows) {
    if (raw > cutTimeUs) continue;
    isListable = true;
    const waitedUs = nowUs - (block.availableAtUs ?? nowUs);
    if (!block.isConverged && waitedUs >= overdueUs) isOverdue = true;
  }
  return { isListable, isOverdue };
}
