/** What is asked and answered while a node copies the state of a certified height. */
import {
  type Bytes,
  type CodecValue,
  bool,
  byteString,
  decodeWith,
  encodeWith,
  hash32,
  list,
  record,
  uint,
  variant,
} from '#libs/kernel';

export const LEAVES_MAX = 8192;
export const ENTRIES_MAX = 4096;
export const ENTRY_KEY_MAX_BYTES = 512;
export const ENTRY_VALUE_MAX_BYTES = 64 * 1024;
/** An answer stops growing here; one entry more may fit. */
export const ENTRIES_TARGET_BYTES = 512 * 1024;
export const ANCHOR_MAX_BYTES = 1024 * 1024;
export const OFFERS_MAX = 4;
export const SNAPSHOT_ANSWER_MAX_BYTES = 4 * 1024 * 1024;
const QUESTION_MAX_BYTES = 1024;

const questionShape = variant({
  /** Which states are to be had? */
  offers: record({}),
  /** Leaves of the tree of a height, from a key on. */
  leaves: record({ height: uint(), from: hash32 }),
  /** Entries of the state, in the order of the store, from a key on. */
  entries: record({ height: uint(), from: byteString(ENTRY_KEY_MAX_BYTES) }),
});
export type SnapshotQuestion = CodecValue<typeof questionShape>;

export const snapshotOffer = record({
  height: uint(),
  /** Of the state tree after that height. */
  root: hash32,
  /** What makes the root certain; the host knows how to read it. */
  anchor: byteString(ANCHOR_MAX_BYTES),
});
export type SnapshotOffer = CodecValue<typeof snapshotOffer>;

const answerShape = variant({
  offers: record({ offers: list(snapshotOffer, OFFERS_MAX) }),
  /** For `verifyStateRange`. */
  leaves: record({ range: byteString(SNAPSHOT_ANSWER_MAX_BYTES) }),
  entries: record({
    entries: list(
      record({
        key: byteString(ENTRY_KEY_MAX_BYTES),
        value: byteString(ENTRY_VALUE_MAX_BYTES),
      }),
      ENTRIES_MAX,
    ),
    isLast: bool,
  }),
});
export type SnapshotAnswer = CodecValue<typeof answerShape>;
export type SnapshotAnswerOf<K extends SnapshotAnswer['kind']> = Extract<
  SnapshotAnswer,
  { kind: K }
>;

export const encodeQuestion = (question: SnapshotQuestion): Bytes =>
  encodeWith(questionShape, question);
/** @throws KERNEL_CBOR_INVALID, KERNEL_CBOR_LIMIT, KERNEL_SHAPE */
export const decodeQuestion = (bytes: Bytes): SnapshotQuestion =>
  decodeWith(questionShape, bytes, { maxBytes: QUESTION_MAX_BYTES, maxDepth: 3 });
export const encodeAnswer = (answer: SnapshotAnswer): Bytes => encodeWith(answerShape, answer);
/** @throws KERNEL_CBOR_INVALID, KERNEL_CBOR_LIMIT, KERNEL_SHAPE */
export const decodeAnswer = (bytes: Bytes): SnapshotAnswer =>
  decodeWith(answerShape, bytes, { maxBytes: SNAPSHOT_ANSWER_MAX_BYTES, maxDepth: 6 });
