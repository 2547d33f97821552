/**
 * One chain in one process: takes transactions, makes blocks one after the other, tells who waits.
 * While a block is being stored transactions are taken; the next block holds all of them.
 */
import { setImmediate } from 'node:timers/promises';
import { type Clock, SeeleError, isSeeleError } from '#libs/kernel';
import type { Bytes } from '#libs/kernel';
import {
  type Chain,
  type CommittedBlock,
  type FinalReceipt,
  type Mempool,
  type Producer,
  type TransactionEnvelope,
  ledgerError,
  readTransaction,
} from '#libs/ledger';
import { declareFailpoints, failpoint } from '#libs/platform';
import type { SignaturePool } from './signature-pool.ts';

declareFailpoints(
  'node.submit.before-admit',
  'node.submit.after-admit',
  'node.block.after-publish',
);

export interface NodeServiceOptions {
  readonly chain: Chain;
  readonly mempool: Mempool;
  readonly producer: Producer;
  readonly signatures: SignaturePool;
  readonly clock: Clock;
  /** Why no transactions are taken at the moment (the disk is full), if so. */
  readonly refusal: () => SeeleError | undefined;
  /** A block could not be stored or executed: the process has to end. */
  readonly onFatal: (error: unknown) => void;
  readonly onBlock: (block: CommittedBlock) => void;
}

export type Submission =
  | { readonly id: string; readonly ok: true }
  | { readonly id: string | undefined; readonly ok: false; readonly error: SeeleError };

export interface NodeService {
  readonly chain: Chain;
  readonly mempool: Mempool;
  /** The node's clock. */
  nowUs(): number;
  /** Takes transactions in their canonical bytes; one answer each, in order. */
  submit(transactions: readonly Bytes[]): Promise<readonly Submission[]>;
  /** The receipt once it is final; undefined when `waitMs` passed first. @throws why it was dropped */
  receipt(id: string, waitMs: number): Promise<FinalReceipt | undefined>;
  /** Resolves when a block above `height` is final, or the signal aborts. */
  blockAfter(height: number, signal: AbortSignal): Promise<void>;
  /** Resolves when the block under way is stored. */
  stop(): Promise<void>;
}

/** Reasons of dropped transactions that are remembered for whoever asks. */
const DROPPED_MAX = 10_000;
const WAITERS_MAX = 20_000;
/** How often waiting transactions are looked at when nothing else happens. */
const IDLE_CHECK_MS = 250;

interface Waiter {
  readonly resolve: (receipt: FinalReceipt | undefined) => void;
  readonly reject: (reason: SeeleError) => void;
}

export class ChainNode implements NodeService {
  readonly chain: Chain;
  readonly mempool: Mempool;
  readonly #options: NodeServiceOptions;
  readonly #dropped = new Map<string, SeeleError>();
  readonly #waiters = new Map<string, Set<Waiter>>();
  #waiterCount = 0;
  readonly #followers = new Set<() => void>();
  #wake: (() => void) | undefined;
  #isStopping = false;
  readonly #loop: Promise<void>;

  constructor(options: NodeServiceOptions) {
    this.#options = options;
    this.chain = options.chain;
    this.mempool = options.mempool;
    this.#loop = this.#run();
  }

  nowUs(): number {
    return this.#options.clock.nowUs();
  }

