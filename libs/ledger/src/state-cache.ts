/**
 * Committed entries that were read or written last, in front of the store. A transfer asks for the same
 * three entries when it is admitted, when it is executed and after its block; a lookup in the store
 * costs more than all that is done with the answer.
 *
 * Only entries of the contracts named at the start, and only small ones, so the memory is bounded. What
 * a block changes is put in when it is stored and not before: the cache never shows what may be undone.
 */
import type { Bytes } from '#libs/kernel';
import { type StateChange, type StateReader, keyText } from './journal.ts';

export interface StateCache extends StateReader {
  /** Notes what a block that is stored now has changed. */
  committed(changes: readonly StateChange[]): void;
}

/** Entries per contract, about 250 bytes each. */
const DEFAULT_ENTRIES_MAX = 65_536;
const VALUE_MAX_BYTES = 128;

/** Two generations: a full young one becomes the old one, and what is asked for again moves back. */
class RecentEntries {
  readonly #half: number;
  #young = new Map<string, Bytes | null>();
  #old = new Map<string, Bytes | null>();

  constructor(capacity: number) {
    this.#half = Math.max(1, capacity >> 1);
  }

  /** Null for a key that holds nothing, undefined for one that is not known here. */
  get(key: string): Bytes | null | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: string, value: Bytes | null): void {
    if (this.#young.size >= this.#half) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }

  forget(key: string): void {
    this.#young.delete(key);
    this.#old.delete(key);
  }
}

export function createStateCache(
  reader: StateReader,
  contracts: Iterable<string>,
  entriesMax: number = DEFAULT_ENTRIES_MAX,
): StateCache {
  const recent = new Map<string, RecentEntries>();
  for (const contract of contracts) recent.set(contract, new RecentEntries(entriesMax));
  const isSmall = (value: Bytes | undefined) =>
    value === undefined || value.length <= VALUE_MAX_BYTES;
  return {
    get(contract, key, text = keyText(key)) {
      const entries = recent.get(contract);
      if (entries === undefined) return reader.get(contract, key);
      const known = entries.get(text);
      if (known !== undefined) return known ?? undefined;
      const value = reader.get(contract, key);
      if (isSmall(value)) entries.set(text, value ?? null);
      return value;
    },
    scan: (contract, prefix, cursor) => reader.scan(contract, prefix, cursor),
    committed(changes) {
      for (const { contract, text, after } of changes) {
        const entries = recent.get(contract);
        if (entries === undefined) continue;
        if (isSmall(after)) entries.set(text, after ?? null);
        else entries.forget(text);
      }
    },
  };
}
