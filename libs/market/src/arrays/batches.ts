/** Batches of units in memory and in their rows. */
import { type UnitSet, countUnits, unitSetOf, unitsOf } from '#contracts';
import type { ArrayProgress, OrderRow, UnitGroup, UnitsRow } from '../model/rows.ts';
import { unitsId } from '../model/rows.ts';
import { type Market, type Step, orderOf, saveRow, updateOrder } from '../state.ts';

type Ranges = readonly { readonly from: number; readonly count: number }[];

/** True while a provider has the batch, or its results are being looked at. */
export const isBatchOpen = ({ state }: UnitsRow): boolean =>
  state === 'offered' || state === 'working' || state === 'checking';

/** Stores a batch and keeps the indexes. */
export function updateBatch(step: Step, row: UnitsRow): UnitsRow {
  const { market } = step;
  indexBatch(market, row);
  saveRow(step, 'units', unitsId(row.order, row.fence), row);
  return row;
}

export function indexBatch(market: Market, row: UnitsRow): void {
  const batches = market.batchesOf.get(row.order) ?? new Map<number, UnitsRow>();
  batches.set(row.fence, row);
  market.batchesOf.set(row.order, batches);
  if (isBatchOpen(row)) market.batches.set(row.lease, row);
  else market.batches.delete(row.lease);
}

export const batchesOf = (market: Market, order: string): Iterable<UnitsRow> =>
  market.batchesOf.get(order)?.values() ?? [];

export function openBatches(market: Market, order: string): UnitsRow[] {
  return [...batchesOf(market, order)].filter(isBatchOpen);
}

/** The progress of an order of many tasks. Only for such. */
export function arrayOf(row: OrderRow): ArrayProgress {
  if (!row.array) throw new Error(`order ${row.id} has one task`);
  return row.array;
}

export function updateArray(step: Step, id: string, change: Partial<ArrayProgress>): OrderRow {
  const array = { ...arrayOf(orderOf(step.market, id)), ...change };
  return updateOrder(step, id, { array });
}

/** Ranges of any size: united, sorted, touching ones joined. */
export function joinRanges(...sets: readonly Ranges[]): { from: number; count: number }[] {
  const sorted = sets.flat().toSorted((a, b) => a.from - b.from);
  const joined: { from: number; count: number }[] = [];
  for (const { from, count } of sorted) {
    const last = joined.at(-1);
    if (last && from <= last.from + last.count)
      last.count = Math.max(last.count, from + count - last.from);
    else joined.push({ from, count });
  }
  return joined;
}

/** The first `most` units of a group's ranges that `isWanted`, and what is left of it. */
export function takeUnits(
  units: Ranges,
  most: number,
  isWanted?: (unit: number) => boolean,
): { readonly taken: UnitSet; readonly rest: Ranges } {
  if (!isWanted) return cutRanges(units, most);
  const all = unitsOf(units);
  const taken = new Set(all.filter(isWanted).slice(0, most));
  return { taken: unitSetOf(taken), rest: unitSetOf(all.filter((unit) => !taken.has(unit))) };
}

function cutRanges(units: Ranges, most: number) {
  const taken: { from: number; count: number }[] = [];
  const rest: { from: number; count: number }[] = [];
  let room = most;
  for (const { from, count } of units) {
    const now = Math.min(room, count);
    if (now > 0) taken.push({ from, count: now });
    if (count > now) rest.push({ from: from + now, count: count - now });
    room -= now;
  }
  return { taken, rest };
}

/** Units that wait to be handed out (again). */
export function pendingUnits({ tasks, next, again }: ArrayProgress): number {
  return tasks - next + again.reduce((sum, { units }) => sum + countUnits(units), 0);
}

/** Tasks of which this provider has, or had, a unit: it must not do another replica of them. */
export function tasksOfProvider(market: Market, row: OrderRow, provider: string): Set<number> {
  const { tasks } = arrayOf(row);
  const seen = new Set<number>();
  for (const batch of batchesOf(market, row.id))
    // One whose answers were all odd is lost, and has still answered.
    if (batch.provider === provider && (batch.state !== 'lost' || batch.leaves !== undefined))
      for (const unit of unitsOf(batch.units)) seen.add(unit % tasks);
  return seen;
}

export const NO_FAILURES = { faults: 0, tried: [], poisoned: [] } satisfies Omit<
  UnitGroup,
  'units'
>;

/** Puts units into the pool; further replicas of a task come in here. */
export function addUnits(step: Step, id: string, units: Ranges): void {
  const { again } = arrayOf(orderOf(step.market, id));
  updateArray(step, id, { again: [...again, { units: joinRanges(units), ...NO_FAILURES }] });
}
