/**
 * Remembers the fragmentation of machine states. A state's value depends on its CPU only through which
 * kinds still fit and on its GPUs only as a set of amounts, so few states differ: on openb more than
 * nine look-ups in ten are hits. The table has a fixed size; a full neighbourhood is overwritten.
 */
import { type Cluster, GPU_MILLI, GPUS_PER_NODE } from './cluster.ts';
import { createNodeState, fragmentOf, type TypicalKind } from './fragmentation.ts';

/** Look-ups try this many neighbouring slots. */
const PROBES = 4;

/** Two unrelated 32-bit words for each amount a GPU can have free: their sums name a set of GPUs. */
const WORDS_A = new Int32Array(GPU_MILLI + 1);
const WORDS_B = new Int32Array(GPU_MILLI + 1);
for (let milli = 0; milli <= GPU_MILLI; milli++) {
  let word = Math.imul(milli + 1, 0x9e3779b1);
  word = Math.imul(word ^ (word >>> 15), 0x85ebca6b);
  WORDS_A[milli] = word ^ (word >>> 13);
  word = Math.imul(word ^ (word >>> 16), 0xc2b2ae35) + milli;
  WORDS_B[milli] = word ^ (word >>> 14);
}

/** Fragmentation of the cluster's machines, and of what they would be after a placement. */
export class FragmentMemo {
  readonly #cluster: Cluster;
  #kinds: readonly TypicalKind[] = [];
  #cpuSteps = new Int32Array(0);
  readonly #mask: number;
  readonly #cpuKeys: Int32Array;
  readonly #keysA: Int32Array;
  readonly #keysB: Int32Array;
  readonly #values: Float64Array;
  /** Sums of the words of each node's GPUs. */
  readonly #sumA: Int32Array;
  readonly #sumB: Int32Array;
  /** Fragmentation of the nodes as they are; negative while not asked for. */
  readonly #now: Float64Array;
  readonly #state = createNodeState();
  /** Look-ups that found their state, and all of them. */
  hits = 0;
  lookups = 0;

  /** `slotsLog2` sets the size: 2^17 slots take 2.6 MB. */
  constructor(cluster: Cluster, kinds: readonly TypicalKind[], slotsLog2 = 17) {
    this.#cluster = cluster;
    const slots = 2 ** slotsLog2;
    this.#mask = slots - 1;
    this.#cpuKeys = new Int32Array(slots);
    this.#keysA = new Int32Array(slots);
    this.#keysB = new Int32Array(slots);
    this.#values = new Float64Array(slots);
    this.#sumA = new Int32Array(cluster.nodeCount);
    this.#sumB = new Int32Array(cluster.nodeCount);
    this.#now = new Float64Array(cluster.nodeCount);
    for (let node = 0; node < cluster.nodeCount; node++) this.changed(node);
    this.learn(kinds);
  }

  /** Goes on with other kinds: nothing remembered holds any longer. */
  learn(kinds: readonly TypicalKind[]): void {
    this.#kinds = kinds;
    this.#cpuSteps = Int32Array.from(new Set(kinds.map(({ cpuMilli }) => cpuMilli))).toSorted();
    this.#cpuKeys.fill(0);
    this.#now.fill(-1);
  }

  /** Reads the node again: call it after every change of the node. */
  changed(node: number): void {
    const base = node * GPUS_PER_NODE;
    let a = 0;
    let b = 0;
    for (let i = this.#cluster.gpuCount[node]! - 1; i >= 0; i--) {
      const free = this.#cluster.gpuFree[base + i]!;
      a = (a + WORDS_A[free]!) | 0;
      b = (b + WORDS_B[free]!) | 0;
    }
    this.#sumA[node] = a;
    this.#sumB[node] = b;
    this.#now[node] = -1;
  }

  /** Fragmentation of the node as it is. */
  now(node: number): number {
    const known = this.#now[node]!;
    return known < 0 ? (this.#now[node] = this.after(node, 0, 0, 0)) : known;
  }

  /** How many of the kinds' distinct CPU demands fit into so much. */
  #cpuStep(cpuFree: number): number {
    const steps = this.#cpuSteps;
    let low = 0;
    let high = steps.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (steps[middle]! <= cpuFree) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Fragmentation if the node gave away so much CPU and `milli` of each GPU in `gpuMask`. */
  after(node: number, cpuMilli: number, gpuMask: number, milli: number): number {
    const { gpuFree } = this.#cluster;
    const base = node * GPUS_PER_NODE;
    let a = this.#sumA[node]!;
    let b = this.#sumB[node]!;
    for (let i = 0, rest = gpuMask; rest !== 0; i++, rest >>>= 1) {
      if ((rest & 1) === 0) continue;
      const free = gpuFree[base + i]!;
      a = (a - WORDS_A[free]! + WORDS_A[free - milli]!) | 0;
      b = (b - WORDS_B[free]! + WORDS_B[free - milli]!) | 0;
    }
    const cpuFree = this.#cluster.cpuFree[node]! - cpuMilli;
    const modelBit = this.#cluster.modelBit[node]!;
    // Zero means an empty slot, so the key has its lowest bit set.
    const cpuKey =
      (this.#cpuStep(cpuFree) << 10) |
      ((31 - Math.clz32(modelBit)) << 5) |
      (this.#cluster.gpuCount[node]! << 1) |
      1;
    const mixed = Math.imul(a ^ Math.imul(cpuKey, 0x9e3779b1), 0x85ebca6b);
    const home = mixed ^ (mixed >>> 15) ^ b;
    this.lookups++;
    let slot = home & this.#mask;
    for (let probe = 0; probe < PROBES; probe++) {
      slot = (home + probe) & this.#mask;
      const found = this.#cpuKeys[slot]!;
      if (found === cpuKey && this.#keysA[slot] === a && this.#keysB[slot] === b) {
        this.hits++;
        return this.#values[slot]!;
      }
      if (found === 0) break;
    }
    const value = this.#compute(node, cpuFree, gpuMask, milli);
    this.#cpuKeys[slot] = cpuKey;
    this.#keysA[slot] = a;
    this.#keysB[slot] = b;
    this.#values[slot] = value;
    return value;
  }

  #compute(node: number, cpuFree: number, gpuMask: number, milli: number): number {
    const state = this.#state;
    state.cpuFree = cpuFree;
    state.modelBit = this.#cluster.modelBit[node]!;
    state.gpuCount = this.#cluster.gpuCount[node]!;
    const base = node * GPUS_PER_NODE;
    for (let i = 0; i < state.gpuCount; i++) {
      const free = this.#cluster.gpuFree[base + i]!;
      state.gpuFree[i] = gpuMask & (1 << i) ? free - milli : free;
    }
    return fragmentOf(state, this.#kinds);
  }
}
