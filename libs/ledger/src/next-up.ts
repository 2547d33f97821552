/** Which of the waiting transactions goes into a block next: what pays more, then what came first. */
import type { TransactionEnvelope } from './transaction.ts';

export interface Waiting {
  readonly envelope: TransactionEnvelope;
  readonly arrival: number;
  readonly sinceUs: number;
  readonly cost: bigint;
}

/** A binary heap: the lane whose first transaction goes next on top. */
export class NextUp {
  readonly #heap: { readonly lane: readonly Waiting[]; index: number }[] = [];

  static #before(a: Waiting, b: Waiting): boolean {
    const [x, y] = [a.envelope.body.fuelPrice, b.envelope.body.fuelPrice];
    return x === y ? a.arrival < b.arrival : x > y;
  }

  #at(i: number): Waiting {
    const { lane, index } = this.#heap[i] as { lane: readonly Waiting[]; index: number };
    return lane[index] as Waiting;
  }

  #swap(i: number, j: number): void {
    const heap = this.#heap;
    [heap[i], heap[j]] = [heap[j] as (typeof heap)[0], heap[i] as (typeof heap)[0]];
  }

  push(lane: readonly Waiting[], index: number): void {
    if (index >= lane.length) return;
    this.#heap.push({ lane, index });
    let i = this.#heap.length - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!NextUp.#before(this.#at(i), this.#at(parent))) return;
      this.#swap(i, parent);
      i = parent;
    }
  }

  /** Takes the best; `follow` lets the lane's next transaction compete. */
  pop(): { readonly next: Waiting; follow(): void } | undefined {
    const top = this.#heap[0];
    if (top === undefined) return undefined;
    const next = this.#at(0);
    const last = this.#heap.pop() as typeof top;
    if (this.#heap.length > 0) {
      this.#heap[0] = last;
      this.#sink();
    }
    return { next, follow: () => this.push(top.lane, top.index + 1) };
  }

  #sink(): void {
    const { length } = this.#heap;
    for (let i = 0; ;) {
      let best = i;
      for (const child of [2 * i + 1, 2 * i + 2])
        if (child < length && NextUp.#before(this.#at(child), this.#at(best))) best = child;
      if (best === i) return;
      this.#swap(i, best);
      i = best;
    }
  }
}
