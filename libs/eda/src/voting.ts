/**
 * Layer B: one slot after the other, views with leaders, PREPARE and COMMIT certificates, locks,
 * NEWVIEW justifications and the pacemaker. Everything that is signed goes through the journal first.
 */
import { VIEWS_AHEAD } from './ballots.ts';
import { cutHash, deriveCut } from './cuts.ts';
import { bodyFetches, lockSigners, signersOf, verdictOnProposal, weighed } from './judgements.ts';
import type {
  Body,
  Certificate,
  MessageOf,
  NewView,
  Proposal,
  Sealed,
  SignedKind,
  SignedMessages,
  Vote,
} from './messages.ts';
import type { EdaRules } from './rules.ts';
import { SlotVotes, type VoteKind } from './slot-votes.ts';
import type { EdaEffect } from './types.ts';
import { leaderOf } from './validator-set.ts';
import {
  type VoteState,
  boundHash,
  mayCommit,
  mayPrepare,
  raiseLock,
  reportedLock,
} from './vote-rules.ts';
import {
  type OwnMessage,
  type OwnMessages,
  RESEND_DELTAS,
  TIMER_DELTAS,
  type SlotContext,
  type VotingHost,
  type VotingRecord,
  viewTimeoutUs,
  votingRecord,
} from './voting-types.ts';

export class Voting {
  readonly #host: VotingHost;
  readonly #rules: EdaRules;
  readonly #slot: SlotContext;
  #state: VoteState = { view: 0 };
  #highQc: Certificate | undefined;
  readonly #said: SlotVotes;
  readonly #bodies = new Map<string, Body>();
  #proposal: Sealed<Proposal> | undefined;
  #proposedView = -1;
  #decided: Certificate | undefined;
  /** Own signed messages to send again. */
  #own: OwnMessages = {};
  readonly #startUs: number;
  #listableAtUs: number | undefined;
  /** From when on a cut could be listed and voted on here: the timer of view 0. */
  #timedFromUs: number | undefined;
  /** The time of the first leader's cut has come. */
  #isOpened = false;
  #deadlineUs: number | undefined;
  #resendAtUs: number;
  #fetchAtUs = 0;
  #fetches = 0;
  readonly #leaders = new Map<number, number>();

  constructor(host: VotingHost, slot: SlotContext, nowUs: number, saved?: VotingRecord) {
    this.#host = host;
    this.#rules = host.rules;
    this.#slot = slot;
    this.#said = new SlotVotes(host, slot);
    this.#startUs = nowUs;
    this.#resendAtUs = nowUs + RESEND_DELTAS * host.deltaUs;
    if (saved) this.#restore(saved);
  }

