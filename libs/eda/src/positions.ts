/**
 * Layer A: positions of blocks on the virtual axis by repeated trimmed means of what validators say,
 * and availability by acknowledgements of weight Q. Approximate agreement only: what is final is
 * decided by cuts.
 */
import { hashOf } from '#libs/crypto';
import type { Committee } from './committee.ts';
import { type ChainEnd, ZERO_HASH } from './cuts.ts';
import {
  type BlockName,
  type EdaMessage,
  type Report,
  type Sealed,
  type SealedBlock,
  type Tick,
  type TickEntry,
  ENTRIES_MAX,
  signedBytes,
  signingDomain,
} from './messages.ts';
import { AuthorChain, type OpenBlock, THIN_TICKS } from './open-block.ts';
import type { EraRoster, Roster } from './roster.ts';
import type { EdaRules } from './rules.ts';
import type { EdaEffect } from './types.ts';
import { trimmed } from './weighted.ts';

const QUIET_TICKS = 2;
/** With more open blocks than this, a tick lists what stands still in turn. */
const FULL_TICK_ENTRIES = 24;
/** Share of the seats heard that is cut off at each side. */
const SAMPLED_TRIM = 0.34;
/** How old, in ticks, a vote may be. */
const FRESH_TICKS = 2;
const FETCH_DELTAS = 2;
const FETCH_AT_ONCE = 16;

const blockHashes = new WeakMap<SealedBlock['message'], string>();

export function blockHash(head: SealedBlock['message']): string {
  const known = blockHashes.get(head);
  if (known !== undefined) return known;
  const hash = hashOf(signingDomain('block'), signedBytes('block', head));
  blockHashes.set(head, hash);
  return hash;
}

export interface PositionsOptions {
  readonly roster: Roster;
  readonly seat: { readonly me: number };
  readonly rules: EdaRules;
  readonly deltaUs: number;
  readonly epsilonUs: number;
}

export class Positions {
  readonly #options: PositionsOptions;
  /** By era, then author. */
  readonly #chains = new Map<number, Map<number, AuthorChain>>();
  /** Blocks held with payload, by hash: open ones, and final ones of this era and the one before. */
  readonly held = new Map<string, SealedBlock>();
  /** Peers whose votes count no more in this era: proven equivocators. */
  readonly burned = new Set<number>();
  /** Peers of whom two acknowledgements for one seq were reported. */
  readonly #accused = new Set<number>();
  #era: number;

  constructor(options: PositionsOptions, era: number) {
    this.#options = options;
    this.#era = era;
  }

  chain(era: number, author: number): AuthorChain {
    const byAuthor = this.#chains.get(era) ?? new Map<number, AuthorChain>();
    const known = byAuthor.get(author);
    if (known) return known;
    const chain = new AuthorChain(era, author);
    this.#chains.set(era, byAuthor);
    byAuthor.set(author, chain);
    return chain;
  }

  endOf = (era: number, author: number): ChainEnd => this.chain(era, author).end;

  *chains(): Generator<AuthorChain> {
    for (const byAuthor of this.#chains.values()) yield* byAuthor.values();
  }

  *open(): Generator<OpenBlock> {
    for (const chain of this.chains()) for (const variants of chain.bySeq.values()) yield* variants;
  }

  get #openCount(): number {
    let count = 0;
    for (const chain of this.chains()) count += chain.bySeq.size;
    return count;
  }

