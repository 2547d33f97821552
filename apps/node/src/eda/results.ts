/** Gathers what validators say the result of a block is, until weight Q says the same. */
import type { ValidatorSet } from '#libs/eda';
import { type Bytes, hexToBytes } from '#libs/kernel';
import { CERTIFICATE_DOMAIN, type EdaCertificate, type VerifySignature } from '#libs/ledger';

interface Said {
  readonly hash: string;
  readonly signature: Bytes;
}

/** Heights above the last block for which votes are kept. */
const AHEAD_MAX = 64;

export interface ResultsVerdict {
  readonly certificate?: EdaCertificate;
  /** Weight of valid signatures over another header: above r the own result is wrong. */
  readonly otherWeight: number;
}

export class Results {
  readonly #verifySignature: VerifySignature;
  readonly #byHeight = new Map<number, Map<string, Said>>();
  /** Signatures found valid. */
  readonly #valid = new WeakSet<Said>();

  constructor(verifySignature: VerifySignature) {
    this.#verifySignature = verifySignature;
  }

  /** Keeps what a peer says; the last word of a peer counts. */
  hear(peer: string, height: number, said: Said, lastHeight: number): void {
    if (height <= lastHeight || height > lastHeight + AHEAD_MAX) return;
    const heard = this.#byHeight.get(height) ?? new Map<string, Said>();
    this.#byHeight.set(height, heard);
    if (heard.get(peer)?.hash !== said.hash) heard.set(peer, said);
  }

  /** Looks whether weight Q of the set stands behind this header. */
  weigh(height: number, hash: string, era: number, set: ValidatorSet): ResultsVerdict {
    const votes: { from: number; signature: Bytes }[] = [];
    let weight = 0;
    let otherWeight = 0;
    const message = (of: string) => hexToBytes(of) as Bytes;
    for (const [peer, said] of this.#byHeight.get(height) ?? []) {
      const from = set.indexOf(peer);
      if (from < 0) continue;
      const isValid =
        this.#valid.has(said) ||
        this.#verifySignature(peer, CERTIFICATE_DOMAIN, message(said.hash), said.signature);
      if (!isValid) continue;
      this.#valid.add(said);
      if (said.hash !== hash) {
        otherWeight += set.weights[from] as number;
        continue;
      }
      votes.push({ from, signature: said.signature });
      weight += set.weights[from] as number;
    }
    if (weight < set.quorum) return { otherWeight };
    votes.sort((a, b) => a.from - b.from);
    return { otherWeight, certificate: { kind: 'eda', era, votes } };
  }

  forgetUpTo(height: number): void {
    for (const known of this.#byHeight.keys()) if (known <= height) this.#byHeight.delete(known);
  }
}
