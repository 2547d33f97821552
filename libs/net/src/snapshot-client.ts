/**
 * Copies the state of a certified height from peers that may lie. First the tree, in ranges each of
 * which proves that nothing is left out, then the entries, each checked against the tree at once. A
 * piece is stored together with how far the copy has come, so it goes on after any interruption. Who
 * sends anything false is cut off, and its piece is asked of another.
 */
import {
  type Bytes,
  type KeyValueStore,
  type KeyValueWrite,
  bytesToHex,
  compareBytes,
  equalBytes,
  hexToBytes,
} from '#libs/kernel';
import { type StateLeaf, type StateRange, createStateTree, verifyStateRange } from '#libs/merkle';
import { netError } from './errors.ts';
import type { SnapshotAnswerOf, SnapshotOffer } from './snapshot-messages.ts';
import { SnapshotPeers, type SnapshotPeersOptions } from './snapshot-peers.ts';
import {
  SEGMENTS,
  type SnapshotProgress,
  encodeProgress,
  readProgress,
  segmentStart,
} from './snapshot-progress.ts';
import type { StateLayout } from './snapshot-server.ts';
import type { PeerKey } from './transport.ts';

export interface SnapshotClientOptions extends Omit<SnapshotPeersOptions, 'giveUpMs'> {
  /** Holds nothing of a chain yet, or an unfinished copy. */
  readonly store: KeyValueStore;
  readonly layout: StateLayout;
  /** Where the copy's progress lies in the store. The host deletes it when it begins the chain. */
  readonly progressKey: Bytes;
  /** Where an entry belongs in the tree; undefined for what is no entry. */
  readonly leafOf: (key: Bytes, value: Bytes) => StateLeaf | undefined;
  /** Whether the anchor certifies this root at this height, from what the host trusts. */
  readonly isCertified: (offer: SnapshotOffer) => boolean;
  /** Heights below are not worth copying. */
  readonly minHeight?: number;
  readonly giveUpMs?: number;
  readonly onProgress?: (progress: { readonly leaves: number; readonly entries: number }) => void;
}

const GIVE_UP_MS = 60_000;
const CLEAR_BATCH = 10_000;
/** How often peers are asked for a state that was begun before another one is taken. */
const ROUNDS_FOR_BEGUN = 6;
/** Ranges asked for at a time. */
const WORKERS = 4;

interface Source {
  readonly from: Bytes;
  readonly peer: PeerKey;
}

class SnapshotCopy {
  readonly #options: SnapshotClientOptions;
  readonly #peers: SnapshotPeers;
  #tree;
  #progress: SnapshotProgress;
  /** Commits happen one after the other. */
  #commits: Promise<void> = Promise.resolve();
  /** Who sent the entries from which key on, in this run. */
  readonly #sources: Source[] = [];

  constructor(options: SnapshotClientOptions, peers: SnapshotPeers, progress: SnapshotProgress) {
    this.#options = options;
    this.#peers = peers;
    this.#progress = progress;
    this.#tree = createStateTree({ reader: options.store, keyPrefix: options.layout.treePrefix });
  }

  async run(): Promise<void> {
    await this.#copyTree();
    await this.#copyEntries();
  }

  // The tree.

  async #copyTree(): Promise<void> {
    const open = this.#progress.segments.flatMap((from, i) => (from === null ? [] : [i]));
    const work = async (): Promise<void> => {
      for (let segment = open.shift(); segment !== undefined; segment = open.shift())
        await this.#copySegment(segment);
    };
    const results = await Promise.allSettled(Array.from({ length: WORKERS }, work));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    const { root } = this.#progress.offer;
    if (this.#tree.root !== root)
      throw netError('NET_SYNC_FAILED', `the copied tree has root ${this.#tree.root}, not ${root}`);
  }

