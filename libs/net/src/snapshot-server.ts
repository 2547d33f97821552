/** Serves frozen states of certified heights to nodes that would rather copy than replay. */
import { type Bytes, type KeyValueSnapshot, hexToBytes } from '#libs/kernel';
import { readStateRange } from '#libs/merkle';
import {
  ENTRIES_MAX,
  ENTRIES_TARGET_BYTES,
  LEAVES_MAX,
  OFFERS_MAX,
  type SnapshotOffer,
  decodeQuestion,
  encodeAnswer,
} from './snapshot-messages.ts';
import type { Timers } from './wire.ts';

/** Where the state lies in a store: its tree, and its entries from `start` to below `end`. */
export interface StateLayout {
  readonly treePrefix: Bytes;
  readonly entries: { readonly start: Bytes; readonly end: Bytes };
}

export interface SnapshotServerOptions {
  readonly layout: StateLayout;
  readonly timers: Timers;
  /** States kept at a time; each holds old pages of the database alive. */
  readonly keep?: number;
  /** A state that nobody asked about for so long is let go. */
  readonly idleMs?: number;
  /** Leaves and entries per answer, at most `LEAVES_MAX` and `ENTRIES_MAX`. */
  readonly leavesAtOnce?: number;
  readonly entriesAtOnce?: number;
}

export interface SnapshotServer {
  /** Serves this state from now on and lets the oldest go. The snapshot is closed here. */
  offer(offer: SnapshotOffer, snapshot: KeyValueSnapshot): void;
  /**
   * The answer to a peer's question; undefined for a state that is not served.
   * @throws KERNEL_CBOR_INVALID, KERNEL_CBOR_LIMIT, KERNEL_SHAPE: not a question
   */
  answer(question: Bytes): Bytes | undefined;
  close(): void;
}

interface Served {
  readonly offer: SnapshotOffer;
  readonly snapshot: KeyValueSnapshot;
  usedAtMs: number;
}

export function createSnapshotServer({
  layout,
  timers,
  keep = 2,
  idleMs = 600_000,
  leavesAtOnce = LEAVES_MAX,
  entriesAtOnce = ENTRIES_MAX,
}: SnapshotServerOptions): SnapshotServer {
  const served = new Map<number, Served>();
  let isClosed = false;

  function drop(height: number): void {
    served.get(height)?.snapshot.close();
    served.delete(height);
  }

  function expireLater(): void {
    timers.after(idleMs / 4, () => {
      if (isClosed) return;
      for (const [height, { usedAtMs }] of [...served])
        if (timers.nowMs() - usedAtMs > idleMs) drop(height);
      expireLater();
    });
  }
  expireLater();

  function readEntries({ snapshot }: Served, from: Bytes): Bytes {
    const entries: { key: Bytes; value: Bytes }[] = [];
    let bytes = 0;
    let isLast = true;
    for (const [key, value] of snapshot.range({
      start: from,
      end: layout.entries.end,
      limit: entriesAtOnce + 1,
    })) {
      if (entries.length === entriesAtOnce || bytes >= ENTRIES_TARGET_BYTES) {
        isLast = false;
        break;
      }
      entries.push({ key: key.slice(), value: value.slice() });
      bytes += key.length + value.length;
    }
    return encodeAnswer({ kind: 'entries', entries, isLast });
  }

  return {
    offer(offer, snapshot) {
      drop(offer.height);
      served.set(offer.height, { offer, snapshot, usedAtMs: timers.nowMs() });
      const heights = [...served.keys()].sort((a, b) => b - a);
      for (const old of heights.slice(Math.min(keep, OFFERS_MAX))) drop(old);
    },
    answer(bytes) {
      const question = decodeQuestion(bytes);
      if (question.kind === 'offers') {
        const offers = [...served.values()].map(({ offer }) => offer);
        return encodeAnswer({ kind: 'offers', offers });
      }
      const state = served.get(question.height);
      if (!state) return undefined;
      state.usedAtMs = timers.nowMs();
      if (question.kind === 'leaves') {
        const from = hexToBytes(question.from) as Bytes;
        const range = readStateRange(state.snapshot, layout.treePrefix, from, leavesAtOnce);
        return encodeAnswer({ kind: 'leaves', range });
      }
      return readEntries(state, question.from);
    },
    close() {
      isClosed = true;
      for (const height of [...served.keys()]) drop(height);
    },
  };
}
