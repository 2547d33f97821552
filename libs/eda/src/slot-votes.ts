/**
 * What the validators of one slot said: PREPAREs, COMMITs and NEWVIEWs, checked and counted. What
 * contradicts itself becomes evidence.
 */
import { type Bytes, concatBytes, equalBytes } from '#libs/kernel';
import { Ballots } from './ballots.ts';
import { type Statement, isContradiction } from './evidence.ts';
import { aggregateWeight, namedWeight } from './aggregate.ts';
import { type BlsTally, tallyOf } from './bls-tally.ts';
import { certificateWeight, justifyingWeight, voteOf } from './judgements.ts';
import type {
  Aggregate,
  Certificate,
  NewView,
  Sealed,
  SignedKind,
  SignedMessages,
  Vote,
} from './messages.ts';
import { NewViews } from './new-views.ts';
import type { EdaEffect } from './types.ts';
import type { SlotContext, VotingHost } from './voting-types.ts';

export type VoteKind = 'prepare' | 'commit';

/** Votes of certificates that were found genuine, remembered per slot. */
const GENUINE_MAX = 16_384;

/** Votes a leader counts at once: two kinds, its views, what liars add. */
const TALLIES_MAX = 64;

/** PREPAREs put aside per slot. */
const SPARE_MAX = 1024;

export class SlotVotes {
  readonly #host: VotingHost;
  readonly #slot: SlotContext;
  readonly prepares: Ballots;
  readonly commits: Ballots;
  readonly newViews: NewViews;
  /** Large sets: votes that came to this node as leader. */
  readonly #tallies = new Map<string, BlsTally>();
  /** PREPAREs for what this node has sent its COMMIT for: not checked, for they can only be evidence. */
  readonly #spare = new Map<string, Sealed<Vote>>();
  /** Reported once per validator and slot. */
  readonly #accused = new Set<number>();
  /** Signatures found genuine, by what they sign: every NEWVIEW repeats the same certificate. */
  readonly #genuine = new Map<string, Bytes>();

  constructor(host: VotingHost, slot: SlotContext) {
    this.#host = host;
    this.#slot = slot;
    this.prepares = new Ballots(slot.set);
    this.commits = new Ballots(slot.set);
    this.newViews = new NewViews(slot.set);
  }

  get quorum(): number {
    return this.#slot.set.quorum - (this.#host.rules.fullQuorum ? 0 : 1);
  }

  isSigned<K extends SignedKind>(kind: K, sealed: Sealed<SignedMessages[K]>): boolean {
    const publicKey = this.#slot.set.validators[sealed.from]?.publicKey;
    if (publicKey === undefined) return false;
    return this.#host.auth.verify(publicKey, kind, sealed.message, sealed.signature);
  }

