/**
 * Transactions between nodes, beside blocks.
 *
 * A node that makes no blocks passes what it took on to validators, which take it as if it had come over
 * HTTP: read, signature checked, admitted or not. A validator lists what it took itself; what has not got
 * into an available block of its own after a short while (no quorum, a cut line, overload) it gives to
 * validators of more weight than may fail, which keep it in case it dies (`Standby`).
 */
import { type Bytes, type CodecValue, encodeWith, decodeWith, variant, record } from '#libs/kernel';
import {
  type Mempool,
  type TransactionEnvelope,
  readTransaction,
  transactionBatch,
} from '#libs/ledger';
import { NODE_PROTOCOLS, type Transport } from '#libs/net';
import type { SignaturePool } from '../signature-pool.ts';
import { Standby } from './standby.ts';

/** Validators that a transaction is passed on to: one may be down. */
const RECEIVERS = 2;
const BATCH_TRANSACTIONS = 500;
const BATCH_BYTES = 512 * 1024;
/** Sent again when it still waits after so long. */
const PASS_AGAIN_US = 3_000_000;
const KEEP_AGAIN_US = 10_000_000;
/** Signatures of what a dead peer left are checked in pieces. */
const ORPHANS_AT_ONCE = 256;

const messageShape = variant({
  /** To be listed by the receiver. */
  pass: record({ transactions: transactionBatch }),
  /** To be listed by the receiver if the sender dies. */
  keep: record({ transactions: transactionBatch }),
});
type Message = CodecValue<typeof messageShape>;
const decodeMessage = (bytes: Bytes): Message =>
  decodeWith(messageShape, bytes, { maxBytes: NODE_PROTOCOLS.transactions.maxMessageBytes });

export interface ForwarderParts {
  readonly mempool: Mempool;
  readonly transport: Transport;
  readonly signatures: SignaturePool;
  readonly nowUs: () => number;
  /** Linked validators and their weights. */
  readonly validators: () => readonly { readonly peer: string; readonly weight: number }[];
  /** Weight of validators that may fail. */
  readonly failing: () => number;
  /** Transactions were admitted here. */
  readonly onAdmitted: () => void;
}

export interface ForwarderCounts {
  /** Given to others, once per receiver. */
  readonly passed: number;
  readonly given: number;
  /** Taken up from peers that died. */
  readonly adopted: number;
  readonly keptBytes: number;
}

export class Forwarder {
  readonly #parts: ForwarderParts;
  readonly #standby = new Standby();
  readonly #sentAtUs = new Map<string, number>();
  readonly #stopListening: () => void;
  readonly #counts = { passed: 0, given: 0, adopted: 0 };
  #turn = 0;

  constructor(parts: ForwarderParts) {
    this.#parts = parts;
    const { transport, nowUs } = parts;
    transport.onMessage(NODE_PROTOCOLS.transactions.id, (peer, bytes) => this.#hear(peer, bytes));
    this.#stopListening = transport.onPeer(({ kind, peer }) =>
      this.#standby.linkChanged(peer, kind === 'up', nowUs() / 1_000),
    );
  }

  get counts(): ForwarderCounts {
    return { ...this.#counts, keptBytes: this.#standby.sizeBytes };
  }

  close(): void {
    this.#stopListening();
  }

  async #hear(peer: string, bytes: Bytes): Promise<void> {
    const { kind, transactions } = decodeMessage(bytes);
    if (kind === 'keep') this.#standby.keep(peer, transactions, this.#parts.nowUs() / 1_000);
    else await this.#admit(transactions.map(readTransaction));
  }

  async #admit(envelopes: readonly TransactionEnvelope[]): Promise<number> {
    const { signatures, mempool, nowUs, onAdmitted } = this.#parts;
    const valid = await signatures.verify(envelopes);
    let admitted = 0;
    for (const [i, envelope] of envelopes.entries())
      if (valid[i] && mempool.add(envelope, nowUs()).ok) admitted++;
    onAdmitted();
    return admitted;
  }

  /** Takes up what peers have left that are gone. To be called now and then. */
  async adopt(): Promise<void> {
    const orphans = this.#standby.take(this.#parts.nowUs() / 1_000);
    for (let at = 0; at < orphans.length; at += ORPHANS_AT_ONCE) {
      const envelopes = orphans.slice(at, at + ORPHANS_AT_ONCE).flatMap((bytes) => {
        try {
          return [readTransaction(bytes)];
        } catch {
          return []; // Whoever sent it lied; it is gone.
        }
      });
      this.#counts.adopted += await this.#admit(envelopes);
    }
  }

  /** Passes on what waits and was not passed on lately: this node will not list it. */
  passOn(): void {
    const to = this.#parts.validators().map(({ peer }) => peer);
    const chosen = this.#choose(PASS_AGAIN_US, () => false);
    if (chosen.length === 0 || to.length === 0) return;
    const receivers = Math.min(RECEIVERS, to.length);
    this.#send('pass', chosen, to, receivers);
    this.#counts.passed += chosen.length * receivers;
  }

  /** Gives away what waits, but for what is in blocks that others hold (`isSafe`). */
  give(isSafe: (id: string) => boolean): void {
    const all = this.#parts.validators();
    const chosen = this.#choose(KEEP_AGAIN_US, isSafe);
    if (chosen.length === 0 || all.length === 0) return;
    const failing = this.#parts.failing();
    let receivers = 0;
    for (let weight = 0; weight <= failing && receivers < all.length; receivers++)
      weight += all[(this.#turn + receivers) % all.length]?.weight ?? 0;
    this.#send(
      'keep',
      chosen,
      all.map(({ peer }) => peer),
      receivers,
    );
    this.#counts.given += chosen.length * receivers;
  }

  #choose(againUs: number, isSafe: (id: string) => boolean): readonly TransactionEnvelope[] {
    const { mempool, nowUs } = this.#parts;
    const atUs = nowUs();
    for (const [id, sentAtUs] of this.#sentAtUs) {
      if (sentAtUs > atUs - againUs) break;
      this.#sentAtUs.delete(id);
    }
    return mempool.select(atUs, {
      isTaken: (id) => this.#sentAtUs.has(id) || isSafe(id),
      transactions: BATCH_TRANSACTIONS,
      bytes: BATCH_BYTES,
    });
  }

  #send(
    kind: Message['kind'],
    chosen: readonly TransactionEnvelope[],
    to: readonly string[],
    receivers: number,
  ): void {
    const { transport, nowUs } = this.#parts;
    const transactions = chosen.map(({ bytes }) => bytes);
    const message = encodeWith(messageShape, { kind, transactions });
    for (let i = 0; i < receivers; i++)
      transport.send(
        to[(this.#turn + i) % to.length] as string,
        NODE_PROTOCOLS.transactions.id,
        message,
      );
    this.#turn++;
    const atUs = nowUs();
    for (const { id } of chosen) {
      this.#sentAtUs.delete(id);
      this.#sentAtUs.set(id, atUs);
    }
  }
}
