/**
 * Time in graphs of orders: when what an order reads will be there, and how much waits for an order. The
 * longest way through the graph decides both.
 */
import { type GraphTask, criticalPathMs } from '#libs/scheduler';
import { type OrderRow, UNFINISHED } from '../model/rows.ts';
import { usualMs } from '../placement/outlook.ts';
import type { Market } from '../state.ts';

/** Orders looked at before or behind one; of larger graphs the nearest. */
const LOOKED_AT = 1000;
const MS = 1000;

/** One order of a graph, as far as its time is concerned. */
export interface PathOrder {
  /** Orders that it reads. */
  readonly after: readonly string[];
  /** From when its inputs are there to its result. */
  readonly runMs: number;
}

/** Time that is left of an order's own work; 0 once it is done. */
function leftMs(market: Market, row: OrderRow, nowUs: number): number {
  if (!UNFINISHED.has(row.work)) return 0;
  const { array, forecast, needs } = row;
  const whole =
    forecast?.finishMs ??
    (usualMs(market, needs) * ((array?.tasks ?? 1) - (array?.done ?? 0))) /
      Math.max(1, array ? market.places.tenants.slots : 1);
  if (row.work === 'blocked') return whole;
  return Math.max(0, whole - (nowUs - (row.readyAtUs ?? row.acceptedAtUs)) / MS);
}

const makersOf = ({ sources = [], work }: OrderRow): readonly string[] =>
  work === 'blocked' ? [...new Set(sources.map(({ order }) => order))] : [];

export function pathOrderOf(market: Market, row: OrderRow, nowUs: number): PathOrder {
  return { after: makersOf(row), runMs: leftMs(market, row, nowUs) };
}

/** Milliseconds until all of these orders are done, one after the other where they must. */
export function doneInMs(
  orders: readonly string[],
  find: (id: string) => PathOrder | undefined,
): number {
  const found = new Map<string, PathOrder>();
  const queue = [...orders];
  for (let id = queue.shift(); id !== undefined && found.size < LOOKED_AT; id = queue.shift()) {
    const order = found.has(id) ? undefined : find(id);
    if (!order) continue;
    found.set(id, order);
    queue.push(...order.after);
  }
  return longestMs(found);
}

/** Milliseconds of work that wait for this order: the longest way of orders that read each other. */
export function behindMs(market: Market, id: string, nowUs: number): number {
  if (!market.followers.has(id)) return 0;
  const found = new Map<string, PathOrder>();
  const queue = [...(market.followers.get(id) ?? [])];
  for (
    let next = queue.shift();
    next !== undefined && found.size < LOOKED_AT;
    next = queue.shift()
  ) {
    const row = found.has(next) ? undefined : market.orders.get(next);
    if (!row) continue;
    found.set(next, pathOrderOf(market, row, nowUs));
    queue.push(...(market.followers.get(next) ?? []));
  }
  return longestMs(found);
}

function longestMs(orders: ReadonlyMap<string, PathOrder>): number {
  const tasks: GraphTask[] = [...orders].map(([name, { after }]) => ({
    name,
    after: after.filter((other) => orders.has(other)),
  }));
  return criticalPathMs(tasks, (name) => orders.get(name)?.runMs ?? 0);
}
