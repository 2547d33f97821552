/** Which tick numbers this node may still sign: never one that it may have used before a crash. */
import type { JournalRecord } from './types.ts';

/** So many numbers are reserved by one journal record. */
const RESERVE = 16;

export class TickNumbers {
  /** The last one signed. */
  last = -1;
  #horizon = 0;

  /** From the journal, or after it was lost: numbers below may have been used. */
  skipBelow(below: number): void {
    this.#horizon = below;
    this.last = below - 1;
  }

  /** Past all numbers up to `k`, as if they had been reserved. */
  skipPast(k: number): JournalRecord {
    this.skipBelow(k + RESERVE);
    return { kind: 'ticks', below: this.#horizon };
  }

  /** Takes `k`; the record to be durable first, if numbers up to it were not reserved. */
  take(k: number): JournalRecord | undefined {
    this.last = k;
    if (k < this.#horizon) return undefined;
    this.#horizon = k + RESERVE;
    return { kind: 'ticks', below: this.#horizon };
  }
}
