/**
 * Layer A: positions of blocks on the virtual axis by repeated trimmed means of what validators say,
 * and availability by acknowledgements of weight Q. Approximate agreement only: what is final is
 * decided by cuts.
 */
import { hashOf } from '#libs/crypto';
import { type ChainEnd, ZERO_HASH } from './cuts.ts';
import {
  type BlockName,
  type EdaMessage,
  type Report,
  type SealedBlock,
  type Tick,
  type TickEntry,
  ENTRIES_MAX,
  signedBytes,
  signingDomain,
} from './messages.ts';
import { AuthorChain, type OpenBlock } from './open-block.ts';
import type { EraRoster, Roster } from './roster.ts';
import type { EdaRules } from './rules.ts';
import type { EdaEffect } from './types.ts';
import { trimmed } from './weighted.ts';

const QUIET_TICKS = 2;
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
  readonly me: number;
  readonly rules: EdaRules;
  readonly deltaUs: number;
  readonly epsilonUs: number;
}

export class Positions {
  readonly #options: PositionsOptions;
  readonly #chains = new Map<string, AuthorChain>();
  /** Blocks held with payload, by hash: open ones, and final ones of this era and the one before. */
  readonly held = new Map<string, SealedBlock>();
  /** Peers whose votes count no more in this era: proven equivocators. */
  readonly burned = new Set<number>();
  #era: number;

  constructor(options: PositionsOptions, era: number) {
    this.#options = options;
    this.#era = era;
  }

  chain(era: number, author: number): AuthorChain {
    const key = `${era}/${author}`;
    const known = this.#chains.get(key);
    if (known) return known;
    const chain = new AuthorChain(era, author);
    this.#chains.set(key, chain);
    return chain;
  }

  endOf = (era: number, author: number): ChainEnd => this.chain(era, author).end;

  get chains(): IterableIterator<AuthorChain> {
    return this.#chains.values();
  }

  *open(): Generator<OpenBlock> {
    for (const chain of this.#chains.values())
      for (const variants of chain.bySeq.values()) yield* variants;
  }

  #isOpenEra(era: number): boolean {
    return era === this.#era || era === this.#era - 1;
  }

  /** Whether the block could still be ordered. */
  isOrderable(era: number, author: number, seq: number): boolean {
    if (!this.#isOpenEra(era)) return false;
    if (author >= this.#options.roster.at(era).set.validators.length) return false;
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
    const { roster, me } = this.#options;
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
          this.#acknowledge(chain, next, me, next.x0, era, nowUs, effects);
        }
      }
      previous = next.name.hash;
    }
  }

  #acknowledge(
    chain: AuthorChain,
    open: OpenBlock,
    peer: number,
    x0: number,
    era: EraRoster,
    nowUs: number,
    effects: EdaEffect[],
  ): void {
    const weight = era.weightOf(peer);
    if (weight === 0 || open.ackX0.has(peer)) return;
    const key = `${peer}/${open.name.seq}`;
    const first = chain.firstAck.get(key);
    if (first !== undefined && first !== open.name.hash) return;
    chain.firstAck.set(key, open.name.hash);
    open.acknowledge(peer, x0, weight);
    const needed = this.#options.rules.availableByQuorum ? era.set.quorum : era.set.lying + 1;
    if (open.availableAtUs !== undefined || open.ackWeight < needed) return;
    open.availableAtUs = nowUs;
    open.x ??= open.adopted(era.weightOf, era.set.lying);
    effects.push({ kind: 'available', ...open.name });
  }

  /** Takes the entries of a peer's tick. */
  hear(peer: number, tick: Tick, nowUs: number): EdaEffect[] {
    const effects: EdaEffect[] = [];
    for (const entry of tick.entries) {
      if (!this.isOrderable(entry.era, entry.author, entry.seq)) continue;
      const chain = this.chain(entry.era, entry.author);
      const first = chain.firstAck.get(`${peer}/${entry.seq}`);
      if (first !== undefined && first !== entry.hash) continue;
      const era = this.#options.roster.at(entry.era);
      const open = chain.open(nameOf(entry));
      this.#acknowledge(chain, open, peer, entry.x0, era, nowUs, effects);
      if (!this.burned.has(peer)) open.votes.set(peer, { x: entry.x, k: tick.k });
    }
    return effects;
  }

  /** Closes the tick before `k`: one round of the convergence function for every open block. */
  closeTick(k: number, current: EraRoster): void {
    const { lying, quorum } = current.set;
    const { me, epsilonUs } = this.#options;
    for (const open of this.open()) {
      if (open.x === undefined) continue;
      const xs = [open.x];
      const weights = [current.weightOf(me)];
      let listed = weights[0] as number;
      for (const [peer, vote] of open.votes) {
        const weight = current.weightOf(peer);
        if (weight === 0 || vote.k < k - 2 || this.burned.has(peer)) continue;
        xs.push(vote.x);
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

  /** Entries of this node's next tick: the oldest open blocks it acknowledged. */
  entries(): TickEntry[] {
    const entries: TickEntry[] = [];
    const stops = !this.#options.rules.voteUntilFinal;
    for (const open of this.open())
      if (
        open.isAcked &&
        open.x !== undefined &&
        open.x0 !== undefined &&
        !(stops && open.isConverged)
      )
        entries.push({ ...open.name, x0: open.x0, x: open.x });
    if (entries.length > ENTRIES_MAX) entries.sort((a, b) => a.x0 - b.x0);
    return entries.slice(0, ENTRIES_MAX);
  }

  /** What a NEWVIEW reports: all available blocks that are not final. */
  reports(): Report[] {
    const reports: Report[] = [];
    for (const chain of this.#chains.values())
      for (const { block } of chain.row())
        if (this.#isOpenEra(chain.era)) reports.push({ ...block.name, x: block.x as number });
    reports.sort((a, b) => a.x - b.x || a.seq - b.seq);
    return reports.slice(0, ENTRIES_MAX);
  }

  /** Asks those who acknowledged for payloads that are missing here. */
  fetches(nowUs: number): { readonly peer: number; readonly message: EdaMessage }[] {
    const { deltaUs, me } = this.#options;
    const wanted = new Map<number, string[]>();
    let count = 0;
    for (const open of this.open()) {
      if (open.block || open.askAtUs > nowUs || count >= FETCH_AT_ONCE) continue;
      const holders = [...open.ackX0.keys()].filter((peer) => peer !== me);
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
    const mine: SealedBlock[] = [];
    const { roster, me } = this.#options;
    for (const [key, chain] of this.#chains) {
      if (chain.era >= era - 1) continue;
      if (roster.at(chain.era).indexOf(me) === chain.author)
        for (const variants of chain.bySeq.values())
          for (const { block } of variants) if (block) mine.push(block);
      this.#chains.delete(key);
    }
    for (const [hash, block] of this.held) if (block.message.era < era - 1) this.held.delete(hash);
    return mine;
  }
}

const nameOf = ({ era, author, seq, hash }: BlockName): BlockName => ({ era, author, seq, hash });
