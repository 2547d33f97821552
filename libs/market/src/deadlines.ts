/**
 * Timers of the reducer: named deadlines on the monotonic clock in a binary heap. Setting a name
 * again moves it; stale heap entries are skipped when they surface. Ties fire in the order set.
 */
interface Entry {
  readonly atMs: number;
  readonly order: number;
  readonly name: string;
}

const before = (a: Entry, b: Entry): boolean =>
  a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

export class Deadlines {
  readonly #live = new Map<string, Entry>();
  #heap: Entry[] = [];
  #count = 0;

  get size(): number {
    return this.#live.size;
  }

  set(name: string, atMs: number): void {
    const entry = { atMs, order: this.#count++, name };
    this.#live.set(name, entry);
    this.#push(entry);
    // Stale entries never outnumber the live ones by more than a constant factor.
    if (this.#heap.length > 64 + 4 * this.#live.size) this.#rebuild();
  }

  /** Sets the deadline unless an earlier one of that name stands. */
  setEarlier(name: string, atMs: number): void {
    const live = this.#live.get(name);
    if (!live || live.atMs > atMs) this.set(name, atMs);
  }

  has(name: string): boolean {
    return this.#live.has(name);
  }

  /** When it falls due, if it is set. */
  at(name: string): number | undefined {
    return this.#live.get(name)?.atMs;
  }

  clear(name: string): void {
    this.#live.delete(name);
  }

  /** When the next deadline falls due, or undefined when there is none. */
  nextMs(): number | undefined {
    this.#dropStale();
    return this.#heap[0]?.atMs;
  }

  /** Removes and returns one name that is due. */
  take(nowMs: number): string | undefined {
    this.#dropStale();
    const first = this.#heap[0];
    if (!first || first.atMs > nowMs) return undefined;
    this.#pop();
    this.#live.delete(first.name);
    return first.name;
  }

  #dropStale(): void {
    for (let first = this.#heap[0]; first; first = this.#heap[0]) {
      if (this.#live.get(first.name) === first) return;
      this.#pop();
    }
  }

  #rebuild(): void {
    this.#heap = [];
    for (const entry of this.#live.values()) this.#push(entry);
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as Entry;
      if (!before(entry, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (!last || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right && before(right, heap[child] as Entry)) child++;
      if (!before(heap[child] as Entry, last)) break;
      heap[at] = heap[child] as Entry;
      at = child;
    }
    heap[at] = last;
  }
}
