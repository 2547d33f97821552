/** Arrival orders and tie ranks: the published ones from files, or fresh ones by the same rule. */
import type { SeededRandomness } from '#libs/kernel';
import type { TraceTask } from './openb.ts';

/** Indices shuffled in place (Fisher and Yates). */
function shuffle(list: number[], draws: SeededRandomness): void {
  for (let i = list.length - 1; i > 0; i--) {
    const j = draws.below(i + 1);
    const moved = list[i]!;
    list[i] = list[j]!;
    list[j] = moved;
  }
}

export const shuffledRanks = (count: number, draws: SeededRandomness): Int32Array => {
  const ranks = Array.from({ length: count }, (_, i) => i);
  shuffle(ranks, draws);
  return Int32Array.from(ranks);
};

/**
 * The whole table shuffled, then grown by copies of random rows, or thinned, to `inflation` times the
 * cluster's GPU capacity: the published rule with our own generator.
 */
export function inflatedOrder(
  tasks: readonly TraceTask[],
  gpuMilliTotal: number,
  inflation: number,
  draws: SeededRandomness,
): Int32Array {
  const order = Array.from(tasks, (_, i) => i);
  shuffle(order, draws);
  const demandOf = (i: number) => tasks[i]!.gpuCount * tasks[i]!.gpuMilli;
  const cap = inflation * gpuMilliTotal;
  let demand = 0;
  for (const i of order) demand += demandOf(i);
  const isGrowing = demand > 0 && demand < cap;
  while (isGrowing) {
    const drawn = draws.below(tasks.length);
    if (demand + tasks[drawn]!.gpuMilli > cap) break;
    order.push(drawn);
    demand += demandOf(drawn);
  }
  while (demand > cap) {
    const [removed = 0] = order.splice(draws.below(order.length), 1);
    demand -= demandOf(removed);
  }
  return Int32Array.from(order);
}
