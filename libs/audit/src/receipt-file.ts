/**
 * The receipt: one `.seele` file with everything that is needed to check a job offline. Canonical
 * CBOR; every byte of it is covered by a hash, a signature or a proof that leads to the genesis id.
 */
import { signedDelivery, signedOrder } from '#contracts';
import {
  type Bytes,
  type CodecValue,
  byteString,
  encodeWith,
  list,
  oneOf,
  optional,
  record,
  uint,
} from '#libs/kernel';
import { genesis, stateProof } from '#libs/ledger';
import { logProof } from '#libs/merkle';
import { eventBatch } from './event.ts';
import { checkpoint } from './operator-log.ts';
import { paidBatches } from './units.ts';
import { readCanonical } from './receipt-bytes.ts';

export const RECEIPT_FILE_SUFFIX = '.seele';
export const RECEIPT_VERSION = 1;
export const RECEIPT_MAX_BYTES = 64 * 2 ** 20;
const BATCHES_MAX = 100_000;
const CHECKPOINTS_MAX = 10_000;

export const receiptFile = record({
  magic: oneOf('seele-receipt'),
  version: uint(RECEIPT_VERSION),
  /** The chain the receipt refers to; its hash is the genesis id that a verifier pins. */
  genesis,
  order: signedOrder,
  /** The job manifest; its CID is what the consumer signed. */
  manifest: byteString(256 * 1024),
  /** The whole log of the job, from its first entry on. */
  batches: list(eventBatch, BATCHES_MAX),
  /** Where the log stood, leaf by leaf of the market operator's log. */
  checkpoints: list(checkpoint, CHECKPOINTS_MAX),
  /** Contract `audit`'s records of the operator's roots at the checkpoints' sizes, ascending. */
  anchors: list(stateProof, CHECKPOINTS_MAX),
  /** Between each anchored size and the next one. */
  consistency: list(logProof, CHECKPOINTS_MAX),
  /** Contract `orders`' record of the order after its end. */
  orderProof: stateProof,
  /** What the paid provider signed; absent when nothing was delivered. */
  delivery: optional(signedDelivery),
  /** Of an order of many tasks: the batches that were paid. */
  units: optional(paidBatches),
});
export type ReceiptFile = CodecValue<typeof receiptFile>;

/** What a receipt is made of; `magic` and `version` are added. */
export type ReceiptParts = Omit<ReceiptFile, 'magic' | 'version'>;

/**
 * Writes a receipt. It is not judged here: run `verifyReceipt` on the result.
 *
 * @throws KERNEL_SHAPE when a part has the wrong shape
 */
export function buildReceipt(parts: ReceiptParts): Bytes {
  const { delivery, units, ...rest } = parts;
  return encodeWith(receiptFile, {
    magic: 'seele-receipt',
    version: RECEIPT_VERSION,
    ...rest,
    ...(delivery && { delivery }),
    ...(units && { units }),
  });
}

/** Reads a receipt without judging it. @throws AUDIT_RECEIPT_MALFORMED */
export function readReceipt(bytes: Bytes): ReceiptFile {
  const limits = { version: RECEIPT_VERSION, maxBytes: RECEIPT_MAX_BYTES };
  return readCanonical(receiptFile, bytes, limits);
}
