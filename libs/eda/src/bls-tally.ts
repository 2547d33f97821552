/**
 * BLS signatures of one message, collected. They are checked as a sum once they weigh enough; only a sum
 * that does not hold is looked through one by one. So one forged signature costs a check, not a vote.
 */
import { type Bytes, equalBytes, isSeeleError } from '#libs/kernel';
import { aggregateVotes, sumWeight } from './aggregate.ts';
import type { Aggregate, SignedKind, SignedMessages } from './messages.ts';
import type { BlsVotes } from './types.ts';
import type { ValidatorSet } from './validator-set.ts';

/** How signatures of one message are added up and checked. */
export interface BlsSums {
  /** @throws EDA_BLS_INVALID when one is not a signature */
  add(signatures: readonly Bytes[]): Bytes;
  /** Whether the owners of all keys signed the message. */
  verify(keys: readonly string[], signature: Bytes): boolean;
}

export class BlsTally {
  readonly #sums: BlsSums;
  readonly #set: ValidatorSet;
  readonly #signatures = new Map<number, Bytes>();
  #weight = 0;
  #sum: Aggregate | undefined;
  #isChanged = false;

  constructor(set: ValidatorSet, sums: BlsSums) {
    this.#set = set;
    this.#sums = sums;
  }

  /** Weight collected, some of it perhaps not genuine. */
  get weight(): number {
    return this.#weight;
  }

  #isGenuine(from: number, signature: Bytes): boolean {
    const key = this.#set.validators[from]?.bls;
    return key !== undefined && this.#sums.verify([key], signature);
  }

  /** Takes a signature, checked or not. Of two different ones of one validator the genuine one stays. */
  add(from: number, signature: Bytes): void {
    const known = this.#signatures.get(from);
    if (known && (equalBytes(known, signature) || !this.#isGenuine(from, signature))) return;
    const validator = this.#set.validators[from];
    if (validator?.bls === undefined) return;
    if (!known) this.#weight += validator.weight;
    this.#signatures.set(from, signature);
    this.#isChanged = true;
  }

  /** The sum, once genuine signatures weigh `needed`. */
  aggregate(needed: number): Aggregate | undefined {
    if (!this.#isChanged || this.#weight < needed) return this.#sum;
    this.#isChanged = false;
    const sum = this.#checkedSum();
    if (sum) this.#sum = sum;
    else {
      for (const [from, signature] of this.#signatures)
        if (!this.#isGenuine(from, signature)) this.#drop(from);
      if (this.#weight >= needed) this.#sum = this.#checkedSum();
    }
    return this.#sum;
  }

  #drop(from: number): void {
    this.#signatures.delete(from);
    this.#weight -= this.#set.weights[from] ?? 0;
  }

  #checkedSum(): Aggregate | undefined {
    const votes = [...this.#signatures].map(([from, signature]) => ({ from, signature }));
    try {
      const sum = aggregateVotes(this.#set, votes, (all) => this.#sums.add(all));
      const weight = sumWeight(this.#set, sum, (keys, all) => this.#sums.verify(keys, all));
      return weight > 0 ? sum : undefined;
    } catch (error) {
      if (isSeeleError(error)) return undefined;
      throw error;
    }
  }
}

/** A tally of signatures over one statement of consensus. */
export function tallyOf<K extends SignedKind>(
  bls: BlsVotes,
  set: ValidatorSet,
  kind: K,
  message: SignedMessages[K],
): BlsTally {
  return new BlsTally(set, {
    add: (signatures) => bls.add(signatures),
    verify: (keys, signature) => bls.verify(keys, kind, message, signature),
  });
}
