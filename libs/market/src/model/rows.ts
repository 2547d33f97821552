/**
 * What the market keeps. State is split into rows so that one database transaction makes an event
 * durable; every row is canonical CBOR with a version, and reading the rows back gives the state.
 *
 * Tables: `order` (one per order, rewritten at each step), `batch` (the jobs' signed log entries,
 * append-only), `units` and `leaves` (one each per batch of an order of many tasks), `leaf` and `checkpoint` (the operator's
 * log and its signed roots), `provider`, `transaction` (calls on their way to the chain, deleted when it
 * answered), `meta` (one row), `learned` (what runs have taught: times, slowdowns, how quotes ended).
 */
import { eventBatch } from '#libs/audit';
import {
  type Bytes,
  type Codec,
  type CodecValue,
  decodeWith,
  encodeWith,
  hash32,
  optional,
  record,
  text,
  uint,
} from '#libs/kernel';
import { providerOffer } from '../agent-protocol.ts';
import { learnedRow } from '../placement/terms.ts';
import { trustRecord } from '../verification/trust.ts';
import { leavesRow, unitsRow } from './array-rows.ts';
import { checkpointRow, leafRow, metaRow, transactionRow } from './chain-rows.ts';
import { orderRow } from './order-row.ts';

export * from './array-rows.ts';
export * from './chain-rows.ts';
export * from './check-states.ts';
export * from './order-row.ts';

export const ROW_VERSION = 1;

export const providerRow = record({
  version: uint(),
  provider: hash32,
  publicKey: text(66),
  offer: providerOffer,
  lastSeenUs: uint(),
  /** When it was last given up; absent while it is there, or expected back. */
  goneUs: optional(uint()),
  completed: uint(),
  faults: uint(),
  /** What comparisons of its results came to; absent before the first. */
  trust: optional(trustRecord),
});
export type ProviderRow = CodecValue<typeof providerRow>;

export const ROW_CODECS = {
  order: orderRow,
  batch: eventBatch,
  leaf: leafRow,
  checkpoint: checkpointRow,
  provider: providerRow,
  transaction: transactionRow,
  units: unitsRow,
  leaves: leavesRow,
  meta: metaRow,
  learned: learnedRow,
} as const;

export type Table = keyof typeof ROW_CODECS;
export type RowOf<T extends Table> = CodecValue<(typeof ROW_CODECS)[T]>;

/** A stored row as the database has it. */
export interface StoredRow {
  readonly table: Table;
  readonly id: string;
  readonly bytes: Bytes;
}

export function encodeRow<T extends Table>(table: T, row: RowOf<T>): Bytes {
  return encodeWith(ROW_CODECS[table] as unknown as Codec<RowOf<T>>, row);
}

/** @throws KERNEL_CBOR_INVALID, KERNEL_CBOR_LIMIT, KERNEL_SHAPE */
export function decodeRow<T extends Table>(table: T, bytes: Bytes): RowOf<T> {
  return decodeWith(ROW_CODECS[table] as unknown as Codec<RowOf<T>>, bytes, {
    maxBytes: 32 * 1024 * 1024,
  });
}

/** Row id of a log batch: sorts by job, then by position. */
export const batchId = (job: string, firstSeq: number): string =>
  `${job}/${String(firstSeq).padStart(10, '0')}`;

/** Row id of a batch of units: sorts by order, then by fence. */
export const unitsId = (order: string, fence: number): string =>
  `${order}/${String(fence).padStart(10, '0')}`;

/** Row id of a numbered row (leaf, checkpoint): sorts by number. */
export const numberId = (n: number): string => String(n).padStart(12, '0');

/** Row id of the one `meta` row. */
export const META_ID = 'market';
