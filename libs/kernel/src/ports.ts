/**
 * The ports through which pure code meets the world. Domain libraries take them as arguments; apps,
 * `store`, `platform` and the simulators provide them. Each port has one conformance suite that
 * every adapter passes.
 */
import type { Bytes } from './bytes.ts';

/** Microseconds since the Unix epoch, the one time type on chains (integer, exact to 2^53). */
export type TimeUs = number;

export interface Clock {
  /** Wall-clock time in microseconds. May jump; never use it to measure a duration. */
  nowUs(): TimeUs;
  /** Monotonic time in milliseconds, for durations and time-outs. */
  monotonicMs(): number;
}

export interface Randomness {
  /** `length` fresh bytes. Cryptographic in production, seeded in simulations. */
  bytes(length: number): Bytes;
}

/** One change of a batch; `value: null` deletes. */
export interface KeyValueWrite {
  readonly key: Bytes;
  readonly value: Bytes | null;
}

/** Keys at or above `start` and below `end`, in lexicographic order. */
export interface KeyRange {
  readonly start: Bytes;
  readonly end: Bytes;
  readonly limit?: number;
  readonly reverse?: boolean;
}

export interface KeyValueReader {
  get(key: Bytes): Bytes | undefined;
  range(range: KeyRange): Iterable<readonly [key: Bytes, value: Bytes]>;
}

/** A frozen view of one committed state. Must be closed: an open one keeps old pages alive. */
export interface KeyValueSnapshot extends KeyValueReader {
  close(): void;
}

/**
 * An ordered, durable map of bytes to bytes with one writer.
 *
 * `commit` is atomic and durable when it resolves. When it rejects the outcome is unknown: the
 * process must end and reopen, which decides (docs/decisions/0002-storage-errors-end-the-process.md).
 */
export interface KeyValueStore extends KeyValueReader {
  commit(writes: readonly KeyValueWrite[]): Promise<void>;
  snapshot(): KeyValueSnapshot;
  close(): Promise<void>;
}
