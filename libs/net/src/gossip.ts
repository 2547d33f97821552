/**
 * Spreads items (blocks, transactions) over a network that is not fully meshed: pushed to a few
 * peers, announced to the others, who fetch what they lack. An item is validated by the host before
 * anybody else hears of it, and at most once.
 *
 * Everything is bounded: what was seen, what is kept for those who ask, what is asked for, how much
 * of one peer's is validated per second. Items may be lost when queues are full; whoever needs all of
 * them asks again from a certified list.
 */
import { sha256Hex } from '#libs/crypto';
import type { Bytes, Randomness } from '#libs/kernel';
import { BoundedMap } from './bounded-map.ts';
import { netError } from './errors.ts';
import { GOSSIP_IDS_MAX, type GossipCodec, createGossipCodec } from './gossip-messages.ts';
import { GossipOutbox } from './gossip-outbox.ts';
import { GossipWants } from './gossip-wants.ts';
import type { PeerKey, ProtocolRules, Transport } from './transport.ts';
import type { Timers } from './wire.ts';

/** `ignore`: not wanted here and now, and nobody's fault. `reject`: a lie; the peer is cut off. */
export type Verdict = 'accept' | 'ignore' | 'reject';

export interface GossipOptions {
  readonly transport: Transport;
  readonly protocol: Pick<ProtocolRules, 'id' | 'maxMessageBytes'>;
  readonly timers: Timers;
  readonly randomness: Randomness;
  /** Signature, chain, size: everything that must hold before an item is passed on. */
  readonly validate: (item: Bytes, peer: PeerKey) => Promise<Verdict> | Verdict;
  readonly maxItemBytes: number;
  /** Peers that get an item unasked. */
  readonly fanout: number;
  /** Who takes part; all linked peers if absent. */
  readonly isMember?: (peer: PeerKey) => boolean;
  /** Ids remembered. */
  readonly seenMax?: number;
  /** Bytes of items kept for peers that ask. */
  readonly keptBytes?: number;
  /** Items of one peer that are validated per second, with a burst of two seconds' worth. */
  readonly itemsPerSecond?: number;
  /** How long items are gathered into one message. */
  readonly batchMs?: number;
  /** How long one peer is given before an announced item is asked of another. */
  readonly pullMs?: number;
}

/** Counts since start. */
export interface GossipStats {
  readonly published: number;
  readonly accepted: number;
  readonly duplicates: number;
  readonly ignored: number;
  readonly rejected: number;
  /** Over the peer's rate, not looked at. */
  readonly overRate: number;
  readonly pulled: number;
  readonly keptBytes: number;
}

export interface Gossip {
  /** Spreads an own item; the host has validated it. Its id, SHA-256 of its bytes. */
  publish(item: Bytes): string;
  has(id: string): boolean;
  stats(): GossipStats;
  close(): void;
}

const BURST_SECONDS = 2;

