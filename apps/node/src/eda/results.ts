/**
 * Gathers what validators say the result of a block is, until weight Q says the same. In large sets they
 * sign by BLS, and what is gathered is one sum.
 */
import { BlsTally, type ValidatorSet, aggregateBls, leaderOf, verifyBls } from '#libs/eda';
import { type Bytes, hexToBytes } from '#libs/kernel';
import { CERTIFICATE_DOMAIN, type EdaCertificate, type VerifySignature } from '#libs/ledger';

interface Said {
  readonly hash: string;
  readonly signature: Bytes;
}

/** Heights above the last block for which votes are kept. */
const AHEAD_MAX = 64;
/** In large sets so many validators at a time are told a result and add it up. */
const COLLECTORS = 3;

export interface ResultsVerdict {
  readonly certificate?: EdaCertificate;
  /** Weight of valid signatures over another header: above r the own result is wrong. */
  readonly otherWeight: number;
}

/** The header that weight Q is to sign, and who has a say in that. */
export interface Awaited {
  readonly height: number;
  readonly hash: string;
  readonly era: number;
  readonly set: ValidatorSet;
}

/** Whom the result of a height is told: everybody in small sets, in large ones others with each turn. */
export function collectorsOf(
  set: ValidatorSet,
  beacon: Bytes,
  height: number,
  turn: number,
): readonly string[] | undefined {
  if (!set.isLarge) return undefined;
  const views = Array.from({ length: COLLECTORS }, (_, i) => turn * COLLECTORS + i);
  return views.map((view) => set.validators[leaderOf(set, beacon, height, view)]?.publicKey ?? '');
}

export class Results {
  readonly #verifySignature: VerifySignature;
  readonly #byHeight = new Map<number, Map<string, Said>>();
  /** Signatures that were checked; one that is forged costs one check. */
  readonly #isGenuine = new WeakMap<Said, boolean>();
  /** Those that the sum was given: a forged one that it dropped does not come back. */
  #added = new WeakSet<Said>();
  /** The sum that is being collected, in a large set. */
  #sum: { readonly hash: string; readonly tally: BlsTally } | undefined;

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

  #isValid(set: ValidatorSet, from: number, said: Said): boolean {
    const known = this.#isGenuine.get(said);
    if (known !== undefined) return known;
    const { publicKey, bls } = set.validators[from] as ValidatorSet['validators'][number];
    const hash = hexToBytes(said.hash) as Bytes;
    const isValid = set.isLarge
      ? bls !== undefined && verifyBls([bls], CERTIFICATE_DOMAIN, hash, said.signature)
      : this.#verifySignature(publicKey, CERTIFICATE_DOMAIN, hash, said.signature);
    this.#isGenuine.set(said, isValid);
    return isValid;
  }

  /** Looks whether weight Q of the set stands behind this header. */
  weigh(awaited: Awaited): ResultsVerdict {
    const { height, hash, era, set } = awaited;
    const same: { from: number; said: Said }[] = [];
    let otherWeight = 0;
    for (const [peer, said] of this.#byHeight.get(height) ?? []) {
      const from = set.indexOf(peer);
      if (from < 0) continue;
      if (said.hash === hash) same.push({ from, said });
      else if (this.#isValid(set, from, said)) otherWeight += set.weights[from] as number;
    }
    if (set.isLarge) {
      const aggregate = this.#add(awaited, same);
      return {
        otherWeight,
        ...(aggregate && { certificate: { kind: 'eda', era, votes: [], aggregate } }),
      };
    }
    const votes = this.#votes(set, same);
    if (!votes) return { otherWeight };
    return { otherWeight, certificate: { kind: 'eda', era, votes } };
  }

  /** Valid votes of weight Q: none is looked at before so many are there, nor any beyond them. */
  #votes(set: ValidatorSet, same: readonly { readonly from: number; readonly said: Said }[]) {
    const weightOf = (from: number) => set.weights[from] as number;
    if (same.reduce((sum, { from }) => sum + weightOf(from), 0) < set.quorum) return undefined;
    const votes: { from: number; signature: Bytes }[] = [];
    let weight = 0;
    for (const { from, said } of same) {
      if (weight >= set.quorum) break;
      if (!this.#isValid(set, from, said)) continue;
      votes.push({ from, signature: said.signature });
      weight += weightOf(from);
    }
    return weight < set.quorum ? undefined : votes.toSorted((a, b) => a.from - b.from);
  }

  #add({ hash, set }: Awaited, same: readonly { readonly from: number; readonly said: Said }[]) {
    if (this.#sum?.hash !== hash) {
      const bytes = hexToBytes(hash) as Bytes;
      const verify = (keys: readonly string[], sum: Bytes) =>
        verifyBls(keys, CERTIFICATE_DOMAIN, bytes, sum);
      this.#sum = { hash, tally: new BlsTally(set, { add: aggregateBls, verify }) };
      this.#added = new WeakSet();
    }
    const { tally } = this.#sum;
    for (const { from, said } of same) {
      if (this.#added.has(said)) continue;
      this.#added.add(said);
      tally.add(from, said.signature);
    }
    return tally.aggregate(set.quorum);
  }

  forgetUpTo(height: number): void {
    for (const known of this.#byHeight.keys()) if (known <= height) this.#byHeight.delete(known);
  }
}
