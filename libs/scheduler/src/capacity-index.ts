/**
 * Machines by the room they have left, so that candidates are found without looking at machines that
 * cannot do. A bucket holds machines of one GPU model with the same number of wholly free GPUs, the
 * same tenth of the best partly free GPU and the same power of two of free CPU. A machine moves between
 * buckets in constant time.
 */
import { type Cluster, fits, GPU_MILLI, GPUS_PER_NODE } from './cluster.ts';
import type { Draws } from './policy.ts';
import { ANY_MODEL, type TaskShape } from './shape.ts';

const FULL_STEPS = GPUS_PER_NODE + 1;
const PARTIAL_STEPS = 10;
const CPU_STEPS = 8;
const ROWS_PER_MODEL = FULL_STEPS * PARTIAL_STEPS;

/** 0 below one core, then one more per doubling. */
const cpuStepOf = (cpuMilli: number): number =>
  Math.min(CPU_STEPS - 1, 32 - Math.clz32(cpuMilli / 1000));

/** Part `index` of `count`: the machines whose number leaves that remainder. */
export interface Part {
  readonly index: number;
  readonly count: number;
}

const WHOLE: Part = { index: 0, count: 1 };

/** What a sample looks for. */
interface Wish {
  readonly shape: TaskShape;
  readonly draws: Draws;
  readonly into: Int32Array;
}

export class CapacityIndex {
  readonly #cluster: Cluster;
  /** One byte per row: which CPU steps have members. */
  readonly #occupied: Uint8Array;
  readonly #members: Int32Array[];
  readonly #counts: Int32Array;
  readonly #bucketOf: Int32Array;
  readonly #placeOf: Int32Array;
  readonly #eligible: Int32Array;

  readonly #part: Part;

  constructor(cluster: Cluster, part: Part = WHOLE) {
    this.#part = part;
    this.#cluster = cluster;
    const rows = cluster.models.length * ROWS_PER_MODEL;
    this.#occupied = new Uint8Array(rows);
    this.#members = Array.from({ length: rows * CPU_STEPS }, () => new Int32Array(0));
    this.#counts = new Int32Array(rows * CPU_STEPS);
    this.#eligible = new Int32Array(rows * CPU_STEPS);
    this.#bucketOf = new Int32Array(cluster.nodeCount).fill(-1);
    this.#placeOf = new Int32Array(cluster.nodeCount);
    for (let node = 0; node < cluster.nodeCount; node++) this.changed(node);
  }

  #bucketFor(node: number): number {
    const { gpuCount, gpuFree, cpuFree, modelBit } = this.#cluster;
    let full = 0;
    let partial = 0;
    for (let i = node * GPUS_PER_NODE, end = i + gpuCount[node]!; i < end; i++) {
      const free = gpuFree[i]!;
      if (free === GPU_MILLI) full++;
      else if (free > partial) partial = free;
    }
    const model = 31 - Math.clz32(modelBit[node]!);
    const row = model * ROWS_PER_MODEL + full * PARTIAL_STEPS + Math.trunc(partial / 100);
    return row * CPU_STEPS + cpuStepOf(cpuFree[node]!);
  }

  #remove(node: number, bucket: number): void {
    const members = this.#members[bucket]!;
    const last = --this.#counts[bucket]!;
    const moved = members[last]!;
    const place = this.#placeOf[node]!;
    members[place] = moved;
    this.#placeOf[moved] = place;
    if (last === 0) this.#occupied[bucket >> 3]! &= ~(1 << (bucket & 7));
  }

  /** Puts the node where it now belongs: call it after every change of the node. */
  changed(node: number): void {
    const bucket = this.#bucketFor(node);
    const old = this.#bucketOf[node]!;
    if (bucket === old) return;
    if (old >= 0) this.#remove(node, old);
    let members = this.#members[bucket]!;
    const count = this.#counts[bucket]!++;
    if (count === members.length) {
      const grown = new Int32Array(Math.max(4, count * 2));
      grown.set(members);
      this.#members[bucket] = members = grown;
    }
    members[count] = node;
    this.#placeOf[node] = count;
    this.#bucketOf[node] = bucket;
    this.#occupied[bucket >> 3]! |= 1 << (bucket & 7);
  }

  /** The buckets that may hold a machine with room, tightest rows first within a model. */
  #findBuckets(shape: TaskShape): number {
    const { models } = this.#cluster;
    const cpuMask = (0xff << cpuStepOf(shape.cpuMilli)) & 0xff;
    const isShared = shape.gpuCount > 0 && shape.gpuMilli < GPU_MILLI;
    const leastPartial = isShared ? Math.trunc(shape.gpuMilli / 100) : 0;
    const leastFull = isShared ? 0 : shape.gpuCount;
    let found = 0;
    for (let model = 0; model < models.length; model++) {
      if (shape.modelBits !== ANY_MODEL && (shape.modelBits & (1 << model)) === 0) continue;
      const end = (model + 1) * ROWS_PER_MODEL;
      const start = model * ROWS_PER_MODEL + leastFull * PARTIAL_STEPS;
      for (let row = start; row < end; row++) {
        let bits = this.#occupied[row]! & cpuMask;
        if (bits === 0) continue;
        const inModel = row - model * ROWS_PER_MODEL;
        // Without a wholly free GPU the best partly free one must do.
        if (isShared && inModel < PARTIAL_STEPS && inModel < leastPartial) continue;
        for (; bits !== 0; bits &= bits - 1)
          this.#eligible[found++] = row * CPU_STEPS + (31 - Math.clz32(bits & -bits));
      }
    }
    return found;
  }

  /**
   * Up to about `wanted` machines with room, some of every eligible bucket, from a random start in
   * each, into `into`; returns how many. It returns 0 only when no machine has room.
   */
  sample(shape: TaskShape, wanted: number, draws: Draws, into: Int32Array): number {
    const buckets = this.#findBuckets(shape);
    if (buckets === 0) return 0;
    const first = draws.below(buckets);
    const most = Math.min(wanted, into.length);
    const quota = Math.max(1, Math.trunc(most / buckets));
    const wish = { shape, draws, into };
    let found = 0;
    for (let i = 0; i < buckets && found < most; i++) {
      let at = first + i;
      if (at >= buckets) at -= buckets;
      found = this.#take(this.#eligible[at]!, wish, found, quota, quota * 2, this.#part);
    }
    // Only looking at every machine shows that none has room.
    for (let i = 0; i < buckets && found === 0; i++) {
      const at = (first + i) % buckets;
      found = this.#take(this.#eligible[at]!, wish, found, quota, Infinity, WHOLE);
    }
    return found;
  }

  /** Appends up to `quota` machines of one bucket, after at most `tries` looks at machines of the part. */
  #take(
    bucket: number,
    { shape, draws, into }: Wish,
    found: number,
    quota: number,
    tries: number,
    part: Part,
  ): number {
    const members = this.#members[bucket]!;
    const count = this.#counts[bucket]!;
    const end = Math.min(into.length, found + quota);
    let place = count > 1 ? draws.below(count) : 0;
    let filled = found;
    let tried = 0;
    for (let looked = 0; looked < count && tried < tries && filled < end; looked++) {
      const node = members[place]!;
      if (++place === count) place = 0;
      if (part.count > 1 && node % part.count !== part.index) continue;
      tried++;
      if (fits(this.#cluster, node, shape)) into[filled++] = node;
    }
    return filled;
  }
}