class GossipNode implements Gossip {
  readonly #options: GossipOptions;
  readonly #codec: GossipCodec;
  /** Ids seen, whatever became of them. */
  readonly #seen: BoundedMap<string, true>;
  readonly #kept: BoundedMap<string, Bytes>;
  readonly #wants: GossipWants;
  readonly #outbox: GossipOutbox;
  readonly #tokens = new Map<PeerKey, { tokens: number; atMs: number }>();
  readonly #stopListening: () => void;
  readonly #counts = {
    published: 0,
    accepted: 0,
    duplicates: 0,
    ignored: 0,
    rejected: 0,
    overRate: 0,
    pulled: 0,
  };

  constructor(options: GossipOptions) {
    const { transport, timers, maxItemBytes } = options;
    const { id: protocol, maxMessageBytes } = options.protocol;
    this.#options = options;
    this.#codec = createGossipCodec(maxItemBytes, maxMessageBytes);
    this.#seen = new BoundedMap(options.seenMax ?? 100_000);
    this.#kept = new BoundedMap(options.keptBytes ?? 32 * 1024 * 1024, ({ length }) => length + 64);
    this.#outbox = new GossipOutbox({
      timers,
      batchMs: options.batchMs ?? 5,
      batchBytes: Math.min(128 * 1024, maxMessageBytes / 2),
      send: (peer, message) => transport.send(peer, protocol, this.#codec.encode(message)),
    });
    this.#wants = new GossipWants({
      timers,
      pullMs: options.pullMs ?? 500,
      ask: (peer, ids) => {
        this.#counts.pulled += ids.length;
        transport.send(peer, protocol, this.#codec.encode({ kind: 'want', ids }));
      },
    });
    transport.onMessage(protocol, (peer, bytes) => this.#onMessage(peer, bytes));
    this.#stopListening = transport.onPeer(({ kind, peer }) => {
      if (kind === 'up') return this.#greet(peer);
      this.#outbox.forget(peer);
      this.#wants.forget(peer);
      this.#tokens.delete(peer);
    });
    for (const peer of transport.peers()) this.#greet(peer);
  }

  publish(item: Bytes): string {
    const id = sha256Hex(item);
    if (this.#seen.has(id)) return id;
    this.#counts.published++;
    this.#seen.set(id, true);
    this.#spread(id, item);
    return id;
  }

  has(id: string): boolean {
    return this.#kept.has(id);
  }

  stats(): GossipStats {
    return { ...this.#counts, keptBytes: this.#kept.weight };
  }

  close(): void {
    this.#stopListening();
    this.#outbox.close();
    this.#wants.close();
  }

  #isMember(peer: PeerKey): boolean {
    return this.#options.isMember?.(peer) ?? true;
  }

  /** Tells a new neighbour what there is, so that it can fetch what it missed. */
  #greet(peer: PeerKey): void {
    if (!this.#isMember(peer)) return;
    const ids = [...this.#kept.keys()].slice(-GOSSIP_IDS_MAX);
    for (const id of ids) this.#outbox.announce(peer, id);
  }

  #spread(id: string, item: Bytes, from?: PeerKey): void {
    this.#kept.set(id, item);
    const { transport, fanout, randomness } = this.#options;
    const peers = transport.peers().filter((peer) => peer !== from && this.#isMember(peer));
    // A random start in a ring: every peer is as likely to be pushed to as every other.
    const draw = new DataView(randomness.bytes(4).buffer).getUint32(0);
    for (let i = 0; i < peers.length; i++) {
      const peer = peers[(draw + i) % peers.length] as PeerKey;
      if (this.#outbox.knows(peer, id)) continue;
      if (i < fanout) this.#outbox.push(peer, id, item);
      else this.#outbox.announce(peer, id);
    }
  }

  #onMessage(peer: PeerKey, bytes: Bytes): Promise<void> | undefined {
    if (!this.#isMember(peer)) return undefined;
    const message = this.#codec.decode(bytes);
    if (message.kind === 'push') return this.#onItems(peer, message.items);
    if (message.kind === 'have') {
      for (const id of message.ids) {
        this.#outbox.noteKnown(peer, id);
        if (!this.#seen.has(id)) this.#wants.announced(peer, id);
      }
      return undefined;
    }
    for (const id of message.ids) {
      const item = this.#kept.get(id);
      if (item) this.#outbox.push(peer, id, item);
    }
    return undefined;
  }

  async #onItems(peer: PeerKey, items: readonly Bytes[]): Promise<void> {
    await Promise.all(items.map((item) => this.#onItem(peer, item)));
  }

  async #onItem(peer: PeerKey, item: Bytes): Promise<void> {
    const id = sha256Hex(item);
    this.#outbox.noteKnown(peer, id);
    this.#wants.arrived(id);
    if (this.#seen.has(id)) {
      this.#counts.duplicates++;
      return;
    }
    if (!this.#isWithinRate(peer)) {
      this.#counts.overRate++;
      return;
    }
    this.#seen.set(id, true);
    const verdict = await this.#options.validate(item, peer);
    if (verdict === 'accept') {
      this.#counts.accepted++;
      this.#spread(id, item, peer);
    } else if (verdict === 'ignore') this.#counts.ignored++;
    else {
      this.#counts.rejected++;
      throw netError('NET_SYNC_INVALID', `item ${id} does not verify`);
    }
  }

  #isWithinRate(peer: PeerKey): boolean {
    const { itemsPerSecond = 20_000, timers } = this.#options;
    const nowMs = timers.nowMs();
    const burst = itemsPerSecond * BURST_SECONDS;
    const bucket = this.#tokens.get(peer) ?? { tokens: burst, atMs: nowMs };
    this.#tokens.set(peer, bucket);
    bucket.tokens = Math.min(
      burst,
      bucket.tokens + ((nowMs - bucket.atMs) * itemsPerSecond) / 1000,
    );
    bucket.atMs = nowMs;
    if (bucket.tokens < 1) return false;
    bucket.tokens--;
    return true;
  }
}

/** @throws NET_PROTOCOL_UNKNOWN */
export function createGossip(options: GossipOptions): Gossip {
  return new GossipNode(options);
}