  get #newViews() {
    return this.#said.newViews;
  }
  get slot(): number {
    return this.#slot.slot;
  }
  get state(): VoteState {
    return this.#state;
  }

  #restore(saved: VotingRecord): void {
    const { view, prepared, committed, highQc } = saved;
    this.#highQc = highQc ?? undefined;
    this.#state = {
      view,
      ...(prepared && { prepared }),
      ...(committed && { committed }),
      ...(highQc && { lock: { view: highQc.view, hash: highQc.hash } }),
    };
    for (const body of saved.bodies) this.#bodies.set(cutHash(body), body);
    for (const message of saved.sent)
      if (message.kind in { newview: 1, proposal: 1, prepare: 1, commit: 1 })
        this.#own = { ...this.#own, [message.kind]: message };
    this.#resendAtUs = 0;
    const { newview, proposal, prepare, commit } = this.#own;
    const out: EdaEffect[] = [];
    if (newview?.kind === 'newview') this.#newViews.add(newview);
    if (proposal?.kind === 'proposal') {
      this.#proposedView = proposal.message.view;
      this.#proposal = proposal;
    }
    if (prepare?.kind === 'prepare') this.#count('prepare', prepare, out);
    if (commit?.kind === 'commit') this.#count('commit', commit, out);
  }

  // Pace.

  /** Everything that time alone causes. */
  wake(nowUs: number, out: EdaEffect[]): void {
    if (this.#decided) return this.#fetchDecided(nowUs, out);
    const { deltaUs, cutIntervalUs } = this.#host;
    if (this.#state.view === 0) {
      const { isListable, isOverdue } = this.#host.backlog(nowUs);
      // Before the slot before is executed here, nothing can be listed or voted on in any view.
      const isReady = this.#host.context() !== undefined;
      if (isListable) this.#listableAtUs ??= nowUs;
      if (isListable && isReady) this.#timedFromUs ??= nowUs;
      this.#proposeFirst(nowUs, out);
      const timeout = (this.#timedFromUs ?? Number.POSITIVE_INFINITY) + cutIntervalUs;
      // Where a cut is proposed, the timer says when that was in vain.
      const isWaiting = isReady && this.#proposal === undefined;
      const isDue = isOverdue && isWaiting && nowUs >= this.#startUs + cutIntervalUs;
      if (nowUs >= timeout + TIMER_DELTAS * deltaUs || isDue) this.#enterView(1, nowUs, out);
    } else if (this.#deadlineUs !== undefined && nowUs >= this.#deadlineUs) {
      this.#enterView(this.#state.view + 1, nowUs, out);
    }
    this.again(nowUs, out);
    if (nowUs >= this.#resendAtUs && this.#rules.resend) {
      this.#resendAtUs = nowUs + RESEND_DELTAS * deltaUs;
      for (const message of Object.values(this.#own)) this.#send(message, out);
    }
  }

  /** Time of the next thing that `wake` would do by itself (besides the checks of every tick). */
  get nextWakeUs(): number {
    // A decided slot that waits for its body asks at every tick; its timer is over.
    if (this.#decided) return Number.POSITIVE_INFINITY;
    const isWaitingToOpen = this.#state.view === 0 && !this.#isOpened && this.#leads(0);
    if (isWaitingToOpen) return this.#slot.openAtUs;
    return this.#deadlineUs ?? Number.POSITIVE_INFINITY;
  }

  #enterView(view: number, nowUs: number, out: EdaEffect[]): void {
    if (view <= this.#state.view || this.#decided) return;
    this.#state = { ...this.#state, view };
    this.#deadlineUs = undefined;
    this.#proposal = undefined;
    if (this.#host.myIndex < 0) return;
    const lock = reportedLock(this.#state, this.#rules);
    const { chain, era, slot, prevHash, prevTimeUs } = this.#slot;
    const timeUs = Math.max(prevTimeUs + 1, this.#host.cutTimeUs(nowUs));
    const sealed = this.#seal('newview', {
      chain,
      era,
      slot,
      prevHash,
      view,
      timeUs,
      highQc: lock ? (this.#highQc ?? null) : null,
      reports: this.#host.reports(),
    });
    this.#own = { newview: { kind: 'newview', ...sealed } };
    this.#say('newview', nowUs, out);
    this.#newViews.add(sealed);
    this.#afterNewView(nowUs, out);
  }

  #say(kind: keyof OwnMessages, nowUs: number, out: EdaEffect[]): void {
    const message = this.#own[kind];
    if (!message) return;
    const sent = Object.values(this.#own);
    const record = votingRecord(this.#slot, this.#state, this.#highQc, this.#bodies, sent);
    out.push({ kind: 'journal', record });
    this.#send(message, out);
    this.#resendAtUs = nowUs + RESEND_DELTAS * this.#host.deltaUs;
  }

  /** To all; votes of large sets to the leader who adds them up. */
  #send(message: OwnMessage, out: EdaEffect[]): void {
    const { set } = this.#slot;
    if (!set.isLarge || (message.kind !== 'prepare' && message.kind !== 'commit')) {
      out.push({ kind: 'broadcast', message });
      return;
    }
    const leader = this.#leader(message.message.view);
    const to = set.validators[leader]?.publicKey ?? '';
    if (leader !== this.#host.myIndex) out.push({ kind: 'send', to, message });
  }

  #seal<K extends SignedKind>(kind: K, message: SignedMessages[K]): Sealed<SignedMessages[K]> {
    return { from: this.#host.myIndex, message, signature: this.#host.auth.sign(kind, message) };
  }

  // Proposals.

  #leader(view: number): number {
    const { set, beacon, slot } = this.#slot;
    const leader = this.#leaders.get(view) ?? leaderOf(set, beacon, slot, view);
    this.#leaders.set(view, leader);
    return leader;
  }

  /** When the slot could first be voted on: it was open, and there was something to list. */
  get openedAtUs(): number {
    return Math.max(this.#slot.openAtUs, this.#listableAtUs ?? 0);
  }

  #leads(view: number): boolean {
    return this.#leader(view) === this.#host.myIndex;
  }

  /** The first leader's cut, once the slot is open and there is something to list. */
  #proposeFirst(nowUs: number, out: EdaEffect[]): void {
    if (this.#decided || this.#state.view > 0 || this.#proposedView >= 0) return;
    if (nowUs < this.#slot.openAtUs) return;
    this.#isOpened = true;
    if (!this.#leads(0) || !mayPrepare(this.#state, 0)) return;
    const context = this.#host.context();
    const cut = context && this.#host.firstCut(context, nowUs);
    if (!context || !cut) return;
    this.#propose(this.#host.completeBody(context, cut.timeUs, cut.entries), 0, [], nowUs, out);
  }

  #propose(
    body: Body,
    view: number,
    justification: readonly Sealed<NewView>[],
    nowUs: number,
    out: EdaEffect[],
  ): void {
    this.#proposedView = view;
    const { chain, era, slot } = this.#slot;
    const sealed = this.#seal('proposal', { chain, era, slot, view, body, justification });
    this.#own = { ...this.#own, proposal: { kind: 'proposal', ...sealed } };
    this.#bodies.set(cutHash(body), body);
    this.#proposal = sealed;
    this.#host.signedTime(body.timeUs);
    this.#say('proposal', nowUs, out);
    this.#consider(nowUs, out);
  }

  onProposal(sealed: Sealed<Proposal>, nowUs: number, out: EdaEffect[]): void {
    const { view, body } = sealed.message;
    // What was checked when it came by itself need not be checked again.
    const justification = sealed.message.justification.map((nv) => this.#said.known(nv) ?? nv);
    if (this.#decided || view < this.#state.view) return;
    if (view > this.#state.view + VIEWS_AHEAD && justification.length === 0) return;
    if (sealed.from !== this.#leader(view)) return;
    const before = this.#proposal;
    if (before?.message.view === view && before.from === sealed.from) return;
    if (!this.#said.isSigned('proposal', sealed)) return;
    const isFirst = view === 0 && justification.length === 0;
    if (!isFirst && !this.#said.isJustified(view, justification)) return;
    // A valid justification moves its reader.
    if (view > this.#state.view) this.#enterView(view, nowUs, out);
    for (const newView of justification) {
      this.#newViews.add(newView);
      this.#raise(newView.message.highQc);
    }
    this.#proposal = { ...sealed, message: { ...sealed.message, justification } };
    if (this.#bodies.size < VIEWS_AHEAD) this.#bodies.set(cutHash(body), body);
    this.#consider(nowUs, out);
  }

  /** Looks at the current proposal again: PREPARE it, wait, or leave the view. */
  #consider(nowUs: number, out: EdaEffect[]): void {
    const proposal = this.#proposal;
    if (!proposal || proposal.message.view !== this.#state.view || this.#decided) return;
    const { view, body } = proposal.message;
    if (this.#host.myIndex < 0 || !mayPrepare(this.#state, view)) return;
    const verdict = verdictOnProposal(
      this.#host,
      this.#slot.set,
      proposal.message,
      this.#leader(view),
      nowUs,
    );
    if (verdict === 'refuse') this.#enterView(view + 1, nowUs, out);
    if (verdict !== 'accept') return;
    const hash = cutHash(body);
    this.#state = { ...this.#state, prepared: { view, hash } };
    this.#bodies.set(hash, body);
    this.#vote('prepare', view, hash, nowUs, out);
  }

  // NEWVIEW.

  onNewView(sealed: Sealed<NewView>, nowUs: number, out: EdaEffect[]): void {
    if (this.#decided || sealed.message.view < this.#state.view) return;
    if (this.#said.known(sealed)) return;
    if (!this.#said.isValidNewView(sealed) || !this.#said.addNewView(sealed, out)) return;
    this.#raise(sealed.message.highQc);
    this.#afterNewView(nowUs, out);
  }

  /** The pacemaker: joins views that weight > r is in, starts the timer once weight Q is there. */
  #afterNewView(nowUs: number, out: EdaEffect[]): void {
    const joinable = this.#newViews.joinable(this.#state.view);
    if (joinable !== undefined) return this.#enterView(joinable, nowUs, out);
    const { view } = this.#state;
    if (view > 0 && this.#newViews.weightFrom(view) >= this.#said.quorum)
      this.#deadlineUs ??= nowUs + viewTimeoutUs(view, this.#host.deltaUs);
    this.#lead(nowUs, out);
  }

  /** As leader of a later view: proposes once weight Q of NEWVIEWs is there. */
  #lead(nowUs: number, out: EdaEffect[]): void {
    const { view } = this.#state;
    if (view < 1 || this.#proposedView >= view || this.#leader(view) !== this.#host.myIndex) return;
    const justification = this.#newViews.justification(view, this.#said.quorum);
    if (!justification) return;
    const bound = boundHash(justification.map(({ message }) => message.highQc));
    if (bound !== undefined) {
      const body = this.#bodies.get(bound);
      if (body) this.#propose(body, view, justification, nowUs, out);
      else this.#fetchBody(bound, lockSigners(justification, bound), nowUs, out);
      return;
    }
    const context = this.#host.context();
    if (!context) return;
    const cut = deriveCut(context, weighed(this.#slot.set, justification), this.#rules);
    const body = this.#host.completeBody(context, cut.timeUs, cut.entries);
    this.#propose(body, view, justification, nowUs, out);
  }

  // Votes.

  #vote(kind: VoteKind, view: number, hash: string, nowUs: number, out: EdaEffect[]) {
    const { chain, era, slot, set } = this.#slot;
    const message = { chain, era, slot, view, hash };
    const { auth, myIndex: from } = this.#host;
    const sign = set.isLarge ? auth.bls.signerOf(set.validators[from]?.bls) : undefined;
    const sealed = sign
      ? { from, message, signature: sign(kind, message) }
      : this.#seal(kind, message);
    this.#own = { ...this.#own, [kind]: { kind, ...sealed } };
    this.#say(kind, nowUs, out);
    this.#count(kind, sealed, out);
    this.#afterVote(kind, view, hash, nowUs, out);
  }

  /** Counts a vote; in large sets only as the leader it is for. */
  #count(kind: VoteKind, sealed: Sealed<Vote>, out: EdaEffect[]): boolean {
    if (!this.#slot.set.isLarge) return this.#said.count(kind, sealed, out);
    const isMine = this.#leader(sealed.message.view) === this.#host.myIndex;
    if (isMine) this.#said.collect(kind, sealed);
    return isMine;
  }

  onVote(kind: VoteKind, sealed: Sealed<Vote>, nowUs: number, out: EdaEffect[]): void {
    const { view, hash } = sealed.message;
    const { set } = this.#slot;
    if (this.#decided || view > this.#state.view + VIEWS_AHEAD) return;
    if (this.#said.hasVote(kind, sealed)) return;
    if (set.isLarge && this.#leader(view) === this.#host.myIndex) {
      const certificate = this.#said.certificate(kind, view, hash);
      const to = set.validators[sealed.from]?.publicKey;
      // Who sends its vote again has not got it.
      if (certificate && to !== undefined) {
        out.push({ kind: 'send', to, message: this.#certified(kind, certificate) });
        return;
      }
    } else {
      const { committed } = this.#state;
      const isSpare = kind === 'prepare' && committed?.view === view && committed.hash === hash;
      if (isSpare) return this.#said.spare(sealed);
      if (!this.#said.isSigned(kind, sealed)) return;
    }
    if (this.#count(kind, sealed, out)) this.#afterVote(kind, view, hash, nowUs, out);
  }

  #certified(what: VoteKind, certificate: Certificate): MessageOf<'certified'> {
    const { chain, era, slot } = this.#slot;
    return { kind: 'certified', what, chain, era, slot, certificate };
  }

  /** A leader's certificate. */
  onCertified(
    { what, certificate }: MessageOf<'certified'>,
    nowUs: number,
    out: EdaEffect[],
  ): void {
    if (this.#decided || !this.#slot.set.isLarge) return;
    if (certificate.view > this.#state.view + VIEWS_AHEAD) return;
    if (!this.#said.isCertificate(what, certificate)) return;
    this.#onCertificate(what, certificate, nowUs, out);
  }

  #afterVote(kind: VoteKind, view: number, hash: string, nowUs: number, out: EdaEffect[]): void {
    const certificate = this.#said.certificate(kind, view, hash);
    if (!certificate) return;
    if (this.#slot.set.isLarge)
      out.push({ kind: 'broadcast', message: this.#certified(kind, certificate) });
    this.#onCertificate(kind, certificate, nowUs, out);
  }

  #onCertificate(kind: VoteKind, certificate: Certificate, nowUs: number, out: EdaEffect[]): void {
    if (kind === 'commit') return this.#decide(certificate, nowUs, out);
    this.#raise(certificate);
    const { view, hash } = certificate;
    if (this.#host.myIndex < 0 || !mayCommit(this.#state, view, this.#rules)) return;
    this.#state = { ...this.#state, committed: { view, hash } };
    this.#vote('commit', view, hash, nowUs, out);
  }

  #raise(certificate: Certificate | null): void {
    if (!certificate) return;
    const { view, hash } = certificate;
    const raised = raiseLock(this.#state, { view, hash });
    if (raised === this.#state) return;
    this.#state = raised;
    this.#highQc = certificate;
  }

  // Decisions.

  /** A decision with its body, told by a peer. */
  onFinal(body: Body, certificate: Certificate, nowUs: number, out: EdaEffect[]): void {
    if (body.slot !== this.#slot.slot || cutHash(body) !== certificate.hash) return;
    if (this.#decided === undefined && !this.#said.isCertificate('commit', certificate)) return;
    if (this.#decided && this.#decided.hash !== certificate.hash) return;
    this.#bodies.set(certificate.hash, body);
    this.#decide(certificate, nowUs, out);
  }

  #decide(certificate: Certificate, nowUs: number, out: EdaEffect[]): void {
    this.#decided = certificate;
    const body = this.#bodies.get(certificate.hash);
    if (body) this.#host.decided(body, certificate, nowUs, out);
    else this.#fetchDecided(nowUs, out);
  }

  #fetchDecided(nowUs: number, out: EdaEffect[]): void {
    if (!this.#decided || this.#bodies.has(this.#decided.hash)) return;
    this.#fetchBody(this.#decided.hash, signersOf(this.#decided), nowUs, out);
  }

  #fetchBody(hash: string, signers: readonly number[], nowUs: number, out: EdaEffect[]): void {
    if (nowUs < this.#fetchAtUs) return;
    this.#fetchAtUs = nowUs + 2 * this.#host.deltaUs;
    out.push(...bodyFetches(hash, signers, this.#slot.set, this.#host.myIndex, this.#fetches++));
  }

  body(hash: string): Body | undefined {
    return this.#bodies.get(hash);
  }

  /** A body that was asked for. */
  onBody(body: Body, nowUs: number, out: EdaEffect[]): void {
    const hash = cutHash(body);
    const isWanted = hash === this.#decided?.hash || hash === this.#highQc?.hash;
    if (!isWanted || this.#bodies.has(hash)) return;
    this.#bodies.set(hash, body);
    if (this.#decided) this.#decide(this.#decided, nowUs, out);
    else this.#lead(nowUs, out);
  }

  /** The state of the slot before is known now, or blocks arrived: looks again. */
  again(nowUs: number, out: EdaEffect[]): void {
    this.#proposeFirst(nowUs, out);
    this.#lead(nowUs, out);
    this.#consider(nowUs, out);
  }
}
