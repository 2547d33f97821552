/** Which waiting transactions go into this validator's blocks, and how safe they are there. */
import type { Bytes } from '#libs/kernel';
import type { CommittedBlock, Execution, Mempool } from '#libs/ledger';
import type { Payloads } from './payloads.ts';

/** Transactions of one block; an author has at most eight unordered blocks. */
const BLOCK_TRANSACTIONS = 2_000;
const BLOCK_BYTES = 512 * 1024;
/** What is in no available block after so long is given to others to keep. */
const GIVE_DELTAS = 20;
/** A validator that made no block for so long, while blocks become final, leaves its list to others. */
const STUCK_US = 3_000_000;
/** What became of an own block is known by then. */
const FORGET_US = 60_000_000;
/** Reasons for which a transaction that was left out of a block goes on waiting. */
const MAY_COME_LATER = new Set([
  'LEDGER_BLOCK_FULL',
  'LEDGER_NONCE_GAP',
  'LEDGER_TRANSACTION_EARLY',
  'LEDGER_FUEL_PRICE',
]);

export class OwnBlocks {
  readonly #mempool: Mempool;
  readonly #payloads: Payloads;
  readonly #deltaUs: number;
  /** Transactions in own blocks that are not executed yet. */
  readonly #taken = new Map<string, Bytes>();
  /** Payloads of own blocks that are not available yet, with the time they were made. */
  readonly #unavailable = new Map<Bytes, number>();
  #madeAtUs = Number.NEGATIVE_INFINITY;
  #finalAtUs = Number.NEGATIVE_INFINITY;
  /** When nothing waited outside of own blocks. */
  #clearedAtUs: number;

  constructor(mempool: Mempool, payloads: Payloads, deltaUs: number, nowUs: number) {
    this.#mempool = mempool;
    this.#payloads = payloads;
    this.#deltaUs = deltaUs;
    this.#clearedAtUs = nowUs;
  }

  /** @param timeUs wall time, for what transactions are valid */
  next(nowUs: number, timeUs: number): { payload: Bytes; count: number } | undefined {
    if (nowUs < this.#madeAtUs + this.#deltaUs) return undefined;
    if (this.#mempool.metrics.transactions <= this.#taken.size) {
      this.#clearedAtUs = nowUs;
      return undefined;
    }
    const chosen = this.#mempool.select(timeUs, {
      isTaken: (id) => this.#taken.has(id),
      transactions: BLOCK_TRANSACTIONS,
      bytes: BLOCK_BYTES,
    });
    const sizeBytes = chosen.reduce((sum, { bytes }) => sum + bytes.length, 0);
    const isAll = chosen.length < BLOCK_TRANSACTIONS && sizeBytes < BLOCK_BYTES / 2;
    if (isAll) this.#clearedAtUs = nowUs;
    if (chosen.length === 0) return undefined;
    this.#madeAtUs = nowUs;
    const payload = this.#payloads.make(chosen);
    this.#unavailable.set(payload, nowUs);
    for (const { id } of chosen) this.#taken.set(id, payload);
    return { payload, count: chosen.length };
  }

  /** Validators of weight Q hold a block. */
  available(payload: Bytes): void {
    this.#unavailable.delete(payload);
  }

  /** What became of an own block is known: its transactions may be taken again if they still wait. */
  release(payload: Bytes): void {
    this.#unavailable.delete(payload);
    for (const { id } of this.#payloads.transactionsOf(payload)) this.#taken.delete(id);
  }

  onBlock(block: CommittedBlock, execution: Execution | undefined, nowUs: number): void {
    this.#finalAtUs = nowUs;
    this.#mempool.afterBlock(block.transactions);
    for (const { id } of block.transactions) this.#taken.delete(id);
    for (const { transaction, reason } of execution?.dropped ?? []) {
      this.#taken.delete(transaction.id);
      if (this.#mempool.has(transaction.id) && !MAY_COME_LATER.has(reason.code))
        this.#mempool.drop(transaction.id, reason);
    }
    // Executed by others' blocks, expired, or in a block that came with its result: not on its way any more.
    for (const id of this.#taken.keys())
      if (execution === undefined || !this.#mempool.has(id)) this.#taken.delete(id);
  }

  /** It may not make blocks (it lost its journal in this era), while others do. */
  isStuck(nowUs: number): boolean {
    const sinceUs = nowUs - STUCK_US;
    return this.#madeAtUs < sinceUs && this.#clearedAtUs < sinceUs && this.#finalAtUs > sinceUs;
  }

  /** Something has waited too long outside of blocks that others hold. */
  isExposed(nowUs: number): boolean {
    for (const [payload, madeAtUs] of this.#unavailable)
      if (madeAtUs < nowUs - FORGET_US) this.#unavailable.delete(payload);
      else break;
    const dueUs = nowUs - GIVE_DELTAS * this.#deltaUs;
    const [oldestUs] = this.#unavailable.values();
    return this.#clearedAtUs <= dueUs || (oldestUs !== undefined && oldestUs <= dueUs);
  }

  /** It is in an own block that others hold. */
  isSafe(id: string): boolean {
    const payload = this.#taken.get(id);
    return payload !== undefined && !this.#unavailable.has(payload);
  }
}
