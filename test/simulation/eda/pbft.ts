/**
 * Baseline: PBFT (Castro and Liskov, OSDI 1999) with signed messages: PRE-PREPARE, PREPARE and COMMIT
 * from everybody to everybody (2n(n − 1) votes per block), view change with prepared certificates,
 * doubling timers. Same links as the simulation of EDA; n = 3f + 1, quorum ⌈(n + f + 1) / 2⌉.
 */
import { type SeededRandomness, createSeededRandomness } from '#libs/kernel';
import { EventQueue } from './event-queue.ts';
import { type Load, Links } from './links.ts';
import {
  type Message,
  type PbftOptions,
  type PbftResult,
  type Prepared,
  type Proposal,
  type Replica,
  createReplica,
} from './pbft-replica.ts';

export type { PbftOptions, PbftResult } from './pbft-replica.ts';

const VOTE_BYTES = 150;
const BATCH_NAME_BYTES = 40;
const AHEAD_MAX = 4096;
const RESEND_US = 200_000;
const BASE_TIMEOUT_US = 500_000;

export function runPbft(options: PbftOptions): PbftResult {
  return new Pbft(options).run();
}

class Pbft {
  readonly #options: PbftOptions;
  readonly #random: SeededRandomness;
  readonly #queue = new EventQueue<() => void>();
  readonly #replicas: Replica[] = [];
  readonly #quorum: number;
  readonly #links: Links | undefined;
  /** Batches that each proposed value lists. */
  readonly #listed = new Map<number, readonly number[]>();
  readonly #ordered: { atUs: number; transactions: number }[] = [];
  #batches = 0;
  #nowUs = 0;
  #votes = 0;
  #messages = 0;
  #bytes = 0;
  #checked = 0;
  #violations = 0;
  #views = 0;
  readonly #startUs: number[] = [0];
  readonly #finality: number[] = [];
  readonly #order: number[] = [];

  constructor(options: PbftOptions) {
    this.#options = options;
    this.#random = createSeededRandomness(options.seed);
    const faults = Math.floor((options.nodes - 1) / 3);
    this.#quorum = Math.ceil((options.nodes + faults + 1) / 2);
    const failed = Math.round(options.failed * options.nodes);
    for (let index = 0; index < options.nodes; index++)
      // The last ones fail, so that the first leaders are as good as any.
      this.#replicas.push(createReplica(index, index < options.nodes - failed, this.#timeoutUs));
    const schedule = (delayUs: number, run: () => void) =>
      this.#queue.push(this.#nowUs + delayUs, run);
    this.#links = options.links && new Links(options.nodes, options.links, schedule);
  }

