/**
 * Orders that found no room: by account, then by priority, then those for which most work waits that reads
 * their results, then the oldest.
 */
import { PRIORITY_MAX } from './terms.ts';

/** Classes of work that waits for an order: none, and then each of four times as much. */
const TAILS = 8;
const TAIL_STEP_MS = 250;

function tailOf(behindMs: number): number {
  if (behindMs <= 0) return 0;
  const steps = Math.floor(Math.log2(1 + behindMs / TAIL_STEP_MS) / 2);
  return Math.min(TAILS - 1, 1 + steps);
}

interface Place {
  readonly account: string;
  /** Of its list: the highest goes first. */
  readonly rank: number;
}

const RANKS = (PRIORITY_MAX + 1) * TAILS;

export class WaitingOrders {
  readonly #places = new Map<string, Place>();
  /** Account → orders of each rank, highest first; lists are made when they are needed. */
  readonly #byAccount = new Map<string, (Set<string> | undefined)[]>();

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

  /** `behindMs`: the longest way of work that waits for its result. */
  add(order: string, account: string, priority: number, behindMs = 0): void {
    if (this.#places.has(order)) return;
    const rank = priority * TAILS + tailOf(behindMs);
    this.#places.set(order, { account, rank });
    const lists = this.#byAccount.get(account) ?? [];
    const list = (lists[RANKS - rank] ??= new Set());
    list.add(order);
    this.#byAccount.set(account, lists);
  }

  delete(order: string): boolean {
    const place = this.#places.get(order);
    if (!place) return false;
    this.#places.delete(order);
    const lists = this.#byAccount.get(place.account) ?? [];
    lists[RANKS - place.rank]?.delete(order);
    if (lists.every((list) => !list || list.size === 0)) this.#byAccount.delete(place.account);
    return true;
  }

  countOf(account: string): number {
    return this.#byAccount.get(account)?.reduce((sum, list) => sum + (list?.size ?? 0), 0) ?? 0;
  }

  /** One account's orders in the order in which they are to be served. */
  *of(account: string): Generator<string> {
    for (const list of this.#byAccount.get(account) ?? []) if (list) yield* list;
  }

  /** All, in no order that matters. */
  [Symbol.iterator](): Iterator<string> {
    return this.#places.keys();
  }
}
