/** Finality strength of checkpoints: (q + Q − W − 1) / W, q the weight that attested. */
import type { Attest, Sealed } from './messages.ts';
import type { EdaEffect } from './types.ts';
import type { ValidatorSet } from './validator-set.ts';

const KEPT_CHECKPOINTS = 64;

interface Checkpoint {
  readonly hash: string;
  readonly set: ValidatorSet;
  readonly by: Map<number, Sealed<Attest>>;
  weight: number;
}

export class Strengths {
  readonly #checkpoints = new Map<number, Checkpoint>();
  /** Attestations that came before this node decided the slot. */
  #early: Sealed<Attest>[] = [];
  #signedSlot = 0;

  maySign(slot: number): boolean {
    return slot > this.#signedSlot;
  }

  signed(slot: number, _hash: string): void {
    this.#signedSlot = Math.max(this.#signedSlot, slot);
  }

  /** Opens a checkpoint; returns what was attested to it before. */
  open(slot: number, hash: string, set: ValidatorSet): readonly Sealed<Attest>[] {
    this.#checkpoints.set(slot, { hash, set, by: new Map(), weight: 0 });
    for (const old of this.#checkpoints.keys())
      if (this.#checkpoints.size > KEPT_CHECKPOINTS) this.#checkpoints.delete(old);
    const early = this.#early.filter(({ message }) => message.slot === slot);
    this.#early = this.#early.filter(({ message }) => message.slot > slot);
    return early;
  }

  onAttest(
    sealed: Sealed<Attest>,
    isSigned: (sealed: Sealed<Attest>) => boolean,
    out: EdaEffect[],
  ): void {
    const { slot, hash } = sealed.message;
    const checkpoint = this.#checkpoints.get(slot);
    if (!checkpoint) {
      if (this.#early.length < KEPT_CHECKPOINTS) this.#early.push(sealed);
      return;
    }
    const first = checkpoint.by.get(sealed.from);
    if (first?.message.hash === hash || !isSigned(sealed)) return;
    if (first) {
      const publicKey = checkpoint.set.validators[sealed.from]?.publicKey ?? '';
      out.push({ kind: 'evidence', what: 'attest', publicKey, first, second: sealed });
      return;
    }
    checkpoint.by.set(sealed.from, sealed);
    if (hash !== checkpoint.hash) return;
    checkpoint.weight += checkpoint.set.weights[sealed.from] ?? 0;
    const { quorum, total } = checkpoint.set;
    const weight = Math.max(0, checkpoint.weight + quorum - total - 1);
    out.push({ kind: 'strength', slot, hash, weight });
  }
}
