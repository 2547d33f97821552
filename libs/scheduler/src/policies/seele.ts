import { CapacityIndex, type Part } from '../capacity-index.ts';
import { type Cluster, fits, GPU_MILLI, GPUS_PER_NODE } from '../cluster.ts';
import { DemandProfile } from '../demand.ts';
import { FragmentMemo } from '../fragment-memo.ts';
import { firstGpus } from '../gpus.ts';
import type { Draws, Policy } from '../policy.ts';
import type { TaskShape } from '../shape.ts';

/**
 * Weights against one thousandth of expected unusable GPU. They were chosen once, are the same for
 * every workload, and the result hardly depends on them (docs/scheduler.md shows a sweep).
 */
const STRANDED_WEIGHT = 0.1;
const LEFTOVER_WEIGHT = 50;

export interface SeelePolicyOptions {
  readonly cluster: Cluster;
  readonly draws: Draws;
  /** Machines scored for one placement; Infinity scores all that have room. */
  readonly candidates?: number;
  /**
   * With several schedulers on one shared cluster: which of how many this one is. It looks at its own
   * part of the machines first and at the others' when its own has no room, so that two schedulers
   * seldom want the same machine.
   */
  readonly part?: Part;
}

/** Machines scored for one placement unless said otherwise. */
export const DEFAULT_CANDIDATES = 64;

/**
 * Our own policy. It takes the machine where these grow least together:
 * - fragmentation: free GPU that a typical task could not use (FGD, exact instead of truncated);
 * - stranded GPU: free GPU for which the machine has no CPU left at the workload's CPU per GPU, which
 *   fragmentation misses because it asks for one more task only, not for filling the machine;
 * - leftovers, so that of equals the tightest is taken.
 * Typical tasks and CPU per GPU are learned from the tasks that have arrived.
 */
export class SeelePolicy implements Policy {
  readonly name = 'seele';
  readonly #cluster: Cluster;
  readonly #draws: Draws;
  readonly #index: CapacityIndex;
  readonly #memo: FragmentMemo;
  readonly #profile = new DemandProfile();
  readonly #found: Int32Array;
  readonly #candidates: number;
  readonly #cpuScale: number;
  readonly #gpuScale: number;
  /** Versions of the nodes as index and memo know them. */
  readonly #seen: Uint32Array;
  #gpuPerCpu = 0;
  /** GPUs that belong to the last score. */
  #mask = 0;

  constructor({ cluster, draws, candidates = DEFAULT_CANDIDATES, part }: SeelePolicyOptions) {
    this.#cluster = cluster;
    this.#draws = draws;
    this.#candidates = Math.min(candidates, cluster.nodeCount);
    this.#found = new Int32Array(Math.max(1, this.#candidates));
    this.#index = new CapacityIndex(cluster, part);
    this.#seen = cluster.version.slice();
    this.#memo = new FragmentMemo(cluster, []);
    // Leftovers are measured against the largest machine.
    const cpuMost = cluster.cpuTotal.reduce((most, cpu) => Math.max(most, cpu), 1);
    const gpuMost = cluster.gpuCount.reduce((most, count) => Math.max(most, count), 1);
    this.#cpuScale = LEFTOVER_WEIGHT / 2 / cpuMost;
    this.#gpuScale = LEFTOVER_WEIGHT / 2 / (gpuMost * GPU_MILLI);
  }

  arrived(shape: TaskShape): void {
    if (!this.#profile.arrived(shape)) return;
    const { kinds, cpuPerGpu } = this.#profile.demand();
    this.#memo.learn(kinds);
    this.#gpuPerCpu = cpuPerGpu === 0 ? 0 : 1 / cpuPerGpu;
  }

  changed(node: number): void {
    this.#seen[node] = this.#cluster.version[node]!;
    this.#index.changed(node);
    this.#memo.changed(node);
  }

  choose(shape: TaskShape): { node: number; gpuMask: number } | undefined {
    const count = this.#collect(shape);
    let node = -1;
    let least = Infinity;
    let gpuMask = 0;
    for (let i = 0; i < count; i++) {
      const candidate = this.#found[i]!;
      // Another scheduler on the same shared cluster took something from it.
      if (this.#seen[candidate] !== this.#cluster.version[candidate]) this.changed(candidate);
      const score = this.#score(candidate, shape);
      if (score >= least) continue;
      least = score;
      node = candidate;
      gpuMask = this.#mask;
    }
    return node < 0 ? undefined : { node, gpuMask };
  }

  #collect(shape: TaskShape): number {
    const { nodeCount } = this.#cluster;
    if (this.#candidates < nodeCount)
      return this.#index.sample(shape, this.#candidates, this.#draws, this.#found);
    let count = 0;
    for (let node = 0; node < nodeCount; node++)
      if (fits(this.#cluster, node, shape)) this.#found[count++] = node;
    return count;
  }

  /** GPU that the machine's CPU does not suffice for. */
  #stranded(cpuFree: number, gpuFree: number): number {
    if (this.#gpuPerCpu === 0) return 0;
    return Math.max(0, gpuFree - cpuFree * this.#gpuPerCpu);
  }

  #score(node: number, shape: TaskShape): number {
    const cluster = this.#cluster;
    const cpuFree = cluster.cpuFree[node]!;
    const gpuFree = cluster.gpuFreeTotal[node]!;
    const cpuLeft = cpuFree - shape.cpuMilli;
    const gpuLeft = gpuFree - shape.gpuCount * shape.gpuMilli;
    const stranded = this.#stranded(cpuLeft, gpuLeft) - this.#stranded(cpuFree, gpuFree);
    return (
      this.#fragmentAfter(node, shape) -
      this.#memo.now(node) +
      STRANDED_WEIGHT * stranded +
      cpuLeft * this.#cpuScale +
      gpuLeft * this.#gpuScale
    );
  }

  #fragmentAfter(node: number, shape: TaskShape): number {
    const { gpuFree, gpuCount } = this.#cluster;
    const { cpuMilli, gpuMilli } = shape;
    if (shape.gpuCount !== 1 || gpuMilli === GPU_MILLI) {
      this.#mask = firstGpus(this.#cluster, node, shape);
      return this.#memo.after(node, cpuMilli, this.#mask, gpuMilli);
    }
    let least = Infinity;
    let last = -1;
    const base = node * GPUS_PER_NODE;
    for (let i = 0; i < gpuCount[node]!; i++) {
      const free = gpuFree[base + i]!;
      // Neighbours with the same room come to the same.
      if (free < gpuMilli || free === last) continue;
      last = free;
      const fragment = this.#memo.after(node, cpuMilli, 1 << i, gpuMilli);
      if (fragment >= least) continue;
      least = fragment;
      this.#mask = 1 << i;
    }
    return least;
  }
}