  #key(kind: VoteKind, { view, hash }: { readonly view: number; readonly hash: string }): string {
    return `${kind}/${view}/${hash}`;
  }

  /** A vote that was counted already. */
  hasVote(kind: VoteKind, { from, message }: Sealed<Vote>): boolean {
    return this.ballots(kind).voteOf(message.view, from)?.message.hash === message.hash;
  }

  /** Puts aside a PREPARE that can change nothing any more; it is checked if its sender contradicts it. */
  spare(sealed: Sealed<Vote>): void {
    const key = `${sealed.message.view}/${sealed.from}`;
    if (this.#spare.size < SPARE_MAX && !this.#spare.has(key)) this.#spare.set(key, sealed);
  }

  /** Large sets: takes a vote as leader; it is checked in the sum. */
  collect(kind: VoteKind, { from, message, signature }: Sealed<Vote>): void {
    const key = this.#key(kind, message);
    let tally = this.#tallies.get(key);
    if (!tally) {
      if (this.#tallies.size >= TALLIES_MAX) return;
      tally = tallyOf(this.#host.auth.bls, this.#slot.set, kind, message);
      this.#tallies.set(key, tally);
    }
    tally.add(from, signature);
  }

  /** The certificate of votes counted here, once they weigh Q. */
  certificate(kind: VoteKind, view: number, hash: string): Certificate | undefined {
    if (!this.#slot.set.isLarge) return this.ballots(kind).certificate(view, hash, this.quorum);
    const aggregate = this.#tallies.get(this.#key(kind, { view, hash }))?.aggregate(this.quorum);
    return aggregate && { view, hash, votes: [], aggregate };
  }

  ballots(kind: VoteKind): Ballots {
    return kind === 'prepare' ? this.prepares : this.commits;
  }

  /** Counts a verified vote; false when its sender voted otherwise before. */
  count(kind: VoteKind, sealed: Sealed<Vote>, out: EdaEffect[]): boolean {
    if (kind === 'prepare') this.#countSpare(sealed);
    const contradicted = this.ballots(kind).add(sealed);
    if (contradicted) this.#accuse({ kind, ...contradicted }, { kind, ...sealed }, out);
    else if (kind === 'commit')
      for (const newView of this.newViews.of(sealed.from))
        this.#accuse({ kind, ...sealed }, { kind: 'newview', ...newView }, out);
    return contradicted === undefined;
  }

  /** What its sender said before, if that was put aside: now it matters. */
  #countSpare({ from, message }: Sealed<Vote>): void {
    const spare = this.#spare.get(`${message.view}/${from}`);
    if (spare && this.isSigned('prepare', spare)) this.prepares.add(spare);
  }

  /** Keeps a verified NEWVIEW; false when its sender said another thing for this view before. */
  addNewView(sealed: Sealed<NewView>, out: EdaEffect[]): boolean {
    const { from, message } = sealed;
    const known = this.newViews.get(from, message.view);
    const newView = { kind: 'newview', ...sealed } as const;
    if (known) this.#accuse({ kind: 'newview', ...known }, newView, out);
    else {
      this.newViews.add(sealed);
      for (const commit of this.commits.of(from))
        this.#accuse({ kind: 'commit', ...commit }, newView, out);
    }
    return known === undefined;
  }

  #accuse(first: Statement, second: Statement, out: EdaEffect[]): void {
    const publicKey = this.#slot.set.validators[second.from]?.publicKey ?? '';
    if (this.#accused.has(second.from) || !isContradiction(first, second)) return;
    this.#accused.add(second.from);
    const { kind: what } = first;
    out.push({ kind: 'evidence', what, otherWhat: second.kind, publicKey, first, second });
  }

  isValidNewView(sealed: Sealed<NewView>): boolean {
    const { message } = sealed;
    if (message.slot !== this.#slot.slot || message.prevHash !== this.#slot.prevHash) return false;
    if (message.era !== this.#slot.era || message.view < 1) return false;
    const { highQc } = message;
    if (highQc && (highQc.view >= message.view || !this.isCertificate('prepare', highQc)))
      return false;
    return this.isSigned('newview', sealed);
  }

  /** Whether this NEWVIEW was taken before; what it says is then what is kept, whatever came now. */
  known(sealed: Sealed<NewView>): Sealed<NewView> | undefined {
    const kept = this.newViews.get(sealed.from, sealed.message.view);
    return kept && equalBytes(kept.signature, sealed.signature) ? kept : undefined;
  }

  /** Weight Q of NEWVIEWs for exactly this view, each valid. */
  isJustified(view: number, justification: readonly Sealed<NewView>[]): boolean {
    const isValid = (newView: Sealed<NewView>) =>
      this.newViews.get(newView.from, view) === newView || this.isValidNewView(newView);
    const weight = justifyingWeight(this.#slot.set, view, justification, isValid);
    return view >= 1 && weight >= this.quorum;
  }

  /** Whether the votes of a certificate are genuine and weigh Q. */
  isCertificate(kind: VoteKind, certificate: Certificate): boolean {
    const ballots = this.ballots(kind);
    const message = voteOf(this.#slot, certificate);
    const isGenuine = (from: number, signature: Bytes): boolean => {
      const vote = ballots.voteOf(message.view, from);
      const counted = vote?.message.hash === message.hash ? vote.signature : undefined;
      const key = `${this.#key(kind, message)}/${from}`;
      const known = counted ?? this.#genuine.get(key);
      if (known && equalBytes(known, signature)) return true;
      if (!this.isSigned(kind, { from, message, signature })) return false;
      if (this.#genuine.size < GENUINE_MAX) this.#genuine.set(key, signature);
      return true;
    };
    const sumWeight = (aggregate: Aggregate) => this.#sumWeight(kind, message, aggregate);
    return certificateWeight(this.#slot.set, certificate, isGenuine, sumWeight) >= this.quorum;
  }

  /** Every NEWVIEW repeats the same sum: it is checked once. */
  #sumWeight(kind: VoteKind, message: Vote, aggregate: Aggregate): number {
    const { set } = this.#slot;
    const bytes = concatBytes(aggregate.signers, aggregate.signature);
    const known = this.#genuine.get(this.#key(kind, message));
    if (known && equalBytes(known, bytes)) return namedWeight(set, aggregate);
    const weight = aggregateWeight(set, kind, message, aggregate, this.#host.auth.bls.verify);
    if (weight > 0) this.#genuine.set(this.#key(kind, message), bytes);
    return weight;
  }
}
