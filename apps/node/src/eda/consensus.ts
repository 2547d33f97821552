/**
 * Drives the consensus reducer of one validator: events in, one after the other; effects out, in order.
 * All journal records of a batch of events are synced in one write before any of their messages leaves
 * and before anything decided in it is acted upon.
 */
import {
  type Aggregate,
  type Body,
  type Certificate as CommitCertificate,
  type EdaConfig,
  type EdaEffect,
  type EdaEvent,
  type EdaMessage,
  type JournalRecord,
  type Roots,
  type SealedBlock,
  EdaNode,
  blockHash,
  encodeMessage,
} from '#libs/eda';
import type { Bytes } from '#libs/kernel';
import { NODE_PROTOCOLS, type Transport } from '#libs/net';
import { declareFailpoints, failpoint } from '#libs/platform';
import type { JournalFile } from './journal-file.ts';

declareFailpoints('node.consensus.before-send', 'node.consensus.after-send');

/** Events handled before their effects are carried out. */
const BATCH_MAX = 256;
/** Messages that wait for the reducer; more are dropped, and asked for again by whoever needs them. */
const INBOX_MAX = 20_000;

export interface ConsensusOptions {
  readonly config: EdaConfig;
  readonly journal: JournalFile;
  /** A journal longer than this begins anew with what still counts. */
  readonly journalBytes: number;
  readonly records: readonly JournalRecord[];
  readonly transport: Transport;
  /** µs, monotonic, set once to wall time. */
  readonly nowUs: () => number;
  /** A payload to make a block of, when there is one and its time has come. */
  readonly nextPayload: (
    nowUs: number,
  ) => { readonly payload: Bytes; readonly count: number } | undefined;
  readonly onDecided: (body: Body, commit: CommitCertificate) => void;
  /** This node made a block. */
  readonly onMade: (hash: string) => void;
  /** Validators of weight Q hold this block. */
  readonly onAvailable: (hash: string) => void;
  readonly onReady: (slot: number, blocks: readonly SealedBlock[]) => void;
  readonly onStrength: (slot: number, weight: number, aggregate: Aggregate | undefined) => void;
  readonly onEvidence: (evidence: Extract<EdaEffect, { kind: 'evidence' }>) => void;
  /** Events were handled, and their effects not carried out yet. */
  readonly onHandled: () => void;
  /** After a lost journal: the node votes again. */
  readonly onRecovered: (slot: number) => void;
  readonly onExpired: (block: SealedBlock) => void;
  /** Whether this block has arrived and is only not checked yet: nobody is asked for it. */
  readonly isArriving: (hash: string) => boolean;
  /** Decided cuts that are not stored yet, with their blocks: what a new journal must still hold. */
  readonly unstored: () => readonly {
    readonly body: Body;
    readonly commit: CommitCertificate;
    readonly blocks: readonly SealedBlock[];
  }[];
}

export class Consensus {
  readonly node: EdaNode;
  readonly #options: ConsensusOptions;
  #inbox: EdaEvent[] = [];
  #wake: (() => void) | undefined;
  #isStopping = false;
  /** Last records of their kind: a new journal begins with them. */
  readonly #last = new Map<'vote' | 'ticks' | 'attest' | 'recovery', JournalRecord>();
  #messagesDropped = 0;
  /** Length of the journal when it began anew. */
  #rotatedBytes = 0;
  /** Somebody asked to look while nobody waited. */
  #isStirred = false;
  /** Written with the next records that something waits for. */
  #unwritten: JournalRecord[] = [];

  constructor(options: ConsensusOptions) {
    this.#options = options;
    this.node = new EdaNode(options.config, options.nowUs(), options.records);
    for (const record of options.records) this.#note(record);
  }

  /** Messages dropped because too many waited. */
  get dropped(): number {
    return this.#messagesDropped;
  }

