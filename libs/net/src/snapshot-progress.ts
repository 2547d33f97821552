/** How far a copy of a state has come: stored with every piece, so that it goes on after any end. */
import {
  type Bytes,
  type CodecValue,
  byteString,
  decodeWith,
  encodeWith,
  hash32,
  isSeeleError,
  list,
  nullable,
  record,
  uint,
} from '#libs/kernel';
import { ENTRY_KEY_MAX_BYTES, snapshotOffer } from './snapshot-messages.ts';

/** Parts of the key space that are copied side by side. */
export const SEGMENTS = 16;
const PROGRESS_MAX_BYTES = 2 * 1024 * 1024;

const progressShape = record({
  offer: snapshotOffer,
  /** Where each part goes on; null: done. */
  segments: list(nullable(hash32), SEGMENTS),
  leaves: uint(),
  /** Where the entries go on; null: done. */
  entriesFrom: nullable(byteString(ENTRY_KEY_MAX_BYTES)),
  entries: uint(),
});
export type SnapshotProgress = CodecValue<typeof progressShape>;

/** First key of a part, hex. */
export const segmentStart = (segment: number): string => segment.toString(16).padEnd(64, '0');

export const encodeProgress = (progress: SnapshotProgress): Bytes =>
  encodeWith(progressShape, progress);

/** Undefined when there is none, or one that this version cannot read. */
export function readProgress(bytes: Bytes | undefined): SnapshotProgress | undefined {
  if (!bytes) return undefined;
  try {
    const progress = decodeWith(progressShape, bytes, { maxBytes: PROGRESS_MAX_BYTES });
    return progress.segments.length === SEGMENTS ? progress : undefined;
  } catch (error) {
    if (isSeeleError(error)) return undefined;
    throw error;
  }
}
