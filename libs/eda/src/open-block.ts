/** A block that is not final yet, as one node sees it, and the chain of its author. */
import { CHAIN_START, type ChainEnd } from './cuts.ts';
import type { BlockName, SealedBlock } from './messages.ts';
import { lowerWeightedMedian, valueAbove } from './weighted.ts';

/** Unordered blocks an author may have at once. */
export const OPEN_PER_AUTHOR = 8;

export class OpenBlock {
  readonly name: BlockName;
  /** Held here, with payload; acknowledged or not. */
  block: SealedBlock | undefined;
  /** This node's acknowledgement is in its ticks. */
  isAcked = false;
  /** Axis at which this node first held it, and its vote; undefined while it has none. */
  x0: number | undefined;
  x: number | undefined;
  readonly ackX0 = new Map<number, number>();
  ackWeight = 0;
  /** Vote by peer, with the tick it came in. */
  readonly votes = new Map<number, { x: number; k: number }>();
  /** Monotonic time at which acknowledgements of weight Q were held; undefined before. */
  availableAtUs: number | undefined;
  quietTicks = 0;
  isConverged = false;
  /** Earliest monotonic time to ask (again) for its payload. */
  askAtUs = 0;
  asked = 0;

  constructor(name: BlockName) {
    this.name = name;
  }

  /** Notes a peer's acknowledgement; false when it was known. */
  acknowledge(peer: number, x0: number, weight: number): boolean {
    if (this.ackX0.has(peer)) return false;
    this.ackX0.set(peer, x0);
    this.ackWeight += weight;
    return true;
  }

  #acks(weightOf: (peer: number) => number): { x0s: number[]; weights: number[] } {
    const x0s: number[] = [];
    const weights: number[] = [];
    for (const [peer, x0] of this.ackX0) {
      const weight = weightOf(peer);
      if (weight === 0) continue;
      x0s.push(x0);
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
    const { x0s, weights } = this.#acks(weightOf);
    const low = valueAbove(x0s, weights, lying) ?? x;
    const negated = x0s.map((x0) => -x0);
    const high = -(valueAbove(negated, weights, lying) ?? -x);
    return Math.min(Math.max(x, low), high);
  }
}

/** The blocks of one author in one era that are not final. */
export class AuthorChain {
  readonly era: number;
  readonly author: number;
  end: ChainEnd = CHAIN_START;
  readonly bySeq = new Map<number, OpenBlock[]>();
  /** First hash that each peer acknowledged per seq: a second one does not count. */
  readonly firstAck = new Map<string, string>();

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

  open(name: BlockName): OpenBlock {
    const known = this.find(name.seq, name.hash);
    if (known) return known;
    const block = new OpenBlock(name);
    const variants = this.bySeq.get(name.seq);
    if (variants) variants.push(block);
    else this.bySeq.set(name.seq, [block]);
    return block;
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
    for (const key of this.firstAck.keys())
      if (Number(key.slice(key.indexOf('/') + 1)) <= end.seq) this.firstAck.delete(key);
  }
}
