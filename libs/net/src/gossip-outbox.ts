/** Gathers what is to be told to each peer into few messages, and remembers what each one knows. */
import type { Bytes } from '#libs/kernel';
import { BoundedMap } from './bounded-map.ts';
import { GOSSIP_IDS_MAX, GOSSIP_ITEMS_MAX, type GossipMessage } from './gossip-messages.ts';
import type { PeerKey } from './transport.ts';
import type { Timers } from './wire.ts';

/** Ids remembered per peer. */
const KNOWN_MAX = 4096;

interface OutboxOptions {
  readonly timers: Timers;
  readonly batchMs: number;
  readonly batchBytes: number;
  readonly send: (peer: PeerKey, message: GossipMessage) => void;
}

interface Pending {
  items: Bytes[];
  bytes: number;
  ids: string[];
}

export class GossipOutbox {
  readonly #options: OutboxOptions;
  readonly #known = new Map<PeerKey, BoundedMap<string, true>>();
  readonly #pending = new Map<PeerKey, Pending>();
  #cancel: (() => void) | undefined;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  knows(peer: PeerKey, id: string): boolean {
    return this.#known.get(peer)?.has(id) ?? false;
  }

  noteKnown(peer: PeerKey, id: string): void {
    let known = this.#known.get(peer);
    if (!known) this.#known.set(peer, (known = new BoundedMap(KNOWN_MAX)));
    known.set(id, true);
  }

  push(peer: PeerKey, id: string, item: Bytes): void {
    this.noteKnown(peer, id);
    const pending = this.#of(peer);
    if (pending.bytes > 0 && pending.bytes + item.length > this.#options.batchBytes)
      this.#sendItems(peer, pending);
    pending.items.push(item);
    pending.bytes += item.length;
    if (pending.bytes >= this.#options.batchBytes || pending.items.length >= GOSSIP_ITEMS_MAX)
      this.#sendItems(peer, pending);
    this.#later();
  }

  announce(peer: PeerKey, id: string): void {
    const pending = this.#of(peer);
    pending.ids.push(id);
    if (pending.ids.length >= GOSSIP_IDS_MAX) this.#sendIds(peer, pending);
    this.#later();
  }

  forget(peer: PeerKey): void {
    this.#known.delete(peer);
    this.#pending.delete(peer);
  }

  close(): void {
    this.#cancel?.();
    this.#pending.clear();
  }

  #of(peer: PeerKey): Pending {
    let pending = this.#pending.get(peer);
    if (!pending) this.#pending.set(peer, (pending = { items: [], bytes: 0, ids: [] }));
    return pending;
  }

  #later(): void {
    this.#cancel ??= this.#options.timers.after(this.#options.batchMs, () => {
      this.#cancel = undefined;
      for (const [peer, pending] of this.#pending) {
        this.#sendItems(peer, pending);
        this.#sendIds(peer, pending);
      }
      this.#pending.clear();
    });
  }

  #sendItems(peer: PeerKey, pending: Pending): void {
    if (pending.items.length > 0) this.#options.send(peer, { kind: 'push', items: pending.items });
    pending.items = [];
    pending.bytes = 0;
  }

  #sendIds(peer: PeerKey, pending: Pending): void {
    // What it told us meanwhile need not be told back.
    const ids = pending.ids.filter((id) => !this.knows(peer, id));
    if (ids.length > 0) this.#options.send(peer, { kind: 'have', ids });
    pending.ids = [];
  }
}
