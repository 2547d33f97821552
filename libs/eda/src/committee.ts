/**
 * Who may tick in a large set: seats drawn by VRF, shown with every tick by a proof that covers 64 of
 * them, and counted of those that were heard.
 */
import type { Bytes } from '#libs/kernel';
import type { EraRoster } from './roster.ts';
import { TICKS_PER_PROOF, presenceOf, seatsInput, seatsOf } from './sortition.ts';
import type { Authenticator, EdaParameters } from './types.ts';
import type { ValidatorSet } from './validator-set.ts';

/** Seats when no sampling rate was set. */
const DEFAULT_SEATS = 200;
const PER_MILLE = 1000;

/** Expected seats of one tick. */
export function expectedSeats(
  set: ValidatorSet,
  { samplingPerMille }: Pick<EdaParameters, 'samplingPerMille'>,
): number {
  const count = set.validators.length;
  if (samplingPerMille === undefined) return Math.min(count, DEFAULT_SEATS);
  return Math.max(1, Math.ceil((count * samplingPerMille) / PER_MILLE));
}

interface Drawn {
  readonly window: number;
  readonly proof: Bytes;
  /** Undefined for a proof that is none. */
  readonly output: Bytes | undefined;
}

const windowOf = (k: number): number => Math.floor(k / TICKS_PER_PROOF);

/** The committees of one era. */
export class Committee {
  readonly #auth: Authenticator;
  readonly #set: ValidatorSet;
  readonly #eraBeacon: Bytes;
  /** Expected seats in a tick. */
  readonly seats: number;
  #own: Drawn | undefined;
  /** By index in the set: the last proof looked at. */
  readonly #drawn = new Map<number, Drawn>();
  /** By peer number: its last tick, and the seats it had. */
  readonly heard = new Map<number, { readonly k: number; readonly seats: number }>();

  constructor(auth: Authenticator, { set, parameters }: EraRoster, eraBeacon: Bytes) {
    this.#auth = auth;
    this.#set = set;
    this.#eraBeacon = eraBeacon;
    this.seats = expectedSeats(set, parameters);
  }

  #count(index: number, output: Bytes, k: number): number {
    const weight = this.#set.weights[index] ?? 0;
    return seatsOf(output, k, weight, this.#set.total, this.seats);
  }

  /** Seats of this validator in tick `k`, and what shows them. */
  own(index: number, k: number): { readonly seats: number; readonly proof: Bytes } {
    const window = windowOf(k);
    if (this.#own?.window !== window)
      this.#own = { window, ...this.#auth.prove(seatsInput(this.#eraBeacon, k)) };
    const { output, proof } = this.#own as Drawn & { output: Bytes };
    return { seats: this.#count(index, output, k), proof };
  }

  /** Seats that a proof shows; 0 when it shows none. */
  proven(index: number, k: number, proof: Bytes | undefined): number {
    const publicKey = this.#set.validators[index]?.publicKey;
    if (publicKey === undefined || proof === undefined) return 0;
    const window = windowOf(k);
    let drawn = this.#drawn.get(index);
    // A key has one proof for an input, but forged ones of its ticks do not get here: those are signed.
    if (drawn?.window !== window || !isSame(drawn.proof, proof)) {
      const alpha = seatsInput(this.#eraBeacon, k);
      drawn = { window, proof, output: this.#auth.verifyProof(publicKey, alpha, proof) };
      this.#drawn.set(index, drawn);
    }
    return drawn.output ? this.#count(index, drawn.output, k) : 0;
  }

  hear(peer: number, k: number, seats: number): void {
    const last = this.heard.get(peer);
    if (!last || k > last.k) this.heard.set(peer, { k, seats });
  }

  /** Share of validators of a weight that have a seat in at least one of some ticks. */
  presence(weight: number, ticks: number): number {
    return presenceOf(weight * ticks, this.#set.total, this.seats);
  }
}

const isSame = (a: Bytes, b: Bytes): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);
