/**
 * A node that does not validate passes the transactions it took on to validators, and validators take
 * them as if they had come over HTTP: read, signature checked, admitted or not.
 */
import { encodeWith } from '#libs/kernel';
import {
  type Mempool,
  type TransactionEnvelope,
  decodeTransactionBatch,
  readTransaction,
  transactionBatch,
} from '#libs/ledger';
import { NODE_PROTOCOLS, type Transport } from '#libs/net';
import type { SignaturePool } from '../signature-pool.ts';

/** Validators that get each transaction: one may be down. */
const RECEIVERS = 2;
const BATCH_TRANSACTIONS = 500;
const BATCH_BYTES = 512 * 1024;
/** Sent again when it still waits after so long. */
const AGAIN_US = 3_000_000;

export interface ForwarderParts {
  readonly mempool: Mempool;
  readonly transport: Transport;
  readonly signatures: SignaturePool;
  readonly nowUs: () => number;
  /** Linked validators. */
  readonly validators: () => readonly string[];
  /** Transactions were admitted here. */
  readonly onAdmitted: () => void;
}

export class Forwarder {
  readonly #parts: ForwarderParts;
  readonly #sentAtUs = new Map<string, number>();
  #turn = 0;

  constructor(parts: ForwarderParts) {
    this.#parts = parts;
    const { id } = NODE_PROTOCOLS.transactions;
    parts.transport.onMessage(id, (_peer, bytes) => this.#take(bytes));
  }

  async #take(bytes: Uint8Array): Promise<void> {
    const { signatures, mempool, nowUs, onAdmitted } = this.#parts;
    const envelopes = decodeTransactionBatch(bytes).map(readTransaction);
    const valid = await signatures.verify(envelopes);
    for (const [i, envelope] of envelopes.entries()) if (valid[i]) mempool.add(envelope, nowUs());
    onAdmitted();
  }

  /** Passes on what waits and was not passed on lately. */
  passOn(): void {
    const { mempool, transport, nowUs, validators } = this.#parts;
    const to = validators();
    if (mempool.metrics.transactions === 0) this.#sentAtUs.clear();
    if (mempool.metrics.transactions === 0 || to.length === 0) return;
    const atUs = nowUs();
    const chosen = mempool.select(atUs, {
      isTaken: (id) => (this.#sentAtUs.get(id) ?? 0) > atUs - AGAIN_US,
      transactions: BATCH_TRANSACTIONS,
      bytes: BATCH_BYTES,
    });
    if (chosen.length === 0) return;
    const batch = encodeWith(
      transactionBatch,
      chosen.map(({ bytes }: TransactionEnvelope) => bytes),
    );
    for (let i = 0; i < Math.min(RECEIVERS, to.length); i++)
      transport.send(
        to[(this.#turn + i) % to.length] as string,
        NODE_PROTOCOLS.transactions.id,
        batch,
      );
    this.#turn++;
    for (const { id } of chosen) this.#sentAtUs.set(id, atUs);
  }
}
