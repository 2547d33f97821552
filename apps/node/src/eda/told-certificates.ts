/**
 * Certificates that peers sent before this node could check them: it has not executed the block yet. A few
 * per height, one of each peer.
 */
import type { Certificate } from '#libs/ledger';

export interface ToldCertificate {
  /** Hash of the header that it is said to certify. */
  readonly hash: string;
  readonly certificate: Certificate;
}

/** Heights ahead, and certificates of one height, that are kept. */
const AHEAD_MAX = 8;
const OF_ONE_HEIGHT = 8;

export class ToldCertificates {
  readonly #byHeight = new Map<number, Map<string, ToldCertificate>>();

  /** Takes what a peer says of a height so far ahead of the last block. */
  keep(peer: string, ahead: number, height: number, told: ToldCertificate): void {
    if (ahead < 1 || ahead > AHEAD_MAX) return;
    const known = this.#byHeight.get(height) ?? new Map<string, ToldCertificate>();
    this.#byHeight.set(height, known);
    if (known.has(peer) || known.size < OF_ONE_HEIGHT) known.set(peer, told);
  }

  of(height: number, hash: string): readonly Certificate[] {
    const known = [...(this.#byHeight.get(height)?.values() ?? [])];
    return known.filter((told) => told.hash === hash).map(({ certificate }) => certificate);
  }

  forgetUpTo(height: number): void {
    for (const known of this.#byHeight.keys()) if (known <= height) this.#byHeight.delete(known);
  }
}
