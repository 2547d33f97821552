/** A binary heap of timed events; equal times come out in the order they went in. */
export interface Timed<T> {
  readonly atUs: number;
  readonly order: number;
  readonly item: T;
}

export class EventQueue<T> {
  readonly #heap: Timed<T>[] = [];
  #order = 0;

  get size(): number {
    return this.#heap.length;
  }

  get nextUs(): number {
    return this.#heap[0]?.atUs ?? Number.POSITIVE_INFINITY;
  }

  push(atUs: number, item: T): void {
    const heap = this.#heap;
    const entry = { atUs, order: this.#order++, item };
    let i = heap.length;
    heap.push(entry);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!isBefore(entry, heap[parent] as Timed<T>)) break;
      heap[i] = heap[parent] as Timed<T>;
      i = parent;
    }
    heap[i] = entry;
  }

  pop(): Timed<T> | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      const right = child + 1;
      if (right < heap.length && isBefore(heap[right] as Timed<T>, heap[child] as Timed<T>))
        child = right;
      if (!isBefore(heap[child] as Timed<T>, last)) break;
      heap[i] = heap[child] as Timed<T>;
      i = child;
    }
    heap[i] = last;
    return first;
  }
}

function isBefore<T>(a: Timed<T>, b: Timed<T>): boolean {
  return a.atUs < b.atUs || (a.atUs === b.atUs && a.order < b.order);
}
