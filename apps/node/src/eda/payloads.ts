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
  // The block keeps its payload as long as anybody its transactions.
  const limits = { maxBytes: PAYLOAD_MAX_BYTES, maxDepth: 2, views: true };
  return decodeWith(payloadShape, payload, limits).map(readTransaction);
}

export interface Payloads {
  /** Of transactions whose signatures have been checked. */
  make(transactions: readonly TransactionEnvelope[]): Bytes;
  /**
   * Checks a payload that arrived under the root its block states; false when it must not be
   * acknowledged. One that comes again while the first is checked, or soon after, waits for that result.
   */
  check(payload: Bytes, txRoot: string): Promise<boolean>;
  /** The root of a payload that was made or checked here. */
  rootOf(payload: Bytes): string | undefined;
  transactionsOf(payload: Bytes): readonly TransactionEnvelope[];
}

/** Results kept for copies of a payload that are still on their way. */
const CHECKED_MAX = 32;

export function createPayloads(signatures: SignaturePool): Payloads {
  const roots = new WeakMap<Bytes, string>();
  const contents = new WeakMap<Bytes, readonly TransactionEnvelope[]>();
  const checks = new Map<string, Promise<readonly TransactionEnvelope[] | undefined>>();
  const accept = (
    payload: Bytes,
    root: string,
    transactions: readonly TransactionEnvelope[],
  ): void => {
    roots.set(payload, root);
    contents.set(payload, transactions);
  };
  const verified = async (payload: Bytes): Promise<readonly TransactionEnvelope[] | undefined> => {
    try {
      const transactions = readPayload(payload);
      const valid = await signatures.verify(transactions);
      return valid.every(Boolean) ? transactions : undefined;
    } catch (error) {
      if (isSeeleError(error)) return undefined;
      throw error;
    }
  };
  return {
    make(transactions) {
      const payload = encodeWith(
        payloadShape,
        transactions.map(({ bytes }) => bytes),
      );
      accept(payload, hashOf(PAYLOAD_DOMAIN, payload), transactions);
      return payload;
    },
    async check(payload, txRoot) {
      const known = checks.get(txRoot);
      // Only equal bytes have the root, so whose copy was checked does not matter.
      if (hashOf(PAYLOAD_DOMAIN, payload) !== txRoot) return false;
      const check = known ?? verified(payload);
      if (!known) {
        if (checks.size >= CHECKED_MAX) checks.delete(checks.keys().next().value as string);
        checks.set(txRoot, check);
      }
      const transactions = await check;
      if (transactions) accept(payload, txRoot, transactions);
      return transactions !== undefined;
    },
    rootOf: (payload) => roots.get(payload),
    // After a restart a block comes from the journal, where only checked ones are.
    transactionsOf: (payload) => contents.get(payload) ?? readPayload(payload),
  };
}
