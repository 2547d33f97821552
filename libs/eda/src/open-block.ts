/** A block that is not final yet, as one node sees it, and the chain of its author. */
import { CHAIN_START, type ChainEnd } from './cuts.ts';
import type { BlockName, Sealed, SealedBlock, Tick } from './messages.ts';
import { lowerWeightedMedian, valueAbove } from './weighted.ts';

/** Unordered blocks an author may have at once. */
export const OPEN_PER_AUTHOR = 8;
/** A vote that moved by less stands still. */
const STILL_US = 16;
/** What stands still is listed in one tick of so many, when there is much to list. */
export const THIN_TICKS = 4;

interface Ack {
  readonly x0: number;
  readonly tick: Sealed<Tick> | undefined;
}

export class OpenBlock {
  readonly name: BlockName;
  /** Held here, with payload; acknowledged or not. */
  block: SealedBlock | undefined;
  /** This node's acknowledgement is in its ticks. */
  isAcked = false;
  /** Axis at which this node first held it, and its vote; undefined while it has none. */
  x0: number | undefined;
  x: number | undefined;
  /** By peer number: x0, with the tick that said it (none for this node's own). */
  readonly acks: (Ack | undefined)[] = [];
  ackWeight = 0;
  /** By peer number: its latest vote, and the tick it came in. */
  readonly voteXs: number[] = [];
  readonly voteTicks: number[] = [];
  #listedX: number | undefined;
  #bounds: { readonly ackWeight: number; readonly low: number; readonly high: number } | undefined;
  /** Monotonic time at which acknowledgements of weight Q were held; undefined before. */
  availableAtUs: number | undefined;
  quietTicks = 0;
  isConverged = false;
  /** Earliest monotonic time to ask (again) for its payload; undefined before a peer named it. */
  askAtUs: number | undefined;
  asked = 0;

  constructor(name: BlockName) {
    this.name = name;
  }

  /** Notes a peer's acknowledgement; false when it was known. */
  acknowledge(peer: number, ack: Ack, weight: number): boolean {
    if (this.acks[peer]) return false;
    grow(this.acks, peer, undefined);
    this.acks[peer] = ack;
    this.ackWeight += weight;
    return true;
  }

  vote(peer: number, x: number, k: number): void {
    if (this.voteTicks.length <= peer) {
      grow(this.voteTicks, peer, -1);
      grow(this.voteXs, peer, 0);
    }
    if (k <= (this.voteTicks[peer] as number)) return;
    this.voteTicks[peer] = k;
    this.voteXs[peer] = x;
  }

  /**
   * Whether tick `k` lists it. With `isThinned`: when it is new; when its vote moved, once it is
   * available (before, every acknowledgement moves it); else in every fourth tick, and votes count for
   * that long.
   */
  isListed(k: number, isThinned: boolean): boolean {
    const x = this.x as number;
    const isAvailable = this.availableAtUs !== undefined;
    const isDue =
      !isThinned ||
      this.#listedX === undefined ||
      (isAvailable && Math.abs(this.#listedX - x) > STILL_US) ||
      (k + this.name.author + this.name.seq) % THIN_TICKS === 0;
    if (isDue) this.#listedX = x;
    return isDue;
  }

  #acks(weightOf: (peer: number) => number): { x0s: number[]; weights: number[] } {
    const x0s: number[] = [];
    const weights: number[] = [];
    for (const [peer, ack] of this.acks.entries()) {
      const weight = weightOf(peer);
      if (!ack || weight === 0) continue;
      x0s.push(ack.x0);
      weights.push(weight);
    }
    return { x0s, weights };
  }

  /** Median of the acknowledgements held, once they weigh 2r + 1: a newcomer starts where others are. */
  adopted(weightOf: (peer: number) => number, lying: number): number | undefined {
    if (this.ackWeight < 2 * lying + 1) return undefined;
    const { x0s, weights } = this.#acks(weightOf);
    return lowerWeightedMedian(x0s, weights);
  }

  /** Keeps `x` within what honest validators acknowledged: valid for certain, not just likely. */
  clamped(x: number, weightOf: (peer: number) => number, lying: number): number {
    if (this.ackWeight < 2 * lying + 1) return x;
    if (this.#bounds?.ackWeight !== this.ackWeight) {
      const { x0s, weights } = this.#acks(weightOf);
      const low = valueAbove(x0s, weights, lying) ?? Number.NEGATIVE_INFINITY;
      const negated = x0s.map((x0) => -x0);
      const high = -(valueAbove(negated, weights, lying) ?? Number.NEGATIVE_INFINITY);
      this.#bounds = { ackWeight: this.ackWeight, low, high };
    }
    return Math.min(Math.max(x, this.#bounds.low), this.#bounds.high);
  }
}

/** Fills a list up to an index, so that it stays a plain array. */
function grow<T>(values: T[], index: number, filler: T): void {
  while (values.length <= index) values.push(filler);
}

/** The blocks of one author in one era that are not final. */
export class AuthorChain {
  readonly era: number;
  readonly author: number;
  end: ChainEnd = CHAIN_START;
  readonly bySeq = new Map<number, OpenBlock[]>();

  constructor(era: number, author: number) {
    this.era = era;
    this.author = author;
  }

  accepts(seq: number): boolean {
    return seq > this.end.seq && seq <= this.end.seq + OPEN_PER_AUTHOR;
  }

  find(seq: number, hash: string): OpenBlock | undefined {
    return this.bySeq.get(seq)?.find(({ name }) => name.hash === hash);
  }

  /** The block of this name when nobody named another of its seq: all there is without a liar. */
  sole({ seq, hash }: BlockName): OpenBlock | undefined {
    const variants = this.bySeq.get(seq);
    const [only] = variants ?? [];
    return variants?.length === 1 && only?.name.hash === hash ? only : undefined;
  }

  open(name: BlockName): OpenBlock {
    const known = this.find(name.seq, name.hash);
    if (known) return known;
    const block = new OpenBlock({
      era: name.era,
      author: name.author,
      seq: name.seq,
      hash: name.hash,
    });
    const variants = this.bySeq.get(name.seq);
    if (variants) variants.push(block);
    else this.bySeq.set(name.seq, [block]);
    return block;
  }

  /** Another block of the same seq that the peer acknowledged before. */
  otherAck(peer: number, { seq, hash }: BlockName): Ack | undefined {
    const variants = this.bySeq.get(seq);
    if (!variants) return undefined;
    for (const { name, acks } of variants) if (name.hash !== hash && acks[peer]) return acks[peer];
    return undefined;
  }

  /** The available block of a seq, if any: weight Q makes it unique. */
  available(seq: number): OpenBlock | undefined {
    return this.bySeq.get(seq)?.find(({ availableAtUs }) => availableAtUs !== undefined);
  }

  /** Available blocks in a row from the last final one, each with its raw position as seen here. */
  *row(): Generator<{ readonly block: OpenBlock; readonly raw: number }> {
    let { raw } = this.end;
    for (let seq = this.end.seq + 1; ; seq++) {
      const block = this.available(seq);
      if (block?.x === undefined) return;
      raw = Math.max(raw, block.x);
      yield { block, raw };
    }
  }

  finalise(end: ChainEnd): void {
    this.end = end;
    for (const seq of this.bySeq.keys()) if (seq <= end.seq) this.bySeq.delete(seq);
  }
}
