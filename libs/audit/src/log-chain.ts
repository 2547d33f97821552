/**
 * Writing and checking the hash chain of a job's log. Whoever holds the log appends entries to a
 * position and signs them in batches; whoever takes it over checks the batch and goes on from there.
 *
 * @example
 * const writer = createLogWriter(job, position);
 * writer.append({ kind: 'started', timeUs, data });
 * const batch = writer.sign(signer); // every entry since the last one
 * const next = verifyBatch(batch, job, position, verifySignature);
 */
import { type SignatureVerifier, type Signer, sha256Hex } from '#libs/crypto';
import { type Bytes, encodeWith, hash32, invariant, record, uint } from '#libs/kernel';
import { auditError } from './errors.ts';
import {
  BATCH_ENTRIES_MAX,
  EVENTS_DOMAIN,
  type EventBatch,
  type EventEntry,
  LOG_START,
  type LogPosition,
  eventEntry,
} from './event.ts';

/** Where every log begins. */
export const LOG_BEGIN: LogPosition = { length: 0, head: LOG_START };

/** What an entry says; its place in the log follows from the position it is appended to. */
export type NewEntry = Pick<EventEntry, 'kind' | 'timeUs' | 'data'>;

/** What the signature of a batch covers; `head` is the hash of the batch's last entry. */
export const batchStatement = record({ job: hash32, first: uint(), count: uint(), head: hash32 });

/** SHA-256 of the entry's canonical encoding: the next entry's `prev`. */
export const entryHash = (entry: EventEntry): string => sha256Hex(encodeWith(eventEntry, entry));

/** Appends one entry to a position. */
export function appendEntry(
  job: string,
  position: LogPosition,
  { kind, timeUs, data }: NewEntry,
): { readonly entry: EventEntry; readonly position: LogPosition } {
  const { length: seq, head: prev } = position;
  const entry: EventEntry = { job, seq, prev, kind, timeUs, data };
  return { entry, position: { length: seq + 1, head: entryHash(entry) } };
}

/** What is signed for consecutive entries whose last one has the hash `head`. */
export function batchStatementBytes(entries: readonly EventEntry[], head: string): Bytes {
  const [first] = entries;
  invariant(first, 'a batch has at least one entry');
  return encodeWith(batchStatement, {
    job: first.job,
    first: first.seq,
    count: entries.length,
    head,
  });
}

/** Signs consecutive entries of one job, at least one and at most `BATCH_ENTRIES_MAX`. */
export function signBatch(
  signer: Pick<Signer, 'publicKey' | 'sign'>,
  entries: readonly EventEntry[],
  head: string = entryHash(entries.at(-1) as EventEntry),
): EventBatch {
  const signature = signer.sign(EVENTS_DOMAIN, batchStatementBytes(entries, head));
  const { job } = entries[0] as EventEntry;
  return { job, entries, publicKey: signer.publicKey, signature };
}

/**
 * Checks that entries continue a job's log without gaps and returns where it stands after them.
 *
 * @throws AUDIT_BATCH_INVALID
 */
export function followEntries(
  entries: readonly EventEntry[],
  job: string,
  position: LogPosition,
): LogPosition {
  let { length, head } = position;
  for (const entry of entries) {
    if (entry.job !== job)
      throw auditError('AUDIT_BATCH_INVALID', `entry ${entry.seq} is of job ${entry.job}`);
    if (entry.seq !== length)
      throw auditError('AUDIT_BATCH_INVALID', `entry ${entry.seq} where ${length} is next`);
    if (entry.prev !== head)
      throw auditError('AUDIT_BATCH_INVALID', `entry ${entry.seq} follows another entry`);
    head = entryHash(entry);
    length++;
  }
  return { length, head };
}

/**
 * Checks a batch that continues a job's log: order, hashes and signature. Whether its key was
 * entitled to write at this point is for the caller to know.
 *
 * @throws AUDIT_BATCH_INVALID, AUDIT_SIGNATURE_WRONG
 */
export function verifyBatch(
  batch: EventBatch,
  job: string,
  position: LogPosition,
  verify: SignatureVerifier,
): LogPosition {
  const { entries, publicKey, signature } = batch;
  if (entries.length === 0) throw auditError('AUDIT_BATCH_INVALID', 'a batch without entries');
  if (batch.job !== job)
    throw auditError('AUDIT_BATCH_INVALID', `a batch of job ${batch.job}, not ${job}`);
  const next = followEntries(entries, job, position);
  if (!verify(publicKey, EVENTS_DOMAIN, batchStatementBytes(entries, next.head), signature))
    throw auditError(
      'AUDIT_SIGNATURE_WRONG',
      `entries ${position.length}–${next.length - 1} are not signed by ${publicKey}`,
    );
  return next;
}

/** Collects entries of one job and signs them in batches. */
export interface LogWriter {
  /** Where the log stands with everything appended. */
  readonly position: LogPosition;
  /** Entries appended and not yet signed. */
  readonly unsigned: number;
  append(entry: NewEntry): EventEntry;
  /** Signs the oldest unsigned entries, at most `BATCH_ENTRIES_MAX`; undefined when there are none. */
  sign(signer: Pick<Signer, 'publicKey' | 'sign'>): EventBatch | undefined;
}

export function createLogWriter(job: string, from: LogPosition = LOG_BEGIN): LogWriter {
  let position = from;
  let entries: EventEntry[] = [];
  return {
    get position() {
      return position;
    },
    get unsigned() {
      return entries.length;
    },
    append(entry) {
      const appended = appendEntry(job, position, entry);
      ({ position } = appended);
      entries.push(appended.entry);
      return appended.entry;
    },
    sign(signer) {
      if (entries.length === 0) return undefined;
      const batch = signBatch(signer, entries.slice(0, BATCH_ENTRIES_MAX));
      entries = entries.slice(BATCH_ENTRIES_MAX);
      return batch;
    },
  };
}
