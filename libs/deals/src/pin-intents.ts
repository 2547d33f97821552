/**
 * What may be pinned for a shard that is not kept yet. Written before anything is pinned: after a kill
 * the pin is found again, and taken off when the shard never becomes this provider's.
 */
import { type KeyValueStore, utf8, utf8Decode } from '#libs/kernel';
import type { BlobStore } from '#libs/storage';

const keyOf = (name: string, cid: string) => utf8(`intent/${name}/${cid}`);
const MARK = new Uint8Array([1]);

export class PinIntents {
  readonly #store: KeyValueStore;
  readonly #blobs: BlobStore;
  /** CIDs by the name of the shard. */
  readonly #open = new Map<string, Set<string>>();

  constructor(store: KeyValueStore, blobs: BlobStore) {
    this.#store = store;
    this.#blobs = blobs;
    for (const [key] of store.range({ start: utf8('intent/'), end: utf8('intent0') })) {
      const [, deal, index, cid] = utf8Decode(key).split('/') as [string, string, string, string];
      this.#add(`${deal}/${index}`, cid);
    }
  }

  #add(name: string, cid: string): void {
    this.#open.set(name, (this.#open.get(name) ?? new Set()).add(cid));
  }

  /** Durable when it resolves; then the content may be pinned. */
  async begin(name: string, cid: string): Promise<void> {
    await this.#store.commit([{ key: keyOf(name, cid), value: MARK }]);
    this.#add(name, cid);
  }

  /** To be committed with the record of a shard that is kept now: the pin is that one's. */
  ended(name: string, cid: string): { readonly key: Uint8Array; readonly value: null } {
    this.#open.get(name)?.delete(cid);
    return { key: keyOf(name, cid), value: null };
  }

  /** Takes off pins of shards that will not be kept. @param isKept whether another shard needs the content */
  async undo(isOver: (name: string) => boolean, isKept: (cid: string) => boolean): Promise<void> {
    for (const [name, cids] of this.#open) {
      if (!isOver(name)) continue;
      for (const cid of cids) {
        if (!isKept(cid)) await this.#blobs.unpin(cid);
        await this.#store.commit([this.ended(name, cid)]);
      }
      this.#open.delete(name);
    }
  }
}
