/** Votes of one slot, counted by weight; what contradicts itself becomes evidence. */
import type { Bytes } from '#libs/kernel';
import type { Certificate, Sealed, Vote } from './messages.ts';
import type { ValidatorSet } from './validator-set.ts';

/** Views above one's own for which votes are kept. */
export const VIEWS_AHEAD = 64;

interface Tally {
  readonly view: number;
  readonly hash: string;
  weight: number;
  readonly votes: { readonly from: number; readonly signature: Bytes }[];
}

/** Votes of one kind (PREPARE or COMMIT) in one slot. */
export class Ballots {
  readonly #set: ValidatorSet;
  readonly #tallies = new Map<string, Tally>();
  /** First vote per view and validator. */
  readonly #first = new Map<string, Sealed<Vote>>();

  constructor(set: ValidatorSet) {
    this.#set = set;
  }

  /** The vote of `from` in `view`, if one was counted. */
  voteOf(view: number, from: number): Sealed<Vote> | undefined {
    return this.#first.get(`${view}/${from}`);
  }

  /** All counted votes of a validator. */
  *of(from: number): Generator<Sealed<Vote>> {
    for (const vote of this.#first.values()) if (vote.from === from) yield vote;
  }

  /** Counts a verified vote; returns the earlier one when it contradicts. */
  add(vote: Sealed<Vote>): Sealed<Vote> | undefined {
    const { view, hash } = vote.message;
    const first = this.voteOf(view, vote.from);
    if (first) return first.message.hash === hash ? undefined : first;
    this.#first.set(`${view}/${vote.from}`, vote);
    const key = `${view}/${hash}`;
    const tally = this.#tallies.get(key) ?? { view, hash, weight: 0, votes: [] };
    this.#tallies.set(key, tally);
    tally.weight += this.#set.weights[vote.from] ?? 0;
    tally.votes.push({ from: vote.from, signature: vote.signature });
    return undefined;
  }

  /** The certificate of (view, hash), once its votes weigh `needed`. */
  certificate(view: number, hash: string, needed: number): Certificate | undefined {
    const tally = this.#tallies.get(`${view}/${hash}`);
    if (!tally || tally.weight < needed) return undefined;
    return { view, hash, votes: tally.votes.slice() };
  }

  /** Forgets votes below a view; certificates made from them stand elsewhere. */
  forgetBelow(view: number): void {
    for (const [key, tally] of this.#tallies) if (tally.view < view) this.#tallies.delete(key);
    for (const [key, vote] of this.#first) if (vote.message.view < view) this.#first.delete(key);
  }
}
