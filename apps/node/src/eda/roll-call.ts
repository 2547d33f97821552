/**
 * Whether a validator with an empty directory may vote at once. It may have voted before and lost
 * everything, so it watches, unless the chain is new: every validator of the genesis has said, before
 * it signed anything itself, that it has an empty directory as well. Each empty directory has a number
 * of its own (that of its journal), and who has begun keeps the numbers it began with: one that was
 * heard then and had no chance to begin may still do so, one that came later may not.
 */
import {
  type Bytes,
  type CodecValue,
  byteString,
  decodeWith,
  encodeWith,
  equalBytes,
  hexBytes,
  list,
  nullable,
  bool,
  record,
} from '#libs/kernel';
import { VALIDATORS_MAX } from '#libs/eda';

/** What a node at height 0 says of itself when a link comes up. */
export const rollShape = record({
  /** Number of its journal. */
  journal: byteString(16),
  /** It has an empty directory and has signed nothing. */
  isWaiting: bool,
  /** The number of the receiver's journal, as this node knew it when it began. */
  began: nullable(byteString(16)),
});
export type Roll = CodecValue<typeof rollShape>;

/** Journals of all validators when this node began; none yet: it waits. */
const beganShape = list(
  record({ publicKey: hexBytes(33), journal: byteString(16) }),
  VALIDATORS_MAX,
);
export type Began = CodecValue<typeof beganShape>;
export const encodeBegan = (began: Began): Bytes => encodeWith(beganShape, began);
export const decodeBegan = (bytes: Bytes): Began => decodeWith(beganShape, bytes);

export class RollCall {
  readonly #me: string;
  readonly #journal: Bytes;
  readonly #validators: readonly string[];
  readonly #heard = new Map<string, Bytes>();
  #began: Began;
  #isWaiting: boolean;

  /**
   * @param validators those of the genesis
   * @param began as stored; undefined for a node that votes, or watches, for other reasons
   */
  constructor(me: string, journal: Bytes, validators: readonly string[], began: Began | undefined) {
    this.#me = me;
    this.#journal = journal;
    this.#validators = validators;
    this.#began = began ?? [];
    this.#isWaiting = began?.length === 0 && validators.includes(me);
  }

  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  /** Validators that have not said that nothing was signed. */
  get missing(): readonly string[] {
    return this.#validators.filter((key) => key !== this.#me && !this.#heard.has(key));
  }

  /** What to say to a peer. */
  sayTo(peer: string): Roll {
    const known = this.#began.find(({ publicKey }) => publicKey === peer);
    return {
      journal: this.#journal,
      isWaiting: this.#isWaiting,
      began: known?.journal ?? null,
    };
  }

  /** `conclude` may have something to say then. */
  hear(peer: string, { journal, isWaiting, began }: Roll): void {
    if (!this.#isWaiting || !this.#validators.includes(peer)) return;
    // Who has begun since counts when it began with this very journal.
    if (isWaiting || (began && equalBytes(began, this.#journal))) this.#heard.set(peer, journal);
    else this.#heard.delete(peer);
  }

  /** The journals to begin with, once all have answered; to be stored before anything is signed. */
  conclude(): Began | undefined {
    if (!this.#isWaiting || this.missing.length > 0) return undefined;
    this.#isWaiting = false;
    this.#began = [
      { publicKey: this.#me, journal: this.#journal },
      ...[...this.#heard].map(([publicKey, journal]) => ({ publicKey, journal })),
    ];
    return this.#began;
  }
}
