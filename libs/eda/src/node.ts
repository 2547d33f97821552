/**
 * The consensus of one validator as a reducer: `handle(event, nowUs)` changes the state and returns
 * what the host has to do, in order. It has no clock, socket, disk or randomness of its own, so the
 * same events give the same effects, byte for byte.
 *
 * `nowUs` is the host's monotonic clock, set once to wall time (µs).
 */
import type { Bytes } from '#libs/kernel';
import { Axis, CORRECTION_MAX_US } from './axis.ts';
import { crossesEra, genesisBase } from './base.ts';
import { Catchup } from './catchup.ts';
import { type ChainEnd } from './cuts.ts';
import { Decisions } from './decisions.ts';
import { tentativeOrder } from './local-checks.ts';
import {
  type Body,
  type Certificate,
  type EdaMessage,
  type MessageOf,
  type SealedBlock,
} from './messages.ts';
import { OwnChain } from './own-chain.ts';
import { nextOpening } from './pace.ts';
import { Positions, blockHash } from './positions.ts';
import { Recovery } from './recovery.ts';
import { Roster } from './roster.ts';
import { type EdaRules, SOUND_RULES } from './rules.ts';
import { Seals } from './seals.ts';
import { createSlotHost } from './slot-host.ts';
import { Strengths } from './strengths.ts';
import { TickLayer } from './tick-layer.ts';
import {
  type EdaConfig,
  type EdaEffect,
  type EdaEvent,
  type EdaParameters,
  type JournalRecord,
  MIN_CUT_INTERVAL_US,
  SETTLE_DELTAS,
} from './types.ts';
import { Voting } from './voting.ts';
import type { VotingHost, VotingRecord } from './voting-types.ts';

/** Stands for no key at all. */
const OBSERVER = '';

export class EdaNode {
  readonly #config: EdaConfig;
  readonly #rules: EdaRules;
  readonly #roster = new Roster();
  /** This node's number among validators; an observer's while it recovers. */
  readonly #seat: { me: number };
  readonly #recovery: Recovery;
  readonly #axis: Axis;
  readonly #positions: Positions;
  readonly #ticks: TickLayer;
  readonly #catchup: Catchup;
  readonly #strengths: Strengths;
  readonly #settleUs: number;
  readonly #cutIntervalUs: number;
  /** When the slot opens for its first leader. */
  #openAtUs: number;
  #voting: Voting;
  readonly #decisions: Decisions;
  #era: number;
  readonly #own = new OwnChain();
  readonly #seals: Seals;
  #nextTickUs = 0;
  #buffered: EdaMessage[] = [];
  #committedElsewhere = false;
  #restored: EdaEffect[] = [];