  async #copySegment(segment: number): Promise<void> {
    const { offer } = this.#progress;
    for (;;) {
      const from = this.#progress.segments[segment];
      if (from === null || from === undefined) return;
      const start = hexToBytes(from) as Bytes;
      const { found } = await this.#peers.find(
        { kind: 'leaves', height: offer.height, from },
        ({ range }) => verifyStateRange(offer.root, start, range),
      );
      await this.#inTurn(() => this.#storeLeaves(segment, found));
    }
  }

  async #storeLeaves(segment: number, range: StateRange): Promise<void> {
    const end = segment + 1 < SEGMENTS ? (hexToBytes(segmentStart(segment + 1)) as Bytes) : null;
    const isInside = (key: Bytes): boolean => end === null || compareBytes(key, end) < 0;
    const leaves = range.leaves.filter(({ key }) => isInside(key));
    for (const { key, valueHash } of leaves) this.#tree.update(key, valueHash);
    const next = range.next && isInside(range.next) ? bytesToHex(range.next) : null;
    const { writes } = this.#tree.commit();
    await this.#commit(writes, {
      ...this.#progress,
      segments: this.#progress.segments.map((from, i) => (i === segment ? next : from)),
      leaves: this.#progress.leaves + leaves.length,
    });
  }

  #inTurn(action: () => Promise<void>): Promise<void> {
    const mine = this.#commits.then(action);
    this.#commits = mine.catch(() => undefined);
    return mine;
  }

  async #commit(writes: readonly KeyValueWrite[], progress: SnapshotProgress): Promise<void> {
    const { store, progressKey, onProgress } = this.#options;
    await store.commit([...writes, { key: progressKey, value: encodeProgress(progress) }]);
    this.#progress = progress;
    onProgress?.(progress);
  }

  // The entries.

  async #copyEntries(): Promise<void> {
    while (this.#progress.entriesFrom !== null) {
      const from = this.#progress.entriesFrom;
      const { peer, found } = await this.#peers.find(this.#question(from), (answer) =>
        this.#checked(from, answer),
      );
      this.#sources.push({ from, peer });
      await this.#storeEntries(found, found.isLast ? null : nextKey(found));
    }
    if (this.#progress.entries === this.#progress.leaves) return;
    await this.#findOmitted();
    const { entries, leaves, offer } = this.#progress;
    if (entries === leaves) return;
    throw netError(
      'NET_SYNC_FAILED',
      `peers gave ${entries} of the ${leaves} entries of height ${offer.height}`,
    );
  }

  #question(from: Bytes) {
    return { kind: 'entries', height: this.#progress.offer.height, from } as const;
  }

  #checked(from: Bytes, answer: SnapshotAnswerOf<'entries'>) {
    return this.#areGenuine(from, answer) ? answer : undefined;
  }

  #areGenuine(from: Bytes, { entries, isLast }: SnapshotAnswerOf<'entries'>): boolean {
    const { layout, leafOf } = this.#options;
    if (entries.length === 0) return isLast;
    let before: Bytes | undefined;
    for (const { key, value } of entries) {
      const isPlaced = before ? compareBytes(before, key) < 0 : compareBytes(from, key) <= 0;
      if (!isPlaced || compareBytes(key, layout.entries.end) >= 0) return false;
      before = key;
      const leaf = leafOf(key, value);
      const expected = leaf && this.#tree.get(leaf.key);
      if (!leaf || !expected || !equalBytes(expected, leaf.valueHash)) return false;
    }
    return true;
  }

  async #storeEntries(
    { entries }: SnapshotAnswerOf<'entries'>,
    entriesFrom: Bytes | null,
  ): Promise<void> {
    const { store } = this.#options;
    const fresh = entries.filter(({ key }) => store.get(key) === undefined);
    await this.#commit(fresh, {
      ...this.#progress,
      entriesFrom,
      entries: this.#progress.entries + fresh.length,
    });
  }

  /**
   * Somebody left entries out. One peer after the other is asked for all of them: an entry that it has
   * shows who left it out, and if it has not all of them either it lies itself.
   */
  async #findOmitted(): Promise<void> {
    const { layout, store } = this.#options;
    const isWhole = (): boolean => this.#progress.entries === this.#progress.leaves;
    const sourceOf = (key: Bytes) =>
      this.#sources.findLast(({ from }) => compareBytes(from, key) <= 0)?.peer;
    for (const peer of this.#peers.usable()) {
      for (let from: Bytes | undefined = layout.entries.start; from && !isWhole();) {
        const start: Bytes = from;
        const found: SnapshotAnswerOf<'entries'> | undefined = await this.#peers.askOne(
          peer,
          this.#question(start),
          (answer) => this.#checked(start, answer),
        );
        if (!found) break;
        for (const { key } of found.entries) {
          const source = sourceOf(key);
          if (source !== undefined && source !== peer && store.get(key) === undefined)
            this.#peers.accuse(source, `left out entry ${bytesToHex(key)}`);
        }
        await this.#storeEntries(found, null);
        from = found.isLast ? undefined : nextKey(found);
        if (!from && !isWhole()) this.#peers.accuse(peer, 'left entries out');
      }
      if (isWhole()) return;
    }
  }
}

