/**
 * Catching up by blocks: a node that hears of heights it has not asks one peer after the other for
 * cuts with their COMMITs and blocks with their certificates, and takes over what both certify.
 */
import { type Clock, type KeyValueReader, isSeeleError } from '#libs/kernel';
import type { Chain } from '#libs/ledger';
import { NODE_PROTOCOLS, type Transport } from '#libs/net';
import {
  SYNC_ITEMS_MAX,
  type SyncItem,
  cutKey,
  decodeCut,
  decodeSync,
  encodeSync,
} from './wire.ts';

/** A node this much behind catches up by blocks; less comes in by consensus itself. */
const BEHIND_MIN = 2;
/** Blocks of one answer, so that it stays within a message. */
const ANSWER_BYTES = 3 * 1024 * 1024;
const PATIENCE_MS = 1_000;
/** One height behind is caught up when nothing has moved for so long. */
const STUCK_MS = 1_000;

export interface BlockSyncOptions {
  readonly chain: Chain;
  readonly store: KeyValueReader;
  readonly transport: Transport;
  readonly clock: Clock;
  /** Hands over one height, in ascending order. */
  readonly onItem: (item: SyncItem, peer: string) => void;
}

export class BlockSync {
  readonly #options: BlockSyncOptions;
  readonly #heights = new Map<string, number>();
  #askedAtMs = Number.NEGATIVE_INFINITY;
  /** Heights up to here have been asked for or received: no need to ask while they are taken over. */
  #comesUpTo = 0;
  #movedAtMs: number;
  #turn = 0;

  constructor(options: BlockSyncOptions) {
    this.#options = options;
    this.#movedAtMs = options.clock.monotonicMs();
    const { transport } = options;
    transport.onMessage(NODE_PROTOCOLS.sync.id, (peer, bytes) => this.#onMessage(peer, bytes));
    transport.onPeer(({ kind, peer }) => {
      if (kind === 'down') this.#heights.delete(peer);
    });
  }

  get #height(): number {
    return this.#options.chain.head.header.height;
  }

  get #movedOrAskedMs(): number {
    return Math.max(this.#movedAtMs, this.#askedAtMs);
  }

  /** How far the farthest peer is. */
  get seenHeight(): number {
    return Math.max(this.#height, ...this.#heights.values());
  }

  /** A peer says how far it is. */
  heard(peer: string, height: number): void {
    if (height > (this.#heights.get(peer) ?? 0)) this.#heights.set(peer, height);
    this.look();
  }

  /** A block was stored here. */
  moved(): void {
    this.#movedAtMs = this.#options.clock.monotonicMs();
    this.look();
  }

  /** What came from this height on is not to be taken over: asks again, somebody else. */
  refused(height: number): void {
    this.#comesUpTo = Math.min(this.#comesUpTo, height - 1);
    this.look();
  }

  /** Asks if there is something to ask for. To be called now and then. */
  look(): void {
    const { clock, transport } = this.#options;
    const nowMs = clock.monotonicMs();
    const height = this.#height;
    const isWaiting = height < this.#comesUpTo && nowMs < this.#movedOrAskedMs + PATIENCE_MS;
    if (isWaiting || nowMs < this.#askedAtMs + 20) return;
    const behind = nowMs > this.#movedAtMs + STUCK_MS ? 1 : BEHIND_MIN;
    const ahead = [...this.#heights].filter(([, of]) => of >= height + behind);
    const [peer] = ahead[this.#turn++ % Math.max(1, ahead.length)] ?? [];
    if (peer === undefined) return;
    this.#askedAtMs = nowMs;
    this.#comesUpTo = height + 1;
    transport.send(peer, NODE_PROTOCOLS.sync.id, encodeSync({ kind: 'ask', from: height + 1 }));
  }

  #onMessage(peer: string, bytes: Uint8Array): void {
    const message = decodeSync(bytes);
    if (message.kind === 'ask') return this.#serve(peer, message.from);
    for (const item of message.items) {
      this.#comesUpTo = Math.max(this.#comesUpTo, item.block.header.height);
      this.#options.onItem(item, peer);
    }
  }

  #serve(peer: string, from: number): void {
    const { chain, store, transport } = this.#options;
    const items: SyncItem[] = [];
    let sizeBytes = 0;
    for (let height = Math.max(1, from); items.length < SYNC_ITEMS_MAX; height++) {
      const block = chain.block(height);
      const cut = store.get(cutKey(height));
      if (!block || !cut) break;
      sizeBytes += cut.length + 4_096;
      for (const { length } of block.transactions) sizeBytes += length + 8;
      if (items.length > 0 && sizeBytes > ANSWER_BYTES) break;
      items.push({ cut: decodeCut(cut), block });
    }
    if (items.length === 0) return;
    try {
      transport.send(peer, NODE_PROTOCOLS.sync.id, encodeSync({ kind: 'blocks', items }));
    } catch (error) {
      // One block alone above the limit of a message: the peer needs the state, not blocks.
      if (!isSeeleError(error)) throw error;
    }
  }
}
