/** Which open orders read whose results, and what a provider is told of what they came to. */
import type { MadeInputs } from '../agent-protocol.ts';
import type { Manifest } from '../manifest.ts';
import type { OrderRow, OrderSource } from '../model/rows.ts';
import type { Market, Step } from '../state.ts';

/** What an order of this manifest waits for. */
export function sourcesOf({ from = [], array }: Manifest): readonly OrderSource[] {
  const { taskInput } = array ?? {};
  const each: OrderSource[] =
    taskInput?.order === undefined
      ? []
      : [{ name: taskInput.name, order: taskInput.order, isEach: true }];
  return [...from, ...each];
}

export function indexSources(market: Market, row: OrderRow, isOpen: boolean): void {
  const { followers } = market;
  for (const { order } of row.sources ?? []) {
    const those = followers.get(order) ?? new Set<string>();
    if (isOpen) followers.set(order, those.add(row.id));
    else if (those.delete(row.id) && those.size === 0) followers.delete(order);
  }
}

/** The order came to something, or to nothing: those that read it are looked at, in this very step. */
export function wakeFollowers({ market, now }: Step, order: string): void {
  for (const follower of market.followers.get(order) ?? [])
    market.deadlines.set(`inputs/${follower}`, now.monotonicMs);
}

/** True while somebody has still to take over what the order came to. */
export function isReadByOthers(market: Market, order: string): boolean {
  for (const follower of market.followers.get(order) ?? []) {
    const { sources = [] } = market.orders.get(follower) ?? {};
    if (sources.some((source) => source.order === order && source.cid === undefined)) return true;
  }
  return false;
}

/** What the lease of an order says of the inputs that others made. */
export function madeInputsOf({ sources = [] }: OrderRow): {
  readonly inputs?: MadeInputs;
  readonly taskInputs?: string;
} {
  const inputs = sources.flatMap(({ name, cid, sizeBytes = 0, isEach }) =>
    cid === undefined || isEach === true ? [] : [{ name, cid, sizeBytes }],
  );
  const each = sources.find(({ isEach }) => isEach === true)?.cid;
  return {
    ...(inputs.length > 0 && { inputs }),
    ...(each !== undefined && { taskInputs: each }),
  };
}