  constructor(config: EdaConfig, nowUs: number, journal: readonly JournalRecord[] = []) {
    const { parameters, genesisSet, genesisTimeUs } = config;
    this.#config = config;
    this.#rules = config.rules ?? SOUND_RULES;
    const base = config.base ?? genesisBase(config.chain, genesisTimeUs, parameters.eraUs);
    this.#era = base.era;
    this.#roster.install(Math.floor(genesisTimeUs / parameters.eraUs), genesisSet);
    for (const { era, set, ...changed } of config.sets ?? [])
      this.#roster.install(era, set, changed);
    this.#recovery = new Recovery(config.chain, config.journalLost === true);
    this.#seat = { me: this.#roster.numberOf(this.#recovery.isOver ? config.publicKey : OBSERVER) };
    this.#seals = new Seals(config, this.#roster, this.#seat);
    this.#axis = new Axis(parameters.deltaUs, base.timeUs);
    const shared = {
      roster: this.#roster,
      seat: this.#seat,
      rules: this.#rules,
      deltaUs: parameters.deltaUs,
      epsilonUs: parameters.epsilonUs,
    };
    this.#positions = new Positions(shared, this.#era);
    this.#ticks = new TickLayer({
      config,
      roster: this.#roster,
      seat: this.#seat,
      seals: this.#seals,
      axis: this.#axis,
      positions: this.#positions,
    });
    this.#catchup = new Catchup(parameters.deltaUs);
    this.#strengths = new Strengths(config.auth.bls, this.#seals, parameters);
    this.#settleUs = SETTLE_DELTAS * parameters.deltaUs;
    this.#cutIntervalUs = Math.max(MIN_CUT_INTERVAL_US, this.#settleUs);
    this.#decisions = new Decisions(base, config.baseRoots ?? config.genesisRoots);
    this.#ticks.enterEra(this.#era, this.#decisions.eraBeacon);
    for (const { era, author, ...end } of base.ends) this.#resume(era, author, end);
    this.#openAtUs = nowUs + this.#cutIntervalUs;
    this.#voting = this.#openSlot(nowUs);
    this.#restore(journal, nowUs);
  }

  get #me(): number {
    return this.#seat.me;
  }

  // What a host or an observer may ask.

  get slot(): number {
    return this.#voting.slot;
  }
  get view(): number {
    return this.#voting.state.view;
  }
  get era(): number {
    return this.#era;
  }
  /** In force in this era: what state changed, else what the chain began with. */
  get parameters(): EdaParameters {
    return { ...this.#config.parameters, ...this.#roster.at(this.#era).parameters };
  }
  get lastCut(): { readonly slot: number; readonly hash: string; readonly timeUs: number } {
    return this.#decisions.last;
  }
  /** It signs nothing: its journal was lost, or it does not know yet whether the chain is new. */
  get isWatching(): boolean {
    return !this.#recovery.isOver;
  }
  /** State of the votes in the current slot. */
  get votes() {
    return this.#voting.state;
  }
  get positions(): Positions {
    return this.#positions;
  }

  /** The node's tentative order: what is not final, by its own positions. */
  tentative(): readonly { readonly hash: string; readonly x: number }[] {
    return tentativeOrder(this.#positions, this.#era);
  }

  /** Whether an `author` event would be taken now. */
  get mayAuthor(): boolean {
    const index = this.#roster.at(this.#era).indexOf(this.#me);
    if (index < 0) return false;
    return this.#own.mayMake(this.#era, this.#positions.endOf(this.#era, index));
  }

  /** When the next `wake` is due. */
  get nextWakeUs(): number {
    return Math.min(this.#nextTickUs, this.#voting.nextWakeUs);
  }

  handle(event: EdaEvent, nowUs: number): EdaEffect[] {
    const out: EdaEffect[] = [];
    if (event.kind === 'wake') this.#wake(nowUs, out);
    else if (event.kind === 'message') this.#onMessage(event.peer, event.message, nowUs, out);
    else if (event.kind === 'author') this.#author(event.payload, event.count, nowUs, out);
    else if (event.kind === 'set') this.#roster.install(event.era, event.set, event);
    else if (event.kind === 'begin') {
      this.#recovery.begin(this.#decisions.last.slot);
      this.#settleRecovery(nowUs, out);
    } else if (event.slot === this.#decisions.executed.slot + 1) {
      this.#decisions.markExecuted(event.slot, event.roots, this.#positions.held);
      this.#decisions.release(this.#positions.held, out);
      this.#voting.again(nowUs, out);
    }
    return out;
  }

  // Start and restart.

  #restore(journal: readonly JournalRecord[], nowUs: number): void {
    const done: EdaEffect[] = [];
    let vote: VotingRecord | undefined;
    for (const record of journal) {
      if (record.kind === 'final') {
        if (record.body.slot === this.slot)
          this.#advance(record.body, record.certificate, nowUs, done);
      } else if (record.kind === 'block') {
        const effects = this.#positions.addBlock(record.block, record.x0, nowUs, record.x0);
        this.#ticks.acknowledged(effects, nowUs);
        this.#positions.held.set(blockHash(record.block.message), record.block);
        this.#noteOwn(record.block);
      } else if (record.kind === 'vote') {
        vote = record;
        this.#axis.raiseTo(record.floorUs);
      } else if (record.kind === 'ticks') {
        // A tick number that may have been used is never used again.
        this.#ticks.numbers.skipBelow(record.below);
      } else if (record.kind === 'recovery') this.#resumeRecovery(record);
      else this.#strengths.signed(record.slot);
    }
    if (vote && vote.slot === this.slot) this.#voting = this.#openSlot(nowUs, vote);
    this.#nextTickUs = nowUs;
    this.#restored = done.filter(({ kind }) => kind === 'decided' || kind === 'ready');
  }

  /** The author's last final block, as the base says. */
  #resume(era: number, author: number, end: ChainEnd): void {
    this.#positions.chain(era, author).finalise(end);
    if (era !== this.#era || this.#roster.at(era).indexOf(this.#me) !== author) return;
    this.#own.resume(end);
  }

  /** After a restart, once: cuts after the base that were decided, and those ready to be executed. */
  takeRestored(): readonly EdaEffect[] {
    return this.#restored.splice(0);
  }

  #noteOwn(block: SealedBlock): void {
    const { era, author } = block.message;
    if (era !== this.#era || this.#roster.at(era).indexOf(this.#me) !== author) return;
    this.#own.note(block);
  }

  #openSlot(nowUs: number, saved?: VotingRecord): Voting {
    const { set } = this.#roster.at(this.#era);
    const { hash, timeUs, slot } = this.#decisions.last;
    const context = {
      chain: this.#config.chain,
      era: this.#era,
      slot: slot + 1,
      prevHash: hash,
      prevTimeUs: timeUs,
      openAtUs: this.#openAtUs,
      set,
      beacon: this.#decisions.eraBeacon,
    };
    return new Voting(this.#host(), context, nowUs, saved);
  }

  #host(): VotingHost {
    return createSlotHost({
      config: this.#config,
      rules: this.#rules,
      roster: this.#roster,
      me: this.#me,
      positions: this.#positions,
      axis: this.#axis,
      decisions: this.#decisions,
      era: this.#era,
      settleUs: this.#settleUs,
      cutIntervalUs: this.#cutIntervalUs,
      decided: (body, certificate, nowUs, out) => this.#decide(body, certificate, nowUs, out),
    });
  }

  // Time.

  #wake(nowUs: number, out: EdaEffect[]): void {
    const { deltaUs } = this.#config.parameters;
    const axisUs = this.#axis.at(nowUs);
    const k = Math.floor(axisUs / deltaUs);
    if (k > this.#ticks.numbers.last) this.#ticks.tick(k, axisUs, nowUs, out);
    this.#nextTickUs = nowUs + deltaUs - (axisUs % deltaUs);
    this.#localEra(axisUs, nowUs);
    this.#voting.wake(nowUs, out);
    this.#strengths.wake(nowUs, out);
    this.#fetchUnready(nowUs, out);
    this.#recovery.wake(nowUs, deltaUs, out);
    this.#settleRecovery(nowUs, out);
  }

  /** Only a broken node (see EdaRules.eraByCut) changes eras by its own clock. */
  #localEra(axisUs: number, nowUs: number): void {
    if (this.#rules.eraByCut) return;
    const era = Math.floor(axisUs / this.#config.parameters.eraUs);
    if (era <= this.#era) return;
    this.#enterEra(era, []);
    this.#voting = this.#openSlot(nowUs);
  }

  // Blocks.

  #author(payload: Bytes, count: number, nowUs: number, out: EdaEffect[]): void {
    const txRoot = this.#config.auth.payloadRoot(payload);
    if (!this.mayAuthor || txRoot === undefined) return;
    const author = this.#roster.at(this.#era).indexOf(this.#me);
    const place = { chain: this.#config.chain, era: this.#era, author };
    const sealed = this.#seals.seal('block', this.#own.head(place, txRoot, count), this.#era);
    const block: SealedBlock = { ...sealed, payload };
    this.#noteOwn(block);
    const effects = this.#positions.addBlock(block, this.#axis.at(nowUs), nowUs);
    out.push(...this.#ticks.acknowledged(effects, nowUs));
    out.push({ kind: 'broadcast', message: { kind: 'block', ...block } });
  }

  #onBlock(message: MessageOf<'block'>, nowUs: number, out: EdaEffect[]): void {
    const { kind: _, ...block } = message;
    const { era, author, seq, txRoot } = block.message;
    const hash = blockHash(block.message);
    if (this.#positions.held.has(hash)) return;
    const isNeeded = this.#decisions.needs(hash);
    if (!isNeeded && !this.#positions.isOrderable(era, author, seq)) return;
    if (block.from !== author || !this.#seals.isSigned('block', block)) return;
    if (this.#config.auth.payloadRoot(block.payload) !== txRoot) return;
    if (isNeeded) this.#positions.held.set(hash, block);
    const effects = this.#positions.addBlock(block, this.#axis.at(nowUs), nowUs);
    out.push(...this.#ticks.acknowledged(effects, nowUs));
    this.#decisions.release(this.#positions.held, out);
    this.#voting.again(nowUs, out);
  }

  // Messages.

  #onMessage(peer: string, message: EdaMessage, nowUs: number, out: EdaEffect[]): void {
    switch (message.kind) {
      case 'block':
        return this.#onBlock(message, nowUs, out);
      case 'tick':
        // Who ticks in a later era holds cuts that this node lacks, though nobody may be voting now.
        if (message.message.era > this.#era) this.#catchup.ask(peer, this.slot, nowUs, out);
        return this.#ticks.onTick(peer, message, nowUs, out);
      case 'attest':
        return this.#strengths.onAttest(message, nowUs, out);
      case 'attested':
        return this.#strengths.onAttested(message, out);
      case 'ack':
        return this.#ticks.availability.onAck(message, nowUs, out);
      case 'available':
        return this.#ticks.availability.onAvailable(message, nowUs, out);
      case 'fetch':
        return this.#catchup.answer(peer, message, this.#positions.held, this.#voting, out);
      case 'recall':
      case 'recalled':
        return this.#recovery.onMessage(peer, message, this.lastCut.slot, this.#roster, out);
      case 'body':
        return this.#voting.onBody(message.body, nowUs, out);
      case 'final':
        if (message.body.slot === this.slot)
          this.#voting.onFinal(message.body, message.certificate, nowUs, out);
        return;
      default:
        return this.#onVoting(peer, message, nowUs, out);
    }
  }

  #onVoting(
    peer: string,
    message: MessageOf<'proposal' | 'prepare' | 'commit' | 'newview' | 'certified'>,
    nowUs: number,
    out: EdaEffect[],
  ): void {
    const { chain, slot, era } = message.kind === 'certified' ? message : message.message;
    if (chain !== this.#config.chain) return;
    if (slot < this.slot) {
      // A certificate is a leader's, who does not lag.
      if (message.kind !== 'certified') this.#catchup.help(peer, message.kind, slot, nowUs, out);
      return;
    }
    if (slot > this.slot) {
      if (slot === this.slot + 1) this.#buffered = this.#catchup.buffer(this.#buffered, message);
      return this.#catchup.ask(peer, this.slot, nowUs, out);
    }
    if (era !== this.#era) return;
    if (message.kind === 'proposal') this.#voting.onProposal(message, nowUs, out);
    else if (message.kind === 'newview') this.#voting.onNewView(message, nowUs, out);
    else if (message.kind === 'certified') this.#voting.onCertified(message, nowUs, out);
    else this.#voting.onVote(message.kind, message, nowUs, out);
  }

  // Decisions.

  #decide(body: Body, certificate: Certificate, nowUs: number, out: EdaEffect[]): void {
    const { committed } = this.#voting.state;
    this.#committedElsewhere = committed !== undefined && committed.hash !== certificate.hash;
    out.push({ kind: 'journal', record: { kind: 'final', body, certificate } });
    this.#advance(body, certificate, nowUs, out);
    const buffered = this.#buffered;
    this.#buffered = [];
    for (const message of buffered) this.#onMessage('', message, nowUs, out);
  }

  #advance(body: Body, certificate: Certificate, nowUs: number, out: EdaEffect[]): void {
    const { hash } = certificate;
    const before = this.#decisions.last.timeUs;
    out.push({ kind: 'decided', body, certificate, hash });
    this.#catchup.keep(body, certificate, nowUs);
    this.#decisions.add(body, hash);
    this.#ticks.availability.forget(body.entries);
    const effects = this.#positions.finalise(body.entries, this.#axis.at(nowUs), nowUs);
    out.push(...this.#ticks.acknowledged(effects, nowUs));
    this.#attest(body, hash, before, nowUs, out);
    const { eraUs } = this.#config.parameters;
    if (crossesEra(before, body.timeUs, eraUs) && this.#rules.eraByCut)
      this.#enterEra(this.#era + 1, out);
    const { length } = this.#roster.at(this.#era).set.validators;
    this.#openAtUs = nextOpening(this.#voting.openedAtUs, nowUs, this.#cutIntervalUs, length);
    this.#voting = this.#openSlot(nowUs);
    this.#decisions.release(this.#positions.held, out);
  }

  #enterEra(era: number, out: EdaEffect[]): void {
    this.#roster.install(era, this.#roster.at(era).set);
    this.#era = era;
    this.#decisions.enterEra();
    this.#ticks.enterEra(era, this.#decisions.eraBeacon);
    this.#own.enterEra();
    for (const block of this.#positions.enterEra(era)) out.push({ kind: 'expired', block });
    this.#roster.prune(era - 1);
  }

  #attest(body: Body, hash: string, beforeUs: number, nowUs: number, out: EdaEffect[]): void {
    const { set, indexOf } = this.#roster.at(this.#era);
    const isMine = !this.#committedElsewhere && indexOf(this.#me) >= 0;
    const cut = { body, hash, beforeUs, set, beacon: this.#decisions.eraBeacon };
    this.#strengths.checkpoint(cut, isMine, nowUs, out);
  }

  // A lost journal.

  #resumeRecovery({ isOver, era }: Extract<JournalRecord, { kind: 'recovery' }>): void {
    this.#recovery.resume(isOver);
    this.#own.fromEra = era;
    this.#seat.me = this.#roster.numberOf(isOver ? this.#config.publicKey : OBSERVER);
  }

  /**
   * Takes its seat again once that is safe. Ticks go on behind every number that may have been used,
   * blocks with the next era: which ones it made before it cannot know, unless the chain is new.
   */
  #settleRecovery(nowUs: number, out: EdaEffect[]): void {
    const { slot } = this.#decisions.last;
    if (!this.#recovery.settle(slot, this.#roster.at(this.#era))) return;
    const { isNew } = this.#recovery;
    const era = isNew ? this.#era : this.#era + 1;
    const { deltaUs } = this.#config.parameters;
    const used = Math.floor((this.#axis.at(nowUs) + CORRECTION_MAX_US) / deltaUs);
    this.#own.fromEra = era;
    this.#seat.me = this.#roster.numberOf(this.#config.publicKey);
    this.#voting = this.#openSlot(nowUs);
    if (!isNew) out.push({ kind: 'journal', record: this.#ticks.numbers.skipPast(used) });
    out.push(
      { kind: 'journal', record: { kind: 'recovery', isOver: true, era } },
      { kind: 'recovered', slot },
    );
  }

  #fetchUnready(nowUs: number, out: EdaEffect[]): void {
    const missing = this.#decisions.missing(this.#positions.held);
    const peers = this.#roster.at(this.#era).set.validators;
    this.#catchup.fetchBlocks(missing, peers, this.#config.publicKey, nowUs, out);
  }
}