  /** For the mempool: remembers why a transaction left it. */
  noteDropped(id: string, reason: SeeleError): void {
    this.#dropped.delete(id);
    this.#dropped.set(id, reason);
    if (this.#dropped.size > DROPPED_MAX)
      this.#dropped.delete(this.#dropped.keys().next().value as string);
    this.#settle(id, ({ reject }) => reject(reason));
  }

  async submit(transactions: readonly Bytes[]): Promise<readonly Submission[]> {
    const refusal = this.#isStopping
      ? ledgerError('LEDGER_STOPPED', 'the node is stopping')
      : this.#options.refusal();
    if (refusal) throw refusal;
    const read = transactions.map((bytes) => {
      try {
        return readTransaction(bytes);
      } catch (error) {
        if (isSeeleError(error)) return error;
        throw error;
      }
    });
    const envelopes = read.filter(
      (item): item is TransactionEnvelope => !(item instanceof SeeleError),
    );
    const valid = await this.#options.signatures.verify(envelopes);
    const validity = new Map(envelopes.map((envelope, i) => [envelope, valid[i] === true]));
    failpoint('node.submit.before-admit');
    const nowUs = this.#options.clock.nowUs();
    const answers = read.map((item): Submission => {
      if (item instanceof SeeleError) return { id: undefined, ok: false, error: item };
      return this.#admit(item, validity.get(item) === true, nowUs);
    });
    failpoint('node.submit.after-admit');
    this.#wake?.();
    this.#options.producer.submitted?.();
    return answers;
  }

  #admit(envelope: TransactionEnvelope, isSigned: boolean, nowUs: number): Submission {
    const { id } = envelope;
    if (!isSigned) {
      const error = ledgerError('LEDGER_SIGNATURE_INVALID', `transaction ${id}: wrong signature`);
      return { id, ok: false, error };
    }
    const admission = this.mempool.add(envelope, nowUs);
    if (!admission.ok) {
      // Sent again after it became final: the sender may not have heard the answer.
      if (admission.error.code === 'LEDGER_NONCE_USED' && this.chain.receipt(id))
        return { id, ok: true };
      return { id, ok: false, error: admission.error };
    }
    this.#dropped.delete(id);
    return { id, ok: true };
  }

  async receipt(id: string, waitMs: number): Promise<FinalReceipt | undefined> {
    const final = this.chain.receipt(id);
    if (final) return final;
    const dropped = this.#dropped.get(id);
    if (dropped) throw dropped;
    if (waitMs <= 0 || this.#isStopping) return undefined;
    if (this.#waiterCount >= WAITERS_MAX)
      throw ledgerError('LEDGER_POOL_FULL', `${WAITERS_MAX} requests wait for receipts already`);
    return new Promise((resolve, reject) => {
      const waiters = this.#waiters.get(id) ?? new Set<Waiter>();
      this.#waiters.set(id, waiters);
      const waiter: Waiter = {
        resolve: (receipt) => done(() => resolve(receipt)),
        reject: (reason) => done(() => reject(reason)),
      };
      const timer = setTimeout(() => waiter.resolve(undefined), waitMs);
      const done = (answer: () => void): void => {
        clearTimeout(timer);
        if (!waiters.delete(waiter)) return;
        this.#waiterCount--;
        if (waiters.size === 0) this.#waiters.delete(id);
        answer();
      };
      waiters.add(waiter);
      this.#waiterCount++;
    });
  }

  #settle(id: string, answer: (waiter: Waiter) => void): void {
    for (const waiter of [...(this.#waiters.get(id) ?? [])]) answer(waiter);
  }

  blockAfter(height: number, signal: AbortSignal): Promise<void> {
    if (this.chain.head.header.height > height || signal.aborted || this.#isStopping)
      return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        this.#followers.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#followers.add(done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#wake?.();
    await this.#options.producer.stop?.();
    await this.#loop;
    for (const follower of [...this.#followers]) follower();
    for (const waiters of [...this.#waiters.values()])
      for (const waiter of [...waiters]) waiter.resolve(undefined);
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      try {
        const block = await this.#options.producer.step(this.#options.clock.nowUs());
        if (block) this.#publish(block);
        else await this.#idle();
      } catch (error) {
        this.#options.onFatal(error);
        return;
      }
      // Let requests in that arrived meanwhile: they belong into the next block.
      await setImmediate();
    }
  }

  /** Until a transaction arrives; with transactions that wait for their time, a short while. */
  async #idle(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer =
        this.mempool.metrics.transactions > 0 ? setTimeout(resolve, IDLE_CHECK_MS) : undefined;
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.#isStopping) this.#wake();
    });
    this.#wake = undefined;
  }

  #publish(block: CommittedBlock): void {
    const { height, timeUs } = block.header;
    if (this.#waiterCount > 0)
      for (const [index, receipt] of block.receipts.entries())
        this.#settle(receipt.transaction, ({ resolve }) =>
          resolve({ receipt, height, index, timeUs }),
        );
    for (const follower of [...this.#followers]) follower();
    this.#options.onBlock(block);
    failpoint('node.block.after-publish');
  }
}
