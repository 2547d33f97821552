/** Finality strength of checkpoints: (q + Q − W − 1) / W, q the weight that attested. */
import type { Attest, Body, Sealed } from './messages.ts';
import type { EdaEffect } from './types.ts';
import type { ValidatorSet } from './validator-set.ts';

const KEPT_CHECKPOINTS = 64;

interface Checkpoint {
  readonly hash: string;
  readonly set: ValidatorSet;
  readonly by: Map<number, Sealed<Attest>>;
  weight: number;
}

/** Whether a cut is one to attest: its time crosses a multiple of `everyUs`. */
export function isCheckpoint(timeUs: number, beforeUs: number, everyUs: number): boolean {
  return everyUs > 0 && Math.floor(timeUs / everyUs) > Math.floor(beforeUs / everyUs);
}

export class Strengths {
  readonly #checkpoints = new Map<number, Checkpoint>();
  /** Attestations that came before this node decided the slot. */
  #early: Sealed<Attest>[] = [];
  #signedSlot = 0;

  signed(slot: number): void {
    this.#signedSlot = Math.max(this.#signedSlot, slot);
  }

  /** Opens the checkpoint of a decided cut and attests to it, once per slot; `sign` says by whom. */
  checkpoint(
    { chain, era, slot }: Body,
    hash: string,
    set: ValidatorSet,
    isSigned: (sealed: Sealed<Attest>) => boolean,
    sign: (message: Attest) => Sealed<Attest> | undefined,
    out: EdaEffect[],
  ): void {
    for (const early of this.#open(slot, hash, set)) this.onAttest(early, isSigned, out);
    const sealed = slot > this.#signedSlot ? sign({ chain, era, slot, hash }) : undefined;
    if (!sealed) return;
    this.signed(slot);
    out.push(
      { kind: 'journal', record: { kind: 'attest', slot, hash } },
      { kind: 'broadcast', message: { kind: 'attest', ...sealed } },
    );
    this.onAttest(sealed, () => true, out);
  }

  /** Opens a checkpoint; returns what was attested to it before. */
  #open(slot: number, hash: string, set: ValidatorSet): readonly Sealed<Attest>[] {
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
