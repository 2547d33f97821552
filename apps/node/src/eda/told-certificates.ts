/**
 * Certificates that validators sent before this node could check them: it has not executed the block yet.
 * One of each validator and height, so that those who lie take no room from the others.
 */
import type { Certificate } from '#libs/ledger';

export interface ToldCertificate {
  /** Hash of the header that it is said to certify. */
  readonly hash: string;
  readonly certificate: Certificate;
}

interface Told extends ToldCertificate {
  readonly peer: string;
}

/** Heights ahead of the last block for which they are kept. */
const AHEAD_MAX = 8;

export class ToldCertificates {
  readonly #byHeight = new Map<number, Map<string, Told>>();

  /** Takes what a validator says of a height so far ahead of the last block; its last word counts. */
  keep(peer: string, ahead: number, height: number, { hash, certificate }: ToldCertificate): void {
    if (ahead < 1 || ahead > AHEAD_MAX) return;
    const known = this.#byHeight.get(height) ?? new Map<string, Told>();
    this.#byHeight.set(height, known);
    known.set(peer, { peer, hash, certificate });
  }

  /** What was said of a height, to be looked at once. */
  take(height: number): readonly Told[] {
    const known = [...(this.#byHeight.get(height)?.values() ?? [])];
    this.#byHeight.delete(height);
    return known;
  }

  forgetUpTo(height: number): void {
    for (const known of this.#byHeight.keys()) if (known <= height) this.#byHeight.delete(known);
  }
}
