/**
 * Finality strength of checkpoints: (q + Q − W − 1) / W, q the weight that attested. Who has a BLS key
 * attests by it, so that attestations add up to one signature, which is checked instead of each: in a set
 * of 16 that is one check of a millisecond, not sixteen. In sets up to 64 all tell all; in large ones they
 * tell the first leaders of the slot, who tell the sum.
 */
import type { Bytes } from '#libs/kernel';
import { aggregateWeight } from './aggregate.ts';
import { type BlsTally, tallyOf } from './bls-tally.ts';
import type { Aggregate, Attest, Body, MessageOf, Sealed } from './messages.ts';
import type { Seals } from './seals.ts';
import type { BlsVotes, EdaEffect, EdaParameters } from './types.ts';
import { type ValidatorSet, leaderOf } from './validator-set.ts';

const KEPT_CHECKPOINTS = 64;
/** In large sets: who adds up, and how long after the first sum it tells a larger one. */
const COLLECTORS = 3;
const LATE_DELTAS = 4;

export interface AttestedCut {
  readonly body: Body;
  readonly hash: string;
  /** Time of the cut before. */
  readonly beforeUs: number;
  readonly set: ValidatorSet;
  readonly beacon: Bytes;
}

type Early = MessageOf<'attest'> | MessageOf<'attested'>;

interface Checkpoint {
  readonly attest: Attest;
  readonly set: ValidatorSet;
  readonly by: Map<number, Sealed<Attest>>;
  /** Attested weight that was told last; what of it was checked one by one, and by a sum. */
  weight: number;
  single: number;
  summed: number;
  readonly tally: BlsTally;
  /** Of those who attested by BLS, once they weigh Q. */
  sum?: Aggregate | undefined;
  /** Weight in the sum last told by this node, and when it tells a larger one. */
  told: number;
  tellAtUs: number;
}

/** Whether a cut is one to attest: its time crosses a multiple of `everyUs`. */
export function isCheckpoint(timeUs: number, beforeUs: number, everyUs: number): boolean {
  return everyUs > 0 && Math.floor(timeUs / everyUs) > Math.floor(beforeUs / everyUs);
}

export class Strengths {
  readonly #bls: BlsVotes;
  readonly #seals: Seals;
  readonly #parameters: EdaParameters;
  readonly #checkpoints = new Map<number, Checkpoint>();
  /** Attestations that came before this node decided the slot. */
  #early: Early[] = [];
  #signedSlot = 0;

  constructor(bls: BlsVotes, seals: Seals, parameters: EdaParameters) {
    this.#bls = bls;
    this.#seals = seals;
    this.#parameters = parameters;
  }

  signed(slot: number): void {
    this.#signedSlot = Math.max(this.#signedSlot, slot);
  }

