/** Orders that found no room: by account, then by priority, then the oldest. */
import { PRIORITY_MAX } from './terms.ts';

interface Place {
  readonly account: string;
  readonly priority: number;
}

export class WaitingOrders {
  readonly #places = new Map<string, Place>();
  /** Account → orders of each priority, highest first. */
  readonly #byAccount = new Map<string, readonly Set<string>[]>();

  get size(): number {
    return this.#places.size;
  }

  get accounts(): Iterable<string> {
    return this.#byAccount.keys();
  }

  get accountCount(): number {
    return this.#byAccount.size;
  }

  has(order: string): boolean {
    return this.#places.has(order);
  }

  add(order: string, account: string, priority: number): void {
    if (this.#places.has(order)) return;
    this.#places.set(order, { account, priority });
    const lists =
      this.#byAccount.get(account) ??
      Array.from({ length: PRIORITY_MAX + 1 }, () => new Set<string>());
    lists[PRIORITY_MAX - priority]?.add(order);
    this.#byAccount.set(account, lists);
  }

  delete(order: string): boolean {
    const place = this.#places.get(order);
    if (!place) return false;
    this.#places.delete(order);
    const lists = this.#byAccount.get(place.account);
    lists?.[PRIORITY_MAX - place.priority]?.delete(order);
    if (lists?.every((list) => list.size === 0)) this.#byAccount.delete(place.account);
    return true;
  }

  countOf(account: string): number {
    return this.#byAccount.get(account)?.reduce((sum, list) => sum + list.size, 0) ?? 0;
  }

  /** One account's orders in the order in which they are to be served. */
  *of(account: string): Generator<string> {
    for (const list of this.#byAccount.get(account) ?? []) yield* list;
  }

  /** All, in no order that matters. */
  [Symbol.iterator](): Iterator<string> {
    return this.#places.keys();
  }
}
