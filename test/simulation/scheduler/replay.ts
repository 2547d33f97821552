/** Replays arrivals through a policy and measures the packing by the authors' protocol. */
import {
  bind,
  type Cluster,
  createNodeState,
  fragmentOf,
  type Policy,
  readNodeState,
  type TypicalKind,
} from '#libs/scheduler';
import type { TraceTask } from './openb.ts';

/** What one run of one seed came to. */
export interface ReplayResult {
  /** GPU not allocated when arrived demand reaches 100 % of capacity, in percent; null if it never does. */
  readonly unallocatedGpuPercent: number | null;
  readonly arrived: number;
  readonly failedTasks: number;
  /** Expected unusable GPU at that moment, in percent of capacity. */
  readonly fragmentationPercent: number | null;
}

const twoDecimals = (value: number): number => Math.round(value * 100) / 100;

/** Rounds to whole, halves to even. */
function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** Mean of the values seen while arrived demand is at 100 %; near it when it never is. */
class AtFullDemand {
  #exact: number[] = [];
  #near: number[] = [];

  isWanted(arrivedPercent: number): boolean {
    return Math.abs(roundHalfEven(arrivedPercent) - 100) <= 1;
  }

  add(arrivedPercent: number, value: number): void {
    if (!this.isWanted(arrivedPercent)) return;
    if (roundHalfEven(arrivedPercent) === 100) this.#exact.push(value);
    else this.#near.push(value);
  }

  get mean(): number | null {
    const values = this.#exact.length > 0 ? this.#exact : this.#near;
    if (values.length === 0) return null;
    return values.reduce((sum, value) => sum + value, 0) / values.length;
  }
}

function clusterFragment(cluster: Cluster, kinds: readonly TypicalKind[]): number {
  const state = createNodeState();
  let sum = 0;
  for (let n = 0; n < cluster.nodeCount; n++) {
    readNodeState(cluster, n, state);
    sum += fragmentOf(state, kinds);
  }
  return sum;
}

/** Runs the tasks in this order on the empty cluster. A refused task never returns, none departs. */
export function replay(
  cluster: Cluster,
  policy: Policy,
  tasks: readonly TraceTask[],
  order: ArrayLike<number>,
  kinds: readonly TypicalKind[],
): ReplayResult {
  const allocation = new AtFullDemand();
  const fragmentation = new AtFullDemand();
  const percentOf = cluster.gpuMilliTotal / 100;
  let arrivedMilli = 0;
  let allocatedMilli = 0;
  let failedTasks = 0;
  let fragmentPercent: number | undefined;
  for (let i = 0; i < order.length; i++) {
    const { shape } = tasks[order[i]!]!;
    const milli = shape.gpuCount * shape.gpuMilli;
    arrivedMilli += milli;
    policy.arrived?.(shape);
    const choice = policy.choose(shape);
    if (choice) {
      bind(cluster, choice.node, choice.gpuMask, shape);
      policy.changed?.(choice.node);
      allocatedMilli += milli;
      fragmentPercent = undefined;
    } else failedTasks++;
    const arrivedPercent = twoDecimals(arrivedMilli / percentOf);
    allocation.add(arrivedPercent, twoDecimals(allocatedMilli / percentOf));
    if (!fragmentation.isWanted(arrivedPercent)) continue;
    fragmentPercent ??= clusterFragment(cluster, kinds) / percentOf;
    fragmentation.add(arrivedPercent, fragmentPercent);
  }
  const allocated = allocation.mean;
  return {
    unallocatedGpuPercent: allocated === null ? null : 100 - allocated,
    arrived: order.length,
    failedTasks,
    fragmentationPercent: fragmentation.mean,
  };
}
