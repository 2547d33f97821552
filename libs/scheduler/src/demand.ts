/**
 * What the workload asks for, learned from the tasks that have arrived and from nothing else. Old
 * arrivals fade, so that the profile follows a workload that changes.
 */
import type { TypicalKind } from './fragmentation.ts';
import type { TaskShape } from './shape.ts';

/** Kinds kept for the fragmentation measure; the rest are too rare to matter. */
const MAX_KINDS = 256;
const COVERED = 0.95;
/** From here on all counts are halved, so that old arrivals fade. */
const FADE_AT = 200_000;
const FIRST_REFRESH = 32;

/** Typical kinds and the CPU that comes with a GPU, as they were at one refresh. */
export interface Demand {
  readonly kinds: readonly TypicalKind[];
  /** Thousandths of CPU asked per thousandth of GPU asked, over all tasks; 0 while unknown. */
  readonly cpuPerGpu: number;
}

interface KindCount {
  readonly shape: TaskShape;
  count: number;
}

export class DemandProfile {
  readonly #byShape: (KindCount | undefined)[] = [];
  readonly #byKind = new Map<string, KindCount>();
  #seen = 0;
  #sinceRefresh = 0;

  /** Counts one arrival; true when `demand` is worth asking for again. */
  arrived(shape: TaskShape): boolean {
    let entry = this.#byShape[shape.id];
    if (!entry) {
      const { cpuMilli, gpuCount, gpuMilli, modelBits } = shape;
      const key = `${cpuMilli},${gpuCount},${gpuMilli},${modelBits}`;
      entry = this.#byKind.get(key) ?? { shape, count: 0 };
      this.#byKind.set(key, entry);
      this.#byShape[shape.id] = entry;
    }
    entry.count++;
    this.#seen++;
    this.#sinceRefresh++;
    return this.#sinceRefresh >= Math.max(FIRST_REFRESH, this.#seen / 3);
  }

  /** The profile as it is now. */
  demand(): Demand {
    this.#sinceRefresh = 0;
    if (this.#seen > FADE_AT) this.#fade();
    const ordered = [...this.#byKind.values()].toSorted((a, b) => b.count - a.count);
    const kept: KindCount[] = [];
    let covered = 0;
    let cpu = 0;
    let gpu = 0;
    for (const entry of ordered) {
      cpu += entry.count * entry.shape.cpuMilli;
      gpu += entry.count * entry.shape.gpuCount * entry.shape.gpuMilli;
      if (kept.length >= MAX_KINDS || covered >= COVERED * this.#seen) continue;
      kept.push(entry);
      covered += entry.count;
    }
    const kinds = kept.map(({ shape, count }) => ({
      cpuMilli: shape.cpuMilli,
      gpuCount: shape.gpuCount,
      gpuMilli: shape.gpuMilli,
      modelBits: shape.modelBits,
      share: count / covered,
    }));
    return { kinds, cpuPerGpu: gpu === 0 ? 0 : cpu / gpu };
  }

  #fade(): void {
    this.#seen = 0;
    for (const [key, entry] of this.#byKind) {
      entry.count = Math.trunc(entry.count / 2);
      this.#seen += entry.count;
      if (entry.count > 0) continue;
      this.#byKind.delete(key);
      this.#byShape[entry.shape.id] = undefined;
    }
    for (const [i, entry] of this.#byShape.entries())
      if (entry?.count === 0) this.#byShape[i] = undefined;
  }
}