  #note(record: JournalRecord): void {
    const { kind } = record;
    if (kind !== 'block' && kind !== 'final') this.#last.set(kind, record);
  }

  hear(peer: string, message: EdaMessage): void {
    if (this.#inbox.length >= INBOX_MAX) {
      this.#messagesDropped++;
      return;
    }
    this.#put({ kind: 'message', peer, message });
  }

  executed(slot: number, roots: Roots): void {
    this.#put({ kind: 'executed', slot, roots });
  }

  install(event: Extract<EdaEvent, { kind: 'set' }>): void {
    this.#put(event);
  }

  /** The chain is new: a node that held nothing takes its seat. */
  begin(): void {
    this.#put({ kind: 'begin' });
  }

  #put(event: EdaEvent): void {
    this.#inbox.push(event);
    this.#wake?.();
  }

  /** There may be something to make a block of. */
  stir(): void {
    this.#isStirred = true;
    this.#wake?.();
  }

  stop(): void {
    this.#isStopping = true;
    this.#wake?.();
  }

  /** Until `stop`. @throws what the disk says; the process must end then */
  async run(): Promise<void> {
    await this.#carryOut(this.node.takeRestored());
    while (!this.#isStopping) {
      const effects = this.#handleBatch();
      await this.#carryOut(effects);
      if (this.#isJournalLong()) await this.#rotate();
      await this.#pause(effects.length > 0);
    }
  }

  #handleBatch(): readonly EdaEffect[] {
    const { nowUs, nextPayload, onMade, onHandled } = this.#options;
    const effects: EdaEffect[] = [];
    this.#isStirred = false;
    const events = this.#inbox.splice(0, BATCH_MAX);
    for (const event of events)
      for (const effect of this.node.handle(event, nowUs())) effects.push(effect);
    if (this.node.mayAuthor) {
      const block = nextPayload(nowUs());
      if (block)
        for (const effect of this.node.handle({ kind: 'author', ...block }, nowUs())) {
          effects.push(effect);
          if (effect.kind === 'broadcast' && effect.message.kind === 'block')
            onMade(blockHash(effect.message.message));
        }
    }
    if (nowUs() >= this.node.nextWakeUs)
      for (const effect of this.node.handle({ kind: 'wake' }, nowUs())) effects.push(effect);
    onHandled();
    return effects;
  }

  /** Until the next event or wake; others get the thread in any case. */
  async #pause(isBusy: boolean): Promise<void> {
    if (this.#inbox.length > 0 || isBusy) {
      await new Promise((resolve) => setImmediate(resolve));
      if (this.#inbox.length > 0) return;
    }
    const waitMs = (this.node.nextWakeUs - this.#options.nowUs()) / 1000;
    if (waitMs <= 0 || this.#isStirred || this.#isStopping) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(done, Math.ceil(waitMs));
      const wake = (): void => done();
      function done(): void {
        clearTimeout(timer);
        resolve();
      }
      this.#wake = wake;
    });
    this.#wake = undefined;
  }

  async #carryOut(effects: readonly EdaEffect[]): Promise<void> {
    for (const effect of effects)
      if (effect.kind === 'journal') {
        this.#unwritten.push(effect.record);
        this.#note(effect.record);
      }
    if (this.#unwritten.length > 0 && !effects.every(mayPrecedeJournal)) {
      const records = this.#unwritten;
      this.#unwritten = [];
      await this.#options.journal.append(records);
    }
    for (const effect of effects) this.#act(effect);
  }

  #act(effect: EdaEffect): void {
    const options = this.#options;
    switch (effect.kind) {
      case 'journal':
        return;
      case 'available':
        return options.onAvailable(effect.hash);
      case 'broadcast':
        failpoint('node.consensus.before-send');
        options.transport.broadcast(protocolOf(effect.message), encodeMessage(effect.message));
        failpoint('node.consensus.after-send');
        return;
      case 'send':
        return this.#send(effect.to, effect.message);
      case 'decided':
        return options.onDecided(effect.body, effect.certificate);
      case 'ready':
        return options.onReady(effect.slot, effect.blocks);
      case 'strength':
        return options.onStrength(effect.slot, effect.weight, effect.aggregate);
      case 'evidence':
        return options.onEvidence(effect);
      case 'recovered':
        return options.onRecovered(effect.slot);
      case 'expired':
        return options.onExpired(effect.block);
    }
  }

  #send(to: string, message: EdaMessage): void {
    const { transport, isArriving } = this.#options;
    let sent = message;
    if (message.kind === 'fetch' && message.blocks.length > 0) {
      const blocks = message.blocks.filter((hash) => !isArriving(hash));
      const { bodies, finalsFrom } = message;
      if (blocks.length + bodies.length === 0 && finalsFrom === null) return;
      sent = { ...message, blocks };
    }
    transport.send(to, protocolOf(sent), encodeMessage(sent));
  }

  #isJournalLong(): boolean {
    const { journal, journalBytes } = this.#options;
    return journal.sizeBytes > journalBytes + this.#rotatedBytes;
  }

  /** What must survive from here on: votes, open blocks, cuts that are not in the store yet. */
  async #rotate(): Promise<void> {
    const records: JournalRecord[] = [];
    const unstored = this.#options.unstored();
    for (const { blocks } of unstored)
      for (const block of blocks) records.push({ kind: 'block', block, x0: 0 });
    for (const { body, commit } of unstored)
      records.push({ kind: 'final', body, certificate: commit });
    for (const { block, isAcked, x0 } of this.node.positions.open())
      if (block && isAcked && x0 !== undefined) records.push({ kind: 'block', block, x0 });
    records.push(...this.#last.values());
    await this.#options.journal.rotate(records);
    this.#rotatedBytes = this.#options.journal.sizeBytes;
  }
}

/**
 * Whether nothing leaves the process by this effect: a block that was received is acknowledged by the next
 * tick, and must lie on disk then, not before. So blocks that come between two ticks share one sync.
 */
function mayPrecedeJournal(effect: EdaEffect): boolean {
  if (effect.kind === 'journal') return effect.record.kind === 'block';
  return effect.kind === 'available';
}

function protocolOf({ kind }: EdaMessage): number {
  return kind === 'block' ? NODE_PROTOCOLS.blocks.id : NODE_PROTOCOLS.votes.id;
}