  /** Opens the checkpoint of a decided cut; attests to it once per slot when `isMine`. */
  checkpoint(cut: AttestedCut, isMine: boolean, nowUs: number, out: EdaEffect[]): void {
    const { body, hash, beforeUs, set } = cut;
    if (!isCheckpoint(body.timeUs, beforeUs, this.#parameters.attestEveryUs)) return;
    const { chain, era, slot } = body;
    const attest = { chain, era, slot, hash };
    for (const early of this.#open(attest, set))
      if (early.kind === 'attest') this.onAttest(early, nowUs, out);
      else this.onAttested(early, out);
    if (!isMine || slot <= this.#signedSlot) return;
    this.signed(slot);
    const sealed = this.#seals.seal('attest', attest, era);
    out.push({ kind: 'journal', record: { kind: 'attest', slot, hash } });
    this.#tell(sealed, cut, out);
    this.onAttest(sealed, nowUs, out);
  }

  #tell(sealed: Sealed<Attest>, { set, beacon, body }: AttestedCut, out: EdaEffect[]): void {
    const message = { kind: 'attest', ...sealed } as const;
    if (!set.isLarge) {
      out.push({ kind: 'broadcast', message });
      return;
    }
    for (let view = 0; view < COLLECTORS; view++) {
      const collector = leaderOf(set, beacon, body.slot, view);
      const to = set.validators[collector]?.publicKey ?? '';
      if (collector !== sealed.from) out.push({ kind: 'send', to, message });
    }
  }

  /** Opens a checkpoint; returns what was attested to it before. */
  #open(attest: Attest, set: ValidatorSet): readonly Early[] {
    const { slot } = attest;
    const tally = tallyOf(this.#bls, set, 'attest', attest);
    const told = { told: 0, tellAtUs: Number.POSITIVE_INFINITY };
    const weights = { weight: 0, single: 0, summed: 0 };
    this.#checkpoints.set(slot, { attest, set, by: new Map(), ...weights, tally, ...told });
    for (const old of this.#checkpoints.keys())
      if (this.#checkpoints.size > KEPT_CHECKPOINTS) this.#checkpoints.delete(old);
    const slotOf = (early: Early) =>
      early.kind === 'attest' ? early.message.slot : early.attest.slot;
    const early = this.#early.filter((one) => slotOf(one) === slot);
    this.#early = this.#early.filter((one) => slotOf(one) > slot);
    return early;
  }

  #keepEarly(message: Early): void {
    if (this.#early.length < KEPT_CHECKPOINTS) this.#early.push(message);
  }

  onAttest(sealed: Sealed<Attest>, nowUs: number, out: EdaEffect[]): void {
    const { slot, hash } = sealed.message;
    const checkpoint = this.#checkpoints.get(slot);
    if (!checkpoint) return this.#keepEarly({ kind: 'attest', ...sealed });
    const { by, set, attest } = checkpoint;
    const isSame = hash === attest.hash;
    if (set.isLarge && isSame) return this.#collect(checkpoint, sealed, nowUs, out);
    const first = by.get(sealed.from);
    if (first && first.message.hash !== hash) return this.#contradicted(checkpoint, sealed, out);
    const hasBls = set.validators[sealed.from]?.bls !== undefined;
    if (isSame && hasBls) {
      if (!first) by.set(sealed.from, sealed);
      return this.#sumUp(checkpoint, sealed, nowUs, out);
    }
    if (first || !this.#seals.isSigned('attest', sealed)) return;
    by.set(sealed.from, sealed);
    if (!isSame) return;
    checkpoint.single += set.weights[sealed.from] ?? 0;
    this.#raise(checkpoint, checkpoint.single + checkpoint.summed, undefined, out);
  }

  /** Two words of one validator: evidence, if both are its own. */
  #contradicted({ by, set }: Checkpoint, second: Sealed<Attest>, out: EdaEffect[]): void {
    const first = by.get(second.from);
    if (!first || !this.#seals.isSigned('attest', second)) return;
    if (!this.#seals.isSigned('attest', first)) return void by.set(second.from, second);
    const publicKey = set.validators[second.from]?.publicKey ?? '';
    out.push({ kind: 'evidence', what: 'attest', publicKey, first, second });
  }

  /** Adds an attestation up unchecked; the sum is checked once it is whole, or what there is of it late. */
  #sumUp(
    checkpoint: Checkpoint,
    { from, signature }: Sealed<Attest>,
    nowUs: number,
    out: EdaEffect[],
  ): void {
    const { set, tally, single } = checkpoint;
    tally.add(from, signature);
    if (single + tally.weight === set.total) this.#checkSum(checkpoint, set.quorum, out);
    else if (checkpoint.tellAtUs === Number.POSITIVE_INFINITY)
      checkpoint.tellAtUs = nowUs + LATE_DELTAS * this.#parameters.deltaUs;
  }

  #checkSum(checkpoint: Checkpoint, needed: number, out: EdaEffect[]): void {
    const { tally, single, set } = checkpoint;
    const aggregate = tally.aggregate(needed);
    if (!aggregate || tally.weight <= checkpoint.summed) return;
    checkpoint.summed = tally.weight;
    const proof = tally.weight >= set.quorum ? aggregate : undefined;
    this.#raise(checkpoint, single + tally.weight, proof, out);
  }

  /** Large sets: adds up, tells the sum once it weighs Q and once more when the rest had time to come. */
  #collect(
    checkpoint: Checkpoint,
    { from, signature }: Sealed<Attest>,
    nowUs: number,
    out: EdaEffect[],
  ): void {
    checkpoint.tally.add(from, signature);
    if (checkpoint.told > 0 || checkpoint.tally.weight < checkpoint.set.quorum) return;
    this.#tellSum(checkpoint, out);
    checkpoint.tellAtUs = nowUs + LATE_DELTAS * this.#parameters.deltaUs;
  }

  wake(nowUs: number, out: EdaEffect[]): void {
    for (const checkpoint of this.#checkpoints.values()) {
      if (nowUs < checkpoint.tellAtUs) continue;
      checkpoint.tellAtUs = Number.POSITIVE_INFINITY;
      const { set, tally, told } = checkpoint;
      // What is fewer than Q still adds to the strength.
      if (!set.isLarge) this.#checkSum(checkpoint, 1, out);
      else if (tally.weight > told) this.#tellSum(checkpoint, out);
    }
  }

  #tellSum(checkpoint: Checkpoint, out: EdaEffect[]): void {
    const { attest, set, tally } = checkpoint;
    const aggregate = tally.aggregate(set.quorum);
    if (!aggregate) return;
    checkpoint.told = tally.weight;
    out.push({ kind: 'broadcast', message: { kind: 'attested', attest, aggregate } });
    this.#raise(checkpoint, tally.weight, aggregate, out);
  }

  onAttested(message: MessageOf<'attested'>, out: EdaEffect[]): void {
    const { attest, aggregate } = message;
    const checkpoint = this.#checkpoints.get(attest.slot);
    if (!checkpoint) return this.#keepEarly(message);
    const { set, attest: own } = checkpoint;
    if (attest.hash !== own.hash || attest.chain !== own.chain || attest.era !== own.era) return;
    const weight = aggregateWeight(set, 'attest', own, aggregate, this.#bls.verify);
    if (weight > checkpoint.weight) this.#raise(checkpoint, weight, aggregate, out);
  }

  #raise(
    checkpoint: Checkpoint,
    attested: number,
    sum: Aggregate | undefined,
    out: EdaEffect[],
  ): void {
    const { attest, set } = checkpoint;
    const { quorum, total } = set;
    checkpoint.weight = attested;
    const weight = Math.max(0, attested + quorum - total - 1);
    // One sum for those who attested by BLS, once they weigh enough alone.
    const aggregate = sum ?? checkpoint.sum;
    checkpoint.sum = aggregate;
    const { slot, hash } = attest;
    out.push({ kind: 'strength', slot, hash, weight, ...(aggregate && { aggregate }) });
  }
}