  #isOpenEra(era: number): boolean {
    return era === this.#era || era === this.#era - 1;
  }

  /** Whether the block could still be ordered. */
  isOrderable(era: number, author: number, seq: number): boolean {
    if (!this.#isOpenEra(era)) return false;
    // Before the first era there were no validators.
    const set = this.#options.roster.find(era)?.set;
    if (!set || author >= set.validators.length) return false;
    return this.chain(era, author).accepts(seq);
  }

  /** Takes a verified block; acknowledges it if it may. Returns effects (the journal first). */
  addBlock(block: SealedBlock, axisUs: number, nowUs: number, x0?: number): EdaEffect[] {
    const { era, author, seq } = { ...block.message, author: block.message.author };
    if (!this.isOrderable(era, author, seq)) return [];
    const hash = blockHash(block.message);
    const chain = this.chain(era, author);
    const open = chain.open({ era, author, seq, hash });
    if (open.block) return [];
    open.block = block;
    this.held.set(hash, block);
    const effects: EdaEffect[] = [];
    const other = chain.bySeq.get(seq)?.find((variant) => variant !== open && variant.block);
    if (other?.block) {
      const publicKey = this.#options.roster.at(era).set.validators[author]?.publicKey ?? '';
      effects.push({
        kind: 'evidence',
        what: 'block',
        publicKey,
        first: other.block,
        second: block,
      });
    }
    effects.push(...this.#acknowledgeRow(chain, axisUs, nowUs, x0));
    return effects;
  }

  /** Acknowledges held blocks of a chain whose predecessors are held. */
  #acknowledgeRow(chain: AuthorChain, axisUs: number, nowUs: number, x0?: number): EdaEffect[] {
    const effects: EdaEffect[] = [];
    const { roster, seat } = this.#options;
    const { me } = seat;
    const era = roster.at(chain.era);
    let previous: string = chain.end.seq === 0 ? ZERO_HASH : chain.end.hash;
    for (let seq = chain.end.seq + 1; ; seq++) {
      const variants = chain.bySeq.get(seq) ?? [];
      let next = variants.find(({ isAcked }) => isAcked);
      if (!next) {
        next = variants.find(
          ({ block }) => block !== undefined && block.message.prevOwn === previous,
        );
        if (!next?.block) return effects;
        if (era.indexOf(me) >= 0) {
          next.isAcked = true;
          next.x0 = x0 ?? axisUs;
          next.x ??= next.adopted(era.weightOf, era.set.lying) ?? next.x0;
          effects.push({
            kind: 'journal',
            record: { kind: 'block', block: next.block, x0: next.x0 },
          });
          this.#acknowledge(next, me, { x0: next.x0, tick: undefined }, era, nowUs, effects);
        }
      }
      previous = next.name.hash;
    }
  }

  /** Counts the first acknowledgement of a peer for this block. */
  #acknowledge(
    open: OpenBlock,
    peer: number,
    ack: { readonly x0: number; readonly tick: Sealed<Tick> | undefined },
    era: EraRoster,
    nowUs: number,
    effects: EdaEffect[],
  ): void {
    const weight = era.weightOf(peer);
    if (weight === 0 || !open.acknowledge(peer, ack, weight)) return;
    const needed = this.#options.rules.availableByQuorum ? era.set.quorum : era.set.lying + 1;
    if (open.availableAtUs !== undefined || open.ackWeight < needed) return;
    open.availableAtUs = nowUs;
    open.x ??= open.adopted(era.weightOf, era.set.lying);
    effects.push({ kind: 'available', ...open.name });
  }

  /** Takes the entries of a peer's tick. An acknowledgement of a second block of one seq is evidence. */
  hear(peer: number, tick: Sealed<Tick>, nowUs: number): EdaEffect[] {
    const effects: EdaEffect[] = [];
    const { k, entries } = tick.message;
    const isHeard = !this.burned.has(peer);
    let chain: AuthorChain | undefined;
    for (const entry of entries) {
      const { era, author, seq } = entry;
      // Entries of one author follow each other as a rule: the chain is looked for once.
      if (chain?.era !== era || chain.author !== author) {
        if (!this.isOrderable(era, author, seq)) continue;
        chain = this.chain(era, author);
      } else if (!chain.accepts(seq)) continue;
      const sole = chain.sole(entry);
      const other = sole ? undefined : chain.otherAck(peer, entry);
      if (other) {
        this.#accuse(peer, other.tick, tick, effects);
        continue;
      }
      const open = sole ?? chain.open(entry);
      // Ticks overtake payloads: it is on its way, most likely.
      if (open.askAtUs === undefined) open.askAtUs = nowUs + FETCH_DELTAS * this.#options.deltaUs;
      if (!open.acks[peer]) {
        const roster = this.#options.roster.at(era);
        this.#acknowledge(open, peer, { x0: entry.x0, tick }, roster, nowUs, effects);
      }
      if (isHeard) open.vote(peer, entry.x, k);
    }
    return effects;
  }

  /** Two ticks of one number: the peer is heard no more in this era; all are told why. */
  burn(peer: number, first: Sealed<Tick>, second: Sealed<Tick>, effects: EdaEffect[]): void {
    this.burned.add(peer);
    const publicKey = this.#options.roster.keyOf(peer);
    effects.push(
      { kind: 'evidence', what: 'tick', publicKey, first, second },
      { kind: 'broadcast', message: { kind: 'tick', ...first } },
      { kind: 'broadcast', message: { kind: 'tick', ...second } },
    );
  }

  /** Two acknowledgements that exclude each other, once per peer and era. */
  #accuse(
    peer: number,
    first: Sealed<Tick> | undefined,
    second: Sealed<Tick>,
    effects: EdaEffect[],
  ): void {
    if (!first || this.#accused.has(peer)) return;
    this.#accused.add(peer);
    const publicKey = this.#options.roster.keyOf(peer);
    effects.push({ kind: 'evidence', what: 'tick', publicKey, first, second });
  }

  /** Closes the tick before `k`: one round of the convergence function for every open block. */
  closeTick(k: number, current: EraRoster): void {
    const { lying, quorum } = current.set;
    const { seat } = this.#options;
    const { epsilonUs = this.#options.epsilonUs } = current.parameters;
    const { me } = seat;
    const isThinned = this.#openCount > FULL_TICK_ENTRIES;
    const oldest = k - FRESH_TICKS - (isThinned ? THIN_TICKS : 0);
    for (const open of this.open()) {
      if (open.x === undefined) continue;
      const xs = [open.x];
      const weights = [current.weightOf(me)];
      let listed = weights[0] as number;
      for (let peer = 0; peer < open.voteXs.length; peer++) {
        const weight = current.weightOf(peer);
        if (weight === 0 || (open.voteTicks[peer] as number) < oldest || this.burned.has(peer))
          continue;
        xs.push(open.voteXs[peer] as number);
        weights.push(weight);
        listed += weight;
      }
      if (listed < 2 * lying + 1) {
        open.quietTicks = 0;
        continue;
      }
      const kept = trimmed(xs, weights, lying);
      if (!kept) continue;
      const quiet = listed >= quorum && kept.spread <= epsilonUs;
      open.quietTicks = quiet ? open.quietTicks + 1 : 0;
      open.isConverged = open.quietTicks >= QUIET_TICKS;
      const author = this.#options.roster.at(open.name.era);
      open.x = open.clamped(kept.centre, author.weightOf, author.set.lying);
    }
  }

  /**
   * The same in a large set: of the seats heard, 0.34 are cut off at each side. What too few of them
   * list keeps its position, or a few liars would be all that speaks of it.
   */
  closeSampledTick(k: number, current: EraRoster, { heard }: Pick<Committee, 'heard'>): void {
    const { epsilonUs = this.#options.epsilonUs } = current.parameters;
    const { me } = this.#options.seat;
    const seated = [...heard].filter(
      ([peer, tick]) => tick.k >= k - FRESH_TICKS && !this.burned.has(peer),
    );
    const all = seated.reduce((sum, [, { seats }]) => sum + seats, 0);
    const trim = Math.ceil(SAMPLED_TRIM * all);
    for (const open of this.open()) {
      if (open.x === undefined) continue;
      const xs: number[] = [];
      const weights: number[] = [];
      let listed = 0;
      for (const [peer, tick] of seated) {
        const isOwn = peer === me && open.isAcked;
        if (!isOwn && open.voteTicks[peer] !== tick.k) continue;
        xs.push(isOwn ? open.x : (open.voteXs[peer] as number));
        weights.push(tick.seats);
        listed += tick.seats;
      }
      const kept = listed >= 2 * trim + 1 ? trimmed(xs, weights, trim) : undefined;
      if (!kept) {
        open.quietTicks = 0;
        continue;
      }
      open.quietTicks = kept.spread <= epsilonUs ? open.quietTicks + 1 : 0;
      open.isConverged = open.quietTicks >= QUIET_TICKS;
      const author = this.#options.roster.at(open.name.era);
      open.x = open.clamped(kept.centre, author.weightOf, author.set.lying);
    }
  }

  /** A certificate of acknowledgements of weight Q came. */
  certify(name: BlockName, nowUs: number): EdaEffect[] {
    const open = this.chain(name.era, name.author).open(name);
    if (open.availableAtUs !== undefined) return [];
    const era = this.#options.roster.at(name.era);
    open.availableAtUs = nowUs;
    open.x ??= open.adopted(era.weightOf, era.set.lying);
    return [{ kind: 'available', ...open.name }];
  }

  /** Entries of this node's tick `k`: the oldest open blocks it acknowledged. */
  entries(k: number, mayThin = true): TickEntry[] {
    const entries: TickEntry[] = [];
    const stops = !this.#options.rules.voteUntilFinal;
    const votes: OpenBlock[] = [];
    for (const open of this.open())
      if (open.isAcked && open.x !== undefined && !(stops && open.isConverged)) votes.push(open);
    const isThinned = mayThin && votes.length > FULL_TICK_ENTRIES;
    for (const open of votes)
      if (open.isListed(k, isThinned))
        entries.push({ ...open.name, x0: open.x0 as number, x: open.x as number });
    if (entries.length > ENTRIES_MAX) entries.sort((a, b) => a.x0 - b.x0);
    return entries.slice(0, ENTRIES_MAX);
  }

  /** What a NEWVIEW reports: all available blocks that are not final. */
  reports(): Report[] {
    const reports: Report[] = [];
    for (const chain of this.chains())
      for (const { block } of chain.row())
        if (this.#isOpenEra(chain.era)) reports.push({ ...block.name, x: block.x as number });
    reports.sort((a, b) => a.x - b.x || a.seq - b.seq);
    return reports.slice(0, ENTRIES_MAX);
  }

  /** Asks those who acknowledged for payloads that are missing here. */
  fetches(nowUs: number): { readonly peer: number; readonly message: EdaMessage }[] {
    const { deltaUs, seat } = this.#options;
    const { me } = seat;
    const wanted = new Map<number, string[]>();
    let count = 0;
    for (const open of this.open()) {
      if (open.block || count >= FETCH_AT_ONCE) continue;
      if (open.askAtUs === undefined || open.askAtUs > nowUs) continue;
      const holders = [...open.acks.keys()].filter((peer) => peer !== me && open.acks[peer]);
      const holder = holders[open.asked % Math.max(1, holders.length)];
      if (holder === undefined) continue;
      open.asked += 1;
      open.askAtUs = nowUs + FETCH_DELTAS * deltaUs;
      wanted.set(holder, [...(wanted.get(holder) ?? []), open.name.hash]);
      count += 1;
    }
    return [...wanted].map(([peer, blocks]) => ({
      peer,
      message: { kind: 'fetch', blocks, bodies: [], finalsFrom: null },
    }));
  }

  /** Closes what a cut listed. */
  finalise(
    entries: readonly (BlockName & { readonly raw: number })[],
    axisUs: number,
    nowUs: number,
  ) {
    const effects: EdaEffect[] = [];
    const touched = new Set<AuthorChain>();
    for (const { era, author, seq, hash, raw } of entries) {
      const chain = this.chain(era, author);
      chain.finalise({ seq, raw, hash });
      touched.add(chain);
    }
    for (const chain of touched) effects.push(...this.#acknowledgeRow(chain, axisUs, nowUs));
    return effects;
  }

  /** Enters an era: blocks of eras before the last one can no longer be ordered. */
  enterEra(era: number): SealedBlock[] {
    this.#era = era;
    this.burned.clear();
    this.#accused.clear();
    const mine: SealedBlock[] = [];
    const { roster, seat } = this.#options;
    const { me } = seat;
    for (const [closed, byAuthor] of this.#chains) {
      if (closed >= era - 1) continue;
      for (const chain of byAuthor.values()) {
        if (roster.at(closed).indexOf(me) !== chain.author) continue;
        for (const variants of chain.bySeq.values())
          for (const { block } of variants) if (block) mine.push(block);
      }
      this.#chains.delete(closed);
    }
    for (const [hash, block] of this.held) if (block.message.era < era - 1) this.held.delete(hash);
    return mine;
  }
}
