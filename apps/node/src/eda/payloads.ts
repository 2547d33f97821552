/**
 * Payloads of blocks: lists of transactions. A payload gets its root, and with it the right to be
 * acknowledged, only when every transaction in it was read and its signature checked: once per process,
 * on the signature threads, before consensus sees the block.
 */
import { hashOf } from '#libs/crypto';
import { PAYLOAD_MAX_BYTES } from '#libs/eda';
import { type Bytes, byteString, decodeWith, encodeWith, isSeeleError, list } from '#libs/kernel';
import { TRANSACTION_MAX_BYTES, type TransactionEnvelope, readTransaction } from '#libs/ledger';
import type { SignaturePool } from '../signature-pool.ts';

const PAYLOAD_DOMAIN = 'seele/eda-payload/1';
export const PAYLOAD_TRANSACTIONS_MAX = 10_000;
const payloadShape = list(byteString(TRANSACTION_MAX_BYTES), PAYLOAD_TRANSACTIONS_MAX);

export function readPayload(payload: Bytes): readonly TransactionEnvelope[] {
  const limits = { maxBytes: PAYLOAD_MAX_BYTES, maxDepth: 2 };
  return decodeWith(payloadShape, payload, limits).map(readTransaction);
}

export interface Payloads {
  /** Of transactions whose signatures have been checked. */
  make(transactions: readonly TransactionEnvelope[]): Bytes;
  /** Checks a payload that arrived; false when it must not be acknowledged. */
  check(payload: Bytes): Promise<boolean>;
  /** The root of a payload that was made or checked here. */
  rootOf(payload: Bytes): string | undefined;
  transactionsOf(payload: Bytes): readonly TransactionEnvelope[];
}

export function createPayloads(signatures: SignaturePool): Payloads {
  const roots = new WeakMap<Bytes, string>();
  const contents = new WeakMap<Bytes, readonly TransactionEnvelope[]>();
  const accept = (payload: Bytes, transactions: readonly TransactionEnvelope[]): void => {
    roots.set(payload, hashOf(PAYLOAD_DOMAIN, payload));
    contents.set(payload, transactions);
  };
  return {
    make(transactions) {
      const payload = encodeWith(
        payloadShape,
        transactions.map(({ bytes }) => bytes),
      );
      accept(payload, transactions);
      return payload;
    },
    async check(payload) {
      let transactions: readonly TransactionEnvelope[];
      try {
        transactions = readPayload(payload);
      } catch (error) {
        if (isSeeleError(error)) return false;
        throw error;
      }
      const valid = await signatures.verify(transactions);
      if (!valid.every(Boolean)) return false;
      accept(payload, transactions);
      return true;
    },
    rootOf: (payload) => roots.get(payload),
    // After a restart a block comes from the journal, where only checked ones are.
    transactionsOf: (payload) => contents.get(payload) ?? readPayload(payload),
  };
}
