/**
 * The key-value port in memory, over a simulated disk that can lose power: what was committed stays,
 * what was being committed is stored whole or not at all, as the seed decides. For tests and
 * simulations.
 */
import {
  type Bytes,
  type KeyRange,
  type KeyValueReader,
  type KeyValueSnapshot,
  type KeyValueStore,
  type KeyValueWrite,
  type Randomness,
} from '#libs/kernel';
import { storeError } from './errors.ts';

type Entries = Map<string, { readonly key: Bytes; readonly value: Bytes }>;

/** One character per byte: text order is byte order. */
function keyText(key: Bytes): string {
  let out = '';
  for (let i = 0; i < key.length; i++) out += String.fromCharCode(key[i] as number);
  return out;
}

/** Ordered view of a map; sorting waits until somebody asks for a range. */
class OrderedEntries {
  readonly entries: Entries = new Map();
  #sorted: string[] | undefined;

  write(writes: readonly KeyValueWrite[]): void {
    for (const { key, value } of writes) {
      const text = keyText(key);
      if (value === null) {
        if (this.entries.delete(text)) this.#sorted = undefined;
        continue;
      }
      if (!this.entries.has(text)) this.#sorted = undefined;
      this.entries.set(text, { key: key.slice(), value: value.slice() });
    }
  }

  /** Keys from `start` to below `end`, in order. */
  keys(start: string, end: string): string[] {
    const sorted = (this.#sorted ??= [...this.entries.keys()].sort());
    const bound = (text: string): number => {
      let low = 0;
      let high = sorted.length;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if ((sorted[middle] as string) < text) low = middle + 1;
        else high = middle;
      }
      return low;
    };
    return sorted.slice(bound(start), bound(end));
  }
}

/** Values that a snapshot keeps although they were overwritten since; undefined: did not exist. */
type Overwritten = Map<string, { readonly key: Bytes; readonly value: Bytes } | undefined>;

function readerOf(
  disk: OrderedEntries,
  check: () => void,
  overwritten: Overwritten = new Map(),
): KeyValueReader {
  const entryOf = (text: string) =>
    overwritten.has(text) ? overwritten.get(text) : disk.entries.get(text);
  return {
    get(key) {
      check();
      return entryOf(keyText(key))?.value.slice();
    },
    *range(range: KeyRange) {
      check();
      const start = keyText(range.start);
      const end = keyText(range.end);
      const old = [...overwritten.keys()].filter((text) => text >= start && text < end);
      const current = disk.keys(start, end);
      const keys = old.length === 0 ? current : [...new Set([...current, ...old])].sort();
      if (range.reverse) keys.reverse();
      let left = range.limit ?? Number.POSITIVE_INFINITY;
      for (const text of keys) {
        if (left <= 0) return;
        const entry = entryOf(text);
        if (entry === undefined) continue;
        left--;
        yield [entry.key.slice(), entry.value.slice()] as const;
      }
    },
  };
}

/** A disk that outlives the stores opened on it. */
export interface SimulatedDisk {
  /** Opens what is on the disk. An earlier store must be closed or crashed. */
  open(): KeyValueStore;
  /**
   * Cuts the power: the open store is dead, commits that were under way never answer and are stored
   * whole or not at all, in order, as the randomness decides.
   */
  crash(): void;
  /** The next commit rejects; whether it was stored nevertheless is decided the same way. */
  failNextCommit(): void;
}

interface PendingCommit {
  readonly writes: readonly KeyValueWrite[];
  readonly settle: () => void;
}

/**
 * @param randomness decides what a crash keeps of an unfinished commit
 * @param latency resolves when a commit has reached the disk; default: the next microtask
 */
export function createSimulatedDisk(
  randomness: Randomness,
  latency: () => Promise<void> = () => Promise.resolve(),
): SimulatedDisk {
  const disk = new OrderedEntries();
  const snapshots = new Set<Overwritten>();
  let pending: PendingCommit[] = [];
  let generation = 0;
  let failNext = false;

  const store = (writes: readonly KeyValueWrite[]): void => {
    for (const overwritten of snapshots)
      for (const { key } of writes) {
        const text = keyText(key);
        if (!overwritten.has(text)) overwritten.set(text, disk.entries.get(text));
      }
    disk.write(writes);
  };
  const isLucky = (): boolean => ((randomness.bytes(1)[0] as number) & 1) === 1;

  const openStore = (): KeyValueStore => {
    const mine = ++generation;
    let failure: Error | undefined;
    const check = (): void => {
      if (failure) throw failure;
      if (mine !== generation) throw storeError('STORE_CLOSED', 'the simulated disk lost power');
    };
    return {
      ...readerOf(disk, check),
      async commit(writes) {
        check();
        // Copied now: a caller may reuse its buffers.
        const copy = writes.map(({ key, value }) => ({
          key: key.slice(),
          value: value?.slice() ?? null,
        }));
        if (failNext) {
          failNext = false;
          if (isLucky()) store(copy);
          failure = storeError('STORE_WRITE', 'simulated input/output error');
          throw failure;
        }
        await new Promise<void>((resolve) => {
          const commit = { writes: copy, settle: resolve };
          pending.push(commit);
          void latency().then(() => {
            // Gone from the list: the power was cut meanwhile and the answer never comes.
            while (pending.includes(commit)) {
              const next = pending.shift() as PendingCommit;
              store(next.writes);
              next.settle();
            }
          });
        });
      },
      snapshot(): KeyValueSnapshot {
        check();
        const overwritten: Overwritten = new Map();
        snapshots.add(overwritten);
        let isOpen = true;
        const checkOpen = (): void => {
          check();
          if (!isOpen) throw storeError('STORE_CLOSED', 'the snapshot is closed');
        };
        return {
          ...readerOf(disk, checkOpen, overwritten),
          close() {
            isOpen = false;
            snapshots.delete(overwritten);
          },
        };
      },
      async close() {
        failure ??= storeError('STORE_CLOSED', 'the store is closed');
        await Promise.resolve();
      },
    };
  };

  return {
    open: openStore,
    crash() {
      generation++;
      snapshots.clear();
      const unfinished = pending;
      pending = [];
      for (const { writes } of unfinished) {
        if (!isLucky()) return;
        store(writes);
      }
    },
    failNextCommit() {
      failNext = true;
    },
  };
}

/** A store that lives and dies with its process. */
export function createMemoryStore(): KeyValueStore {
  return createSimulatedDisk({ bytes: (length) => new Uint8Array(length) }).open();
}
