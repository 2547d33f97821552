/**
 * The job's event log. Every step is an entry, chained by hash; whoever holds the baton (the market,
 * then the leased provider, then the market again) appends and signs in batches.
 */
import {
  type CodecValue,
  byteString,
  hash32,
  hexBytes,
  list,
  record,
  text,
  uint,
} from '#libs/kernel';

export const EVENTS_DOMAIN = 'seele/events/1';
export const BATCH_ENTRIES_MAX = 1024;
/** `prev` of the first entry. */
export const LOG_START = '00'.repeat(32);

/** One step. Its hash is SHA-256 of its canonical encoding; `prev` is the hash of the one before. */
export const eventEntry = record({
  job: hash32,
  /** 0, 1, 2, … without gaps. */
  seq: uint(),
  prev: hash32,
  /** e.g. `accepted`, `leased`, `started`, `log`, `progress`, `finished`, `settled`. */
  kind: text(40),
  timeUs: uint(),
  /** Canonical CBOR of the kind's own fields, so that unknown kinds still verify. */
  data: byteString(64 * 1024),
});
export type EventEntry = CodecValue<typeof eventEntry>;

/** Consecutive entries under one signature over {job, first seq, count, head hash}. */
export const eventBatch = record({
  job: hash32,
  entries: list(eventEntry, BATCH_ENTRIES_MAX),
  publicKey: hexBytes(33),
  signature: byteString(96),
});
export type EventBatch = CodecValue<typeof eventBatch>;

/** Where a log stands: what one baton holder hands to the next. */
export const logPosition = record({ length: uint(), head: hash32 });
export type LogPosition = CodecValue<typeof logPosition>;
