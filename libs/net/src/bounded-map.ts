/** A map that forgets its oldest entries when it gets too heavy. */
export class BoundedMap<K, V> {
  readonly #map = new Map<K, V>();
  readonly #max: number;
  readonly #weigh: (value: V) => number;
  #weight = 0;

  /** `max` in what `weigh` counts; by default every entry weighs 1. */
  constructor(max: number, weigh: (value: V) => number = () => 1) {
    this.#max = max;
    this.#weigh = weigh;
  }

  get weight(): number {
    return this.#weight;
  }
  get size(): number {
    return this.#map.size;
  }
  has(key: K): boolean {
    return this.#map.has(key);
  }
  get(key: K): V | undefined {
    return this.#map.get(key);
  }
  keys(): IterableIterator<K> {
    return this.#map.keys();
  }

  /** Puts the entry at the young end. */
  set(key: K, value: V): void {
    this.delete(key);
    this.#map.set(key, value);
    this.#weight += this.#weigh(value);
    while (this.#weight > this.#max) {
      const oldest = this.#map.keys().next();
      if (oldest.done) return;
      this.delete(oldest.value);
    }
  }

  delete(key: K): boolean {
    const value = this.#map.get(key);
    if (value === undefined) return false;
    this.#weight -= this.#weigh(value);
    return this.#map.delete(key);
  }
}
