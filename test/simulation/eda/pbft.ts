/**
 * Baseline: PBFT (Castro and Liskov, OSDI 1999) with signed messages: PRE-PREPARE, PREPARE and COMMIT
 * from everybody to everybody (2n(n − 1) votes per block), view change with prepared certificates,
 * doubling timers. Same links as the simulation of EDA; n = 3f + 1, quorum ⌈(n + f + 1) / 2⌉.
 */
import { type SeededRandomness, createSeededRandomness } from '#libs/kernel';
import { EventQueue } from './event-queue.ts';

export interface PbftOptions {
  readonly nodes: number;
  readonly failed: number;
  readonly linksLost: number;
  readonly blocks: number;
  readonly seed: number;
  readonly delayUs: readonly [number, number];
  /** Uplink in bits per second; unlimited when left out. */
  readonly uplinkBps?: number;
  readonly blockBytes?: number;
  readonly maxUs?: number;
}

export interface PbftResult {
  readonly decided: number;
  readonly votes: number;
  readonly messages: number;
  readonly bytes: number;
  readonly finalityMs: number | null;
  readonly views: number;
  readonly violations: number;
  readonly checked: number;
  readonly durationUs: number;
}

interface Prepared {
  readonly view: number;
  readonly value: number;
}
type Message =
  | {
      readonly kind: 'preprepare';
      readonly view: number;
      readonly seq: number;
      readonly value: number;
    }
  | {
      readonly kind: 'prepare' | 'commit';
      readonly view: number;
      readonly seq: number;
      readonly value: number;
    }
  | {
      readonly kind: 'viewchange';
      readonly view: number;
      readonly seq: number;
      readonly prepared?: Prepared;
    }
  | {
      readonly kind: 'newview';
      readonly view: number;
      readonly seq: number;
      readonly value: number;
    }
  | { readonly kind: 'decided'; readonly seq: number; readonly value: number };

interface Replica {
  readonly index: number;
  isLive: boolean;
  view: number;
  seq: number;
  isChanging: boolean;
  prepared: Prepared | undefined;
  readonly log: number[];
  readonly votes: Map<string, Set<number>>;
  readonly changes: Map<number, Map<number, Prepared | undefined>>;
  timeoutUs: number;
  timer: number;
  proposedView: number;
  /** Messages of later slots. */
  ahead: { readonly from: number; readonly message: Message }[];
}

const VOTE_BYTES = 150;
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
  readonly #uplinkFreeUs: number[] = [];
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
      this.#replicas.push({
        index,
        // The last ones fail, so that the first leaders are as good as any.
        isLive: index < options.nodes - failed,
        view: 0,
        seq: 0,
        isChanging: false,
        prepared: undefined,
        log: [],
        votes: new Map(),
        changes: new Map(),
        timeoutUs: BASE_TIMEOUT_US,
        timer: 0,
        proposedView: -1,
        ahead: [],
      });
  }

  run(): PbftResult {
    const { blocks, maxUs = 30_000_000 } = this.#options;
    for (const replica of this.#replicas) if (replica.isLive) this.#openSlot(replica);
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
    };
  }

  /** Every live replica has all blocks, so every vote was counted. */
  #isDone(blocks: number): boolean {
    if (this.#finality.length < blocks) return false;
    return this.#replicas.every(({ isLive, log }) => !isLive || log.length >= blocks);
  }

  #leader = (view: number): number => view % this.#options.nodes;

  #send(from: Replica, to: number, message: Message): void {
    const { delayUs, linksLost, uplinkBps, blockBytes = 0 } = this.#options;
    const hasBlock = message.kind === 'preprepare' || message.kind === 'newview';
    const bytes = VOTE_BYTES + (hasBlock ? blockBytes : 0);
    this.#messages += 1;
    this.#bytes += bytes;
    if (message.kind === 'prepare' || message.kind === 'commit') this.#votes += 1;
    let leavesUs = this.#nowUs;
    if (uplinkBps !== undefined) {
      leavesUs = Math.max(leavesUs, this.#uplinkFreeUs[from.index] ?? 0);
      leavesUs += (bytes * 8e6) / uplinkBps;
      this.#uplinkFreeUs[from.index] = leavesUs;
    }
    if (this.#random.chance(linksLost)) return;
    const delay = delayUs[0] + this.#random.below(Math.max(1, delayUs[1] - delayUs[0]));
    const receiver = this.#replicas[to] as Replica;
    this.#queue.push(leavesUs + delay, () => {
      if (receiver.isLive) this.#receive(receiver, from.index, message);
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
    this.#startTimer(replica, BASE_TIMEOUT_US);
    if (this.#leader(replica.view) === replica.index) this.#propose(replica, replica.seq + 1);
    if (this.#options.linksLost > 0) this.#repeat(replica, replica.seq);
  }

  /** A new value carries its view, so that two leaders never propose the same by chance. */
  #propose(replica: Replica, value: number): void {
    const { view, seq } = replica;
    replica.proposedView = view;
    this.#startUs[seq] ??= this.#nowUs;
    this.#broadcast(replica, { kind: 'preprepare', view, seq, value: value * 1000 + view });
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

  #onProposal(
    replica: Replica,
    from: number,
    message: Extract<Message, { kind: 'preprepare' | 'newview' }>,
  ): void {
    const { view, seq, value } = message;
    if (view < replica.view || from !== this.#leader(view)) return;
    if (message.kind === 'preprepare' && replica.isChanging) return;
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
    const value = highest?.value ?? (seq + 1) * 1000 + view;
    this.#broadcast(replica, { kind: 'newview', view, seq, value });
  }

  #decide(replica: Replica, value: number): void {
    const { seq } = replica;
    replica.log.push(value);
    const first = this.#order[seq];
    this.#checked += 1;
    if (first === undefined) {
      this.#order[seq] = value;
      this.#finality.push(this.#nowUs - (this.#startUs[seq] ?? 0));
    } else if (first !== value) this.#violations += 1;
    this.#openSlot(replica);
  }
}
