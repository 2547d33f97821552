/** Signs as this node and checks what others signed, by the sets of the eras. */
import type { Sealed, SignedKind, SignedMessages } from './messages.ts';
import type { Roster } from './roster.ts';
import type { Authenticator } from './types.ts';

/** Who has a BLS key attests by it. Votes by BLS are made and checked where they are added up. */
function isByBls(kind: SignedKind, bls: string | undefined): bls is string {
  return kind === 'attest' && bls !== undefined;
}

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
    const { set, indexOf } = this.#roster.at(era);
    const from = indexOf(this.#seat.me);
    const own = set.validators[from]?.bls;
    const sign = isByBls(kind, own) ? this.#auth.bls.signerOf(own) : undefined;
    const signature = sign ? sign(kind, message) : this.#auth.sign(kind, message);
    return { from, message, signature };
  }

  /** Signed by a validator of the message's era, for this chain. */
  isSigned<K extends SignedKind>(kind: K, sealed: Sealed<SignedMessages[K]>): boolean {
    const { message, from, signature } = sealed;
    if (message.chain !== this.#chain) return false;
    const validator = this.#roster.find(message.era)?.set.validators[from];
    if (!validator) return false;
    const { publicKey, bls } = validator;
    if (isByBls(kind, bls)) return this.#auth.bls.verify([bls], kind, message, signature);
    return this.#auth.verify(publicKey, kind, message, signature);
  }
}
