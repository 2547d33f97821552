/**
 * Transactions that other validators took and have not got into an available block yet: kept unread, and
 * taken up only when the link to who sent them stays down. While that one lives it lists them itself, so
 * keeping them costs nothing but memory.
 */
import type { Bytes } from '#libs/kernel';

/** Kept for one peer and in all; the oldest go first. */
const PEER_BYTES_MAX = 4 * 1024 * 1024;
const BYTES_MAX = 32 * 1024 * 1024;
/** Whoever still waits is sent again before that. */
const AGE_MS = 30_000;
/** A link may be replaced by another; longer down is gone. */
const GONE_MS = 500;

interface Kept {
  readonly transactions: readonly Bytes[];
  readonly sizeBytes: number;
  readonly atMs: number;
}

export class Standby {
  readonly #byPeer = new Map<string, Kept[]>();
  readonly #goneAtMs = new Map<string, number>();
  #sizeBytes = 0;

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  keep(peer: string, transactions: readonly Bytes[], nowMs: number): void {
    const sizeBytes = transactions.reduce((sum, { length }) => sum + length, 0);
    const kept = this.#byPeer.get(peer) ?? [];
    this.#byPeer.set(peer, kept);
    kept.push({ transactions, sizeBytes, atMs: nowMs });
    this.#sizeBytes += sizeBytes;
    let ofPeer = kept.reduce((sum, batch) => sum + batch.sizeBytes, 0);
    while (ofPeer > PEER_BYTES_MAX || (this.#sizeBytes > BYTES_MAX && kept.length > 0)) {
      const oldest = kept.shift() as Kept;
      ofPeer -= oldest.sizeBytes;
      this.#sizeBytes -= oldest.sizeBytes;
    }
  }

  linkChanged(peer: string, isUp: boolean, nowMs: number): void {
    if (isUp) this.#goneAtMs.delete(peer);
    else this.#goneAtMs.set(peer, nowMs);
  }

  /** What the others can no longer list themselves; it is not kept any longer. To be called now and then. */
  take(nowMs: number): readonly Bytes[] {
    const orphans: Bytes[] = [];
    for (const [peer, atMs] of this.#goneAtMs) {
      if (nowMs < atMs + GONE_MS) continue;
      this.#goneAtMs.delete(peer);
      for (const { transactions } of this.#forget(peer)) orphans.push(...transactions);
    }
    for (const [peer, kept] of this.#byPeer) {
      while (kept[0] && nowMs > kept[0].atMs + AGE_MS)
        this.#sizeBytes -= (kept.shift() as Kept).sizeBytes;
      if (kept.length === 0) this.#byPeer.delete(peer);
    }
    return orphans;
  }

  #forget(peer: string): readonly Kept[] {
    const kept = this.#byPeer.get(peer) ?? [];
    this.#byPeer.delete(peer);
    for (const { sizeBytes } of kept) this.#sizeBytes -= sizeBytes;
    return kept;
  }
}
