/**
 * Availability in large sets: who holds a block tells a collector, which answers with one certificate of
 * weight Q for all. The collector is the block's author; a certificate that does not come is asked of
 * another validator every 4Δ, so that an author who died or keeps it for himself stops nothing.
 */
import { aggregateWeight } from './aggregate.ts';
import { type BlsTally, tallyOf } from './bls-tally.ts';
import type { AckVote, Aggregate, BlockHead, BlockName, MessageOf, Sealed } from './messages.ts';
import type { Roster } from './roster.ts';
import type { BlsVotes, EdaEffect } from './types.ts';
import type { ValidatorSet } from './validator-set.ts';

const TURN_DELTAS = 4;
/** Blocks of one author and number for which acknowledgements are collected. */
const VARIANTS_MAX = 4;

export interface AvailabilityOptions {
  readonly chain: string;
  readonly bls: BlsVotes;
  readonly roster: Roster;
  readonly seat: { readonly me: number };
  readonly deltaUs: number;
  /** Whether the block could still be ordered. */
  readonly isOrderable: (era: number, author: number, seq: number) => boolean;
  readonly available: (name: BlockName, nowUs: number) => EdaEffect[];
}

interface Waiting {
  readonly name: BlockName;
  readonly sinceUs: number;
  turn: number;
}

export class Availability {
  readonly #options: AvailabilityOptions;
  /** Own acknowledgements without a certificate, by block hash. */
  readonly #waiting = new Map<string, Waiting>();
  /** By era, author, seq; then hash. */
  readonly #tallies = new Map<string, Map<string, BlsTally>>();
  readonly #certified = new Map<string, MessageOf<'available'>>();

  constructor(options: AvailabilityOptions) {
    this.#options = options;
  }

  /** Looks for blocks that this node wrote down: its acknowledgements. */
  note(
    effects: readonly EdaEffect[],
    hashOf: (head: BlockHead) => string,
    nowUs: number,
  ): EdaEffect[] {
    const out: EdaEffect[] = [];
    for (const effect of effects) {
      if (effect.kind !== 'journal' || effect.record.kind !== 'block') continue;
      const { era, author, seq } = effect.record.block.message;
      if (!this.#options.roster.at(era).set.isLarge) continue;
      const hash = hashOf(effect.record.block.message);
      if (this.#certified.has(hash)) continue;
      const waiting = { name: { era, author, seq, hash }, sinceUs: nowUs, turn: -1 };
      this.#waiting.set(hash, waiting);
      this.#tell(waiting, nowUs, out);
    }
    return out;
  }

  wake(nowUs: number, out: EdaEffect[]): void {
    for (const [hash, waiting] of this.#waiting) {
      const { era, author, seq } = waiting.name;
      if (this.#options.isOrderable(era, author, seq)) this.#tell(waiting, nowUs, out);
      else this.#waiting.delete(hash);
    }
  }

  /** Tells the collector whose turn it is, once per turn. */
  #tell(waiting: Waiting, nowUs: number, out: EdaEffect[]): void {
    const { chain, bls, roster, seat, deltaUs } = this.#options;
    const { name, sinceUs } = waiting;
    const turn = Math.floor((nowUs - sinceUs) / (TURN_DELTAS * deltaUs));
    const { set, indexOf } = roster.at(name.era);
    const from = indexOf(seat.me);
    const sign = bls.signerOf(set.validators[from]?.bls);
    if (turn <= waiting.turn || !sign) return;
    waiting.turn = turn;
    const message: AckVote = { chain, ...name };
    const sealed = { from, message, signature: sign('ack', message) };
    const collector = (name.author + turn) % set.validators.length;
    const to = set.validators[collector]?.publicKey ?? '';
    if (collector === from) this.onAck(sealed, nowUs, out);
    else out.push({ kind: 'send', to, message: { kind: 'ack', ...sealed } });
  }

  /** Collects; who asks for a certificate that stands gets it. */
  onAck(sealed: Sealed<AckVote>, nowUs: number, out: EdaEffect[]): void {
    const { chain, bls, roster, isOrderable } = this.#options;
    const { from, message, signature } = sealed;
    const { era, author, seq, hash } = message;
    if (message.chain !== chain || !isOrderable(era, author, seq)) return;
    const { set } = roster.at(era);
    const to = set.validators[from]?.publicKey;
    if (!set.isLarge || to === undefined) return;
    const known = this.#certified.get(hash);
    if (known) {
      out.push({ kind: 'send', to, message: known });
      return;
    }
    const tally = this.#tally(message, set, bls);
    if (!tally) return;
    tally.add(from, signature);
    const aggregate = tally.aggregate(set.quorum);
    if (!aggregate) return;
    const available = { kind: 'available', ack: message, aggregate } as const;
    out.push({ kind: 'broadcast', message: available });
    this.#take(message, aggregate, nowUs, out);
  }

  #tally(message: AckVote, set: ValidatorSet, bls: BlsVotes): BlsTally | undefined {
    const { era, author, seq, hash } = message;
    const place = `${era}/${author}/${seq}`;
    const variants = this.#tallies.get(place) ?? new Map<string, BlsTally>();
    this.#tallies.set(place, variants);
    const known = variants.get(hash);
    if (known || variants.size >= VARIANTS_MAX) return known;
    const tally = tallyOf(bls, set, 'ack', message);
    variants.set(hash, tally);
    return tally;
  }

  onAvailable(message: MessageOf<'available'>, nowUs: number, out: EdaEffect[]): void {
    const { chain, bls, roster, isOrderable } = this.#options;
    const { ack, aggregate } = message;
    if (ack.chain !== chain || this.#certified.has(ack.hash)) return;
    if (!isOrderable(ack.era, ack.author, ack.seq)) return;
    const { set } = roster.at(ack.era);
    if (!set.isLarge) return;
    if (aggregateWeight(set, 'ack', ack, aggregate, bls.verify) < set.quorum) return;
    this.#take(ack, aggregate, nowUs, out);
  }

  #take(ack: AckVote, aggregate: Aggregate, nowUs: number, out: EdaEffect[]): void {
    const { era, author, seq, hash } = ack;
    this.#certified.set(hash, { kind: 'available', ack, aggregate });
    this.#tallies.delete(`${era}/${author}/${seq}`);
    this.#waiting.delete(hash);
    out.push(...this.#options.available({ era, author, seq, hash }, nowUs));
  }

  /** What a final cut listed needs no certificate any more. */
  forget(names: readonly BlockName[]): void {
    for (const { era, author, seq, hash } of names) {
      this.#certified.delete(hash);
      this.#waiting.delete(hash);
      this.#tallies.delete(`${era}/${author}/${seq}`);
    }
  }

  /** Blocks of eras before the last one cannot be ordered any more. */
  enterEra(era: number): void {
    for (const [hash, { ack }] of this.#certified)
      if (ack.era < era - 1) this.#certified.delete(hash);
    for (const place of this.#tallies.keys())
      if (Number(place.split('/')[0]) < era - 1) this.#tallies.delete(place);
  }
}
