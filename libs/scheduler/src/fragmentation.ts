/**
 * Fragmentation of a machine: the free GPU thousandths that a task drawn from the typical kinds could
 * not use there. Source: Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with
 * Fragmentation Gradient Descent", USENIX ATC 2023, in the authors' exact order of additions.
 */
import { type Cluster, GPUS_PER_NODE } from './cluster.ts';

/** One kind of task and how often it comes. Memory plays no part in fragmentation. */
export interface TypicalKind {
  readonly cpuMilli: number;
  readonly gpuCount: number;
  readonly gpuMilli: number;
  readonly modelBits: number;
  /** Share among the kept kinds; all shares add up to 1. */
  readonly share: number;
}

/** A task table's entry as far as kinds tell tasks apart. */
export interface KindSource {
  readonly cpuMilli: number;
  readonly gpuCount: number;
  readonly gpuMilli: number;
  readonly modelBits: number;
  /** Orders kinds that differ in nothing else (the models' names as written). */
  readonly modelText: string;
}

/** Share of the tasks that the kept kinds must cover. */
const COVERED = 0.95;

/**
 * The most frequent kinds that together cover 95 % of the tasks, most frequent first.
 */
export function typicalKinds(tasks: readonly KindSource[]): TypicalKind[] {
  const counts = new Map<string, { source: KindSource; count: number }>();
  for (const source of tasks) {
    const key = `${source.cpuMilli},${source.gpuMilli},${source.gpuCount},${source.modelText}`;
    const entry = counts.get(key);
    if (entry) entry.count++;
    else counts.set(key, { source, count: 1 });
  }
  const ordered = [...counts.values()].toSorted(
    (a, b) =>
      b.count - a.count ||
      b.source.cpuMilli - a.source.cpuMilli ||
      b.source.gpuMilli - a.source.gpuMilli ||
      b.source.gpuCount - a.source.gpuCount ||
      (a.source.modelText < b.source.modelText ? 1 : -1),
  );
  const kept: typeof ordered = [];
  let covered = 0;
  for (const entry of ordered) {
    if (covered / tasks.length >= COVERED) break;
    kept.push(entry);
    covered += entry.count;
  }
  return kept.map(({ source, count }) => ({
    cpuMilli: source.cpuMilli,
    gpuCount: source.gpuCount,
    gpuMilli: source.gpuMilli,
    modelBits: source.modelBits,
    share: count / tasks.length / (covered / tasks.length),
  }));
}

/** A machine's state as fragmentation sees it; filled in place by its users. */
export interface NodeState {
  cpuFree: number;
  modelBit: number;
  gpuCount: number;
  /** Free thousandths of each GPU, the first `gpuCount` count. */
  readonly gpuFree: Int16Array;
}

export const createNodeState = (): NodeState => ({
  cpuFree: 0,
  modelBit: 0,
  gpuCount: 0,
  gpuFree: new Int16Array(GPUS_PER_NODE),
});

/** Copies the node's state out of the cluster. */
export function readNodeState(cluster: Cluster, node: number, into: NodeState): void {
  into.cpuFree = cluster.cpuFree[node]!;
  into.modelBit = cluster.modelBit[node]!;
  into.gpuCount = cluster.gpuCount[node]!;
  const base = node * GPUS_PER_NODE;
  for (let i = 0; i < into.gpuCount; i++) into.gpuFree[i] = cluster.gpuFree[base + i]!;
}

/**
 * Expected unusable GPU thousandths of the machine. The seven sums are kept apart and added in the
 * authors' order: one plain sum differs in the last bits, and their truncated scores then flip.
 */
export function fragmentOf(state: NodeState, kinds: readonly TypicalKind[]): number {
  const { cpuFree, modelBit, gpuCount, gpuFree } = state;
  let total = 0;
  for (let i = 0; i < gpuCount; i++) total += gpuFree[i]!;
  let lackBoth = 0;
  let lackGpu = 0;
  let lackCpu = 0;
  let cpuOnlyFits = 0;
  let cpuOnlyLacks = 0;
  let noAccess = 0;
  for (const kind of kinds) {
    const hasCpu = cpuFree >= kind.cpuMilli;
    if (kind.gpuCount === 0) {
      if (hasCpu) cpuOnlyFits += kind.share * total;
      else cpuOnlyLacks += kind.share * total;
      continue;
    }
    if ((kind.modelBits & modelBit) === 0) {
      noAccess += kind.share * total;
      continue;
    }
    let fitting = 0;
    let small = 0;
    for (let i = 0; i < gpuCount; i++) {
      const free = gpuFree[i]!;
      if (free >= kind.gpuMilli) fitting++;
      else small += free;
    }
    if (fitting < kind.gpuCount) {
      if (hasCpu) lackGpu += kind.share * total;
      else lackBoth += kind.share * total;
    } else if (hasCpu) lackGpu += kind.share * small;
    else lackCpu += kind.share * total;
  }
  return lackBoth + lackGpu + lackCpu + cpuOnlyFits + cpuOnlyLacks + noAccess;
}
