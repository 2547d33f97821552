/** Signs as this node and checks what others signed, by the sets of the eras. */
import type { Sealed, SignedKind, SignedMessages } from './messages.ts';
import type { Roster } from './roster.ts';
import type { Authenticator } from './types.ts';

export class Seals {
  readonly #chain: string;
  readonly #auth: Authenticator;
  readonly #roster: Roster;
  readonly #seat: { readonly me: number };

  constructor(
    { chain, auth }: { readonly chain: string; readonly auth: Authenticator },
    roster: Roster,
    seat: { readonly me: number },
  ) {
    this.#chain = chain;
    this.#auth = auth;
    this.#roster = roster;
    this.#seat = seat;
  }

  seal<K extends SignedKind>(
    kind: K,
    message: SignedMessages[K],
    era: number,
  ): Sealed<SignedMessages[K]> {
    const from = this.#roster.at(era).indexOf(this.#seat.me);
    return { from, message, signature: this.#auth.sign(kind, message) };
  }

  /** Signed by a validator of the message's era, for this chain. */
  isSigned<K extends SignedKind>(kind: K, sealed: Sealed<SignedMessages[K]>): boolean {
    const { message, from, signature } = sealed;
    if (message.chain !== this.#chain) return false;
    const publicKey = this.#roster.at(message.era).set.validators[from]?.publicKey;
    if (publicKey === undefined) return false;
    return this.#auth.verify(publicKey, kind, message, signature);
  }
}
