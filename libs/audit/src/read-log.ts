/**
 * Reads the whole log of a job and checks who was entitled to write which part of it: the market that
 * the order names, and between a `leased` entry and the market's next word the provider it names.
 * Fences rise from lease to lease, so a provider whose lease was taken away cannot come back.
 */
import { type SignatureVerifier, accountOf } from '#libs/crypto';
import { type Codec, type CodecValue, decodeWith } from '#libs/kernel';
import { MARKET_ENTRIES, type MarketEntryKind, isMarketKind } from './entry-kinds.ts';
import { auditError } from './errors.ts';
import { type EventBatch, type EventEntry, EVENTS_DOMAIN, type LogPosition } from './event.ts';
import { LOG_BEGIN, batchStatementBytes, followEntries } from './log-chain.ts';

/** One lease as the log tells it; the provider's entries are [from, to). */
export interface LeaseSpan {
  readonly provider: string;
  readonly fence: number;
  readonly price: bigint;
  readonly from: number;
  to: number;
}

type MarketEntry = {
  [K in MarketEntryKind]: {
    readonly kind: K;
    readonly seq: number;
    readonly data: CodecValue<(typeof MARKET_ENTRIES)[K]>;
  };
}[MarketEntryKind];

export interface LogReading {
  readonly position: LogPosition;
  /** Hash of the log's head after n entries, at index n. */
  readonly heads: readonly string[];
  /** What the market stated, in order. */
  readonly marketEntries: readonly MarketEntry[];
  readonly leases: readonly LeaseSpan[];
}

/**
 * Follows the entries of all batches without gaps. @throws AUDIT_BATCH_INVALID
 */
export function followLog(batches: readonly EventBatch[], job: string): readonly string[] {
  let position = LOG_BEGIN;
  const heads = [position.head];
  for (const batch of batches) {
    if (batch.entries.length === 0 || batch.job !== job)
      throw auditError(
        'AUDIT_BATCH_INVALID',
        `a batch at entry ${position.length} is not of this job`,
      );
    for (const entry of batch.entries) {
      position = followEntries([entry], job, position);
      heads.push(position.head);
    }
  }
  return heads;
}

function readMarketEntry(entry: EventEntry): MarketEntry | undefined {
  const { kind, seq } = entry;
  if (!isMarketKind(kind)) return undefined;
  const data = decodeWith(MARKET_ENTRIES[kind] as Codec<unknown>, entry.data);
  return { kind, seq, data } as MarketEntry;
}

/**
 * Checks the signature of every batch and that its key was entitled to it.
 *
 * @throws AUDIT_SIGNATURE_WRONG, AUDIT_BATCH_INVALID
 */
export function readLog(
  batches: readonly EventBatch[],
  market: string,
  heads: readonly string[],
  verify: SignatureVerifier,
): LogReading {
  const marketEntries: MarketEntry[] = [];
  const leases: LeaseSpan[] = [];
  let open: LeaseSpan | undefined;
  let length = 0;
  const takeMarketEntry = (entry: EventEntry) => {
    // A market may run work of its own: then one key writes both parts.
    if (open?.provider === market && !isMarketKind(entry.kind)) {
      open.to = entry.seq + 1;
      return;
    }
    open = undefined;
    const stated = readMarketEntry(entry);
    if (!stated) return;
    marketEntries.push(stated);
    if (stated.kind !== 'leased') return;
    const { provider, fence, price } = stated.data;
    if (fence <= (leases.at(-1)?.fence ?? -1))
      throw auditError('AUDIT_BATCH_INVALID', `entry ${entry.seq}: fence ${fence} does not rise`);
    open = { provider, fence, price, from: entry.seq + 1, to: entry.seq + 1 };
    leases.push(open);
  };
  for (const { entries, publicKey, signature } of batches) {
    const from = length;
    length += entries.length;
    const where = `entries ${from}–${length - 1}`;
    const statement = batchStatementBytes(entries, heads[length] as string);
    if (!verify(publicKey, EVENTS_DOMAIN, statement, signature))
      throw auditError('AUDIT_SIGNATURE_WRONG', `${where} are not signed by the key they name`);
    const account = accountOf(publicKey);
    if (account === market) {
      for (const entry of entries) takeMarketEntry(entry);
    } else if (open && open.provider === account) {
      const forbidden = entries.find(({ kind }) => isMarketKind(kind));
      if (forbidden)
        throw auditError(
          'AUDIT_SIGNATURE_WRONG',
          `entry ${forbidden.seq}: only the market may state ${forbidden.kind}`,
        );
      open.to = length;
    } else {
      throw auditError('AUDIT_SIGNATURE_WRONG', `${where} are signed by someone who held no lease`);
    }
  }
  const position = { length, head: heads[length] as string };
  return { position, heads, marketEntries, leases };
}

/** The market's entries of one kind. */
export function entriesOf<K extends MarketEntryKind>(
  log: LogReading,
  kind: K,
): readonly Extract<MarketEntry, { kind: K }>[] {
  return log.marketEntries.filter(
    (entry): entry is Extract<MarketEntry, { kind: K }> => entry.kind === kind,
  );
}
