/**
 * The documents in which the outputs of an order of many tasks are found: one per batch, written by its
 * provider, and one over all batches, written by the market when the order is done.
 */
import {
  type Bytes,
  type CodecValue,
  byteString,
  cid,
  decodeWith,
  encodeWith,
  hash32,
  list,
  optional,
  record,
  text,
  uint,
} from '#libs/kernel';
import { unitSet } from '#contracts';

/** Outputs of at most so many bytes stand in the batch's document itself. */
export const INLINE_OUTPUT_MAX_BYTES = 4_096;
const BATCH_MAX_BYTES = 4 * 2 ** 20;
/** First log lines of a task that failed: so many, so long, and of a batch so much in all. */
export const UNIT_LOG_LINES_MAX = 20;
export const UNIT_LOG_LINE_MAX = 500;
export const BATCH_LOG_MAX_CHARACTERS = 64 * 1024;

/** One unit's output: its bytes, or where they are. */
export const unitOutput = record({
  unit: uint(),
  /** CID of the output, whether it stands here or not; the unit's leaf has the same. Absent without one. */
  cid: optional(cid),
  sizeBytes: uint(),
  inline: optional(byteString(INLINE_OUTPUT_MAX_BYTES)),
  /** Why it did not end as `ok`; the guest's own words among them. */
  error: optional(text(500)),
  /** What it wrote first into its log; only of one that failed. */
  log: optional(list(text(UNIT_LOG_LINE_MAX), UNIT_LOG_LINES_MAX)),
});
export type UnitOutput = CodecValue<typeof unitOutput>;

export const batchResults = list(unitOutput, 200);
export type BatchResults = CodecValue<typeof batchResults>;

export const encodeBatchResults = (value: BatchResults): Bytes => encodeWith(batchResults, value);
/** @throws KERNEL_CBOR_INVALID, KERNEL_CBOR_LIMIT, KERNEL_SHAPE */
export const decodeBatchResults = (bytes: Bytes): BatchResults =>
  decodeWith(batchResults, bytes, { maxBytes: BATCH_MAX_BYTES });

/** Result of an order of many tasks: a dag-cbor block. */
export const arrayResult = record({
  version: uint(1),
  tasks: uint(),
  replicas: uint(),
  /** In the order in which they were handed out. */
  batches: list(
    record({ fence: uint(), units: unitSet, root: hash32, results: optional(cid) }),
    10_000,
  ),
  /** Units that were given up. */
  missing: list(record({ from: uint(), count: uint() }), 10_000),
});
export type ArrayResult = CodecValue<typeof arrayResult>;

/** @throws KERNEL_CBOR_INVALID, KERNEL_CBOR_LIMIT, KERNEL_SHAPE */
export const decodeArrayResult = (bytes: Bytes): ArrayResult =>
  decodeWith(arrayResult, bytes, { maxBytes: 2 ** 20 });