  get #timeoutUs(): number {
    return this.#options.timeoutUs ?? BASE_TIMEOUT_US;
  }

  run(): PbftResult {
    const { blocks, maxUs = 30_000_000 } = this.#options;
    for (const replica of this.#replicas) if (replica.isLive) this.#start(replica);
    while (this.#queue.nextUs <= maxUs && !this.#isDone(blocks)) {
      const next = this.#queue.pop();
      if (!next) break;
      this.#nowUs = next.atUs;
      next.item();
    }
    const sorted = this.#finality.toSorted((a, b) => a - b);
    const median = sorted[Math.floor(sorted.length / 2)];
    return {
      decided: sorted.length,
      votes: this.#votes,
      messages: this.#messages,
      bytes: this.#bytes,
      finalityMs: median === undefined ? null : median / 1000,
      views: this.#views,
      violations: this.#violations,
      checked: this.#checked,
      durationUs: this.#nowUs,
      ordered: this.#ordered,
    };
  }

  /** Every live replica has all blocks, so every vote was counted. */
  #isDone(blocks: number): boolean {
    if (this.#finality.length < blocks) return false;
    return this.#replicas.every(({ isLive, log }) => !isLive || log.length >= blocks);
  }

  #leader = (view: number): number => view % this.#options.nodes;

  #start(replica: Replica): void {
    this.#openSlot(replica);
    const { batches, nodes } = this.#options;
    if (!batches) return;
    const spread = () => {
      const batch = this.#batches++;
      this.#broadcast(replica, { kind: 'batch', seq: 0, batch });
      this.#queue.push(this.#nowUs + batches.everyUs, spread);
    };
    // In turn, as the validators of `runEdaLoad`.
    this.#queue.push(Math.floor((replica.index * batches.everyUs) / nodes), spread);
  }

  /** What a message weighs. */
  #load(message: Message): Load {
    const { links, blockTransactions = 0, batches } = this.#options;
    const perTransaction = links?.transactionBytes ?? 0;
    let transactions = 0;
    let entries = 0;
    if (message.kind === 'batch') transactions = batches?.transactions ?? 0;
    if (message.kind === 'preprepare' || message.kind === 'newview') {
      entries = this.#listed.get(message.value)?.length ?? 0;
      if (!batches) transactions = blockTransactions;
    }
    const bytes = VOTE_BYTES + entries * BATCH_NAME_BYTES + transactions * perTransaction;
    return { bytes, signatures: 1, entries, transactions };
  }

  #send(from: Replica, to: number, message: Message): void {
    const { delayUs, linksLost } = this.#options;
    const load = this.#load(message);
    this.#messages += 1;
    this.#bytes += load.bytes;
    if (message.kind === 'prepare' || message.kind === 'commit') this.#votes += 1;
    const isLost = this.#random.chance(linksLost);
    const delay = delayUs[0] + this.#random.below(Math.max(1, delayUs[1] - delayUs[0]));
    const receiver = this.#replicas[to] as Replica;
    const handle = () => {
      if (receiver.isLive) this.#receive(receiver, from.index, message);
    };
    const links = this.#links;
    if (!links) {
      if (!isLost) this.#queue.push(this.#nowUs + delay, handle);
      return;
    }
    links.send(from.index, load, this.#nowUs, () => {
      if (isLost) return;
      this.#queue.push(this.#nowUs + delay, () =>
        this.#queue.push(links.handledUs(to, load, this.#nowUs), handle),
      );
    });
  }

  #broadcast(from: Replica, message: Message): void {
    for (let to = 0; to < this.#options.nodes; to++)
      if (to !== from.index) this.#send(from, to, message);
    this.#receive(from, from.index, message);
  }

  #openSlot(replica: Replica): void {
    replica.seq = replica.log.length;
    replica.prepared = undefined;
    replica.votes.clear();
    replica.changes.clear();
    replica.isChanging = false;
    replica.proposedView = -1;
    replica.timer += 1;
    if (replica.seq >= this.#options.blocks) return;
    const { ahead } = replica;
    replica.ahead = [];
    for (const { from, message } of ahead)
      this.#queue.push(this.#nowUs, () => this.#receive(replica, from, message));
    this.#startTimer(replica, this.#timeoutUs);
    this.#lead(replica);
    if (this.#options.linksLost > 0) this.#repeat(replica, replica.seq);
  }

  /** As leader: proposes, once there is something to order. */
  #lead(replica: Replica): void {
    const { view, seq } = replica;
    if (this.#leader(view) !== replica.index || replica.proposedView >= view) return;
    if (replica.isChanging || (this.#options.batches && replica.open.size === 0)) return;
    replica.proposedView = view;
    this.#startUs[seq] ??= this.#nowUs;
    this.#broadcast(replica, { kind: 'preprepare', view, seq, value: this.#newValue(replica) });
  }

  /** A value carries its view, so that two leaders never propose the same by chance. */
  #newValue({ view, seq, open }: Replica): number {
    const value = (seq + 1) * 1000 + view;
    if (this.#options.batches) this.#listed.set(value, [...open]);
    return value;
  }

  #onBatch(replica: Replica, batch: number): void {
    replica.held.add(batch);
    replica.open.add(batch);
    const { waiting } = replica;
    if (waiting && this.#holds(replica, waiting.message.value)) {
      replica.waiting = undefined;
      this.#receive(replica, waiting.from, waiting.message);
    }
    this.#lead(replica);
  }

  #holds({ held }: Replica, value: number): boolean {
    return (this.#listed.get(value) ?? []).every((batch) => held.has(batch));
  }

  /** Lossy links: says its latest words again while the slot is open. */
  #repeat(replica: Replica, seq: number): void {
    this.#queue.push(this.#nowUs + RESEND_US, () => {
      if (!replica.isLive || replica.seq !== seq) return;
      for (const [key, by] of replica.votes) {
        if (!by.has(replica.index)) continue;
        const [kind, view, value] = key.split('/') as ['prepare' | 'commit', string, string];
        const message: Message = { kind, view: Number(view), seq, value: Number(value) };
        for (let to = 0; to < this.#options.nodes; to++)
          if (to !== replica.index) this.#send(replica, to, message);
      }
      this.#repeat(replica, seq);
    });
  }

  #startTimer(replica: Replica, timeoutUs: number): void {
    replica.timeoutUs = timeoutUs;
    const timer = ++replica.timer;
    this.#queue.push(this.#nowUs + timeoutUs, () => {
      if (replica.timer === timer && replica.isLive) this.#changeView(replica, replica.view + 1);
    });
  }

  #changeView(replica: Replica, view: number): void {
    replica.view = view;
    replica.isChanging = true;
    this.#views = Math.max(this.#views, view);
    const { seq, prepared } = replica;
    this.#startTimer(replica, Math.min(replica.timeoutUs * 2, 16_000_000));
    this.#broadcast(replica, { kind: 'viewchange', view, seq, ...(prepared && { prepared }) });
  }

  #receive(replica: Replica, from: number, message: Message): void {
    if (message.kind === 'batch') return this.#onBatch(replica, message.batch);
    if (message.seq < replica.seq) {
      const value = replica.log[message.seq];
      const isOwn = from === replica.index || message.kind === 'decided';
      if (value !== undefined && !isOwn)
        this.#send(replica, from, { kind: 'decided', seq: message.seq, value });
      return;
    }
    if (message.seq > replica.seq) {
      if (replica.ahead.length < AHEAD_MAX) replica.ahead.push({ from, message });
      return;
    }
    if (message.kind === 'decided') this.#decide(replica, message.value);
    else if (message.kind === 'viewchange') this.#onViewChange(replica, from, message);
    else if (message.kind === 'preprepare' || message.kind === 'newview')
      this.#onProposal(replica, from, message);
    else this.#onVote(replica, from, message);
  }

  #onProposal(replica: Replica, from: number, message: Proposal): void {
    const { view, seq, value } = message;
    if (view < replica.view || from !== this.#leader(view)) return;
    if (message.kind === 'preprepare' && replica.isChanging) return;
    if (!this.#holds(replica, value)) {
      replica.waiting = { from, message };
      return;
    }
    replica.view = view;
    replica.isChanging = false;
    this.#broadcast(replica, { kind: 'prepare', view, seq, value });
  }

  #onVote(
    replica: Replica,
    from: number,
    message: Extract<Message, { kind: 'prepare' | 'commit' }>,
  ): void {
    const { kind, view, seq, value } = message;
    const key = `${kind}/${view}/${value}`;
    const by = replica.votes.get(key) ?? new Set<number>();
    replica.votes.set(key, by);
    by.add(from);
    if (by.size < this.#quorum) return;
    // Committed locally: prepared, and a quorum of COMMITs.
    if (kind === 'commit') {
      if (replica.prepared?.value === value) this.#decide(replica, value);
      return;
    }
    if (view !== replica.view || replica.isChanging) return;
    if (replica.prepared?.view === view) return;
    replica.prepared = { view, value };
    this.#broadcast(replica, { kind: 'commit', view, seq, value });
    const commits = replica.votes.get(`commit/${view}/${value}`)?.size ?? 0;
    if (replica.seq === seq && commits >= this.#quorum) this.#decide(replica, value);
  }

  #onViewChange(
    replica: Replica,
    from: number,
    message: Extract<Message, { kind: 'viewchange' }>,
  ): void {
    const { view, seq } = message;
    const changes = replica.changes.get(view) ?? new Map<number, Prepared | undefined>();
    replica.changes.set(view, changes);
    changes.set(from, message.prepared);
    const faults = Math.floor((this.#options.nodes - 1) / 3);
    if (view > replica.view && changes.size > faults) this.#changeView(replica, view);
    const isLeader = this.#leader(view) === replica.index && replica.view === view;
    if (!isLeader || replica.proposedView >= view || changes.size < this.#quorum) return;
    replica.proposedView = view;
    let highest: Prepared | undefined;
    for (const prepared of changes.values())
      if (prepared && (!highest || prepared.view > highest.view)) highest = prepared;
    this.#startUs[seq] ??= this.#nowUs;
    const value = highest?.value ?? this.#newValue(replica);
    this.#broadcast(replica, { kind: 'newview', view, seq, value });
  }

  #decide(replica: Replica, value: number): void {
    const { seq } = replica;
    replica.log.push(value);
    for (const batch of this.#listed.get(value) ?? []) replica.open.delete(batch);
    replica.waiting = undefined;
    const first = this.#order[seq];
    this.#checked += 1;
    if (first === undefined) {
      this.#order[seq] = value;
      this.#finality.push(this.#nowUs - (this.#startUs[seq] ?? 0));
      const { batches, blockTransactions = 0 } = this.#options;
      const listed = this.#listed.get(value)?.length ?? 0;
      const transactions = batches ? listed * batches.transactions : blockTransactions;
      this.#ordered.push({ atUs: this.#nowUs, transactions });
    } else if (first !== value) this.#violations += 1;
    this.#openSlot(replica);
  }
}