function nextKey({ entries }: SnapshotAnswerOf<'entries'>): Bytes {
  const last = (entries.at(-1) as { readonly key: Bytes }).key;
  const next = new Uint8Array(last.length + 1);
  next.set(last);
  return next;
}

async function clear({ store, layout, progressKey }: SnapshotClientOptions): Promise<void> {
  const { treePrefix, entries } = layout;
  const treeEnd = treePrefix.slice();
  treeEnd[treeEnd.length - 1] = (treeEnd.at(-1) as number) + 1;
  await store.commit([{ key: progressKey, value: null }]);
  for (const range of [entries, { start: treePrefix, end: treeEnd }])
    for (;;) {
      const keys = [...store.range({ ...range, limit: CLEAR_BATCH })].map(([key]) => key);
      if (keys.length === 0) break;
      await store.commit(keys.map((key) => ({ key, value: null })));
    }
}

const isSame = (a: SnapshotOffer, b: SnapshotOffer): boolean =>
  a.height === b.height && a.root === b.root;

/** The copy to go on with, or the highest certified state to begin with. */
async function choose(
  options: SnapshotClientOptions,
  peers: SnapshotPeers,
): Promise<SnapshotProgress> {
  const { timers, isCertified, minHeight = 1, store, progressKey, layout } = options;
  const giveUpMs = options.giveUpMs ?? GIVE_UP_MS;
  const begun = readProgress(store.get(progressKey));
  const sinceMs = timers.nowMs();
  for (let round = 0; ; round++) {
    const offers = [...(await peers.offers())];
    if (begun && offers.some(({ offer }) => isSame(offer, begun.offer))) return begun;
    // Whoever has what was begun may not be linked yet.
    if (begun && round < ROUNDS_FOR_BEGUN) {
      await peers.pause();
      continue;
    }
    offers.sort((a, b) => b.offer.height - a.offer.height);
    for (const { peer, offer } of offers) {
      if (offer.height < minHeight) continue;
      if (!isCertified(offer)) {
        peers.accuse(peer, `height ${offer.height} is not certified`);
        continue;
      }
      await clear(options);
      return {
        offer,
        segments: Array.from({ length: SEGMENTS }, (_, i) => segmentStart(i)),
        leaves: 0,
        entriesFrom: layout.entries.start,
        entries: 0,
      };
    }
    if (timers.nowMs() - sinceMs >= giveUpMs)
      throw netError('NET_SYNC_FAILED', `no certified state offered in ${giveUpMs} ms`);
    await peers.pause();
  }
}

/**
 * Copies the highest certified state that peers offer, or goes on with the copy that was begun.
 * When it resolves the store holds tree and entries whole, and `progressKey` still: the host begins
 * the chain there and deletes it in one commit.
 * @throws NET_SYNC_FAILED, after which calling it again goes on
 */
export async function copySnapshot(options: SnapshotClientOptions): Promise<SnapshotOffer> {
  const peers = new SnapshotPeers({ ...options, giveUpMs: options.giveUpMs ?? GIVE_UP_MS });
  const progress = await choose(options, peers);
  await new SnapshotCopy(options, peers, progress).run();
  return progress.offer;
}
