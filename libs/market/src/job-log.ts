/**
 * The market's share of each job's log. Whoever holds the baton appends: the market until it leases
 * the job, then the provider, then the market again. What the market has to say meanwhile is owed,
 * and written when the baton returns.
 */
import {
  EVENTS_DOMAIN,
  type EventBatch,
  type EventEntry,
  type LogPosition,
  eventBatch,
  eventEntry,
} from '#libs/audit';
import { sha256Hex } from '#libs/crypto';
import { type Bytes, type Codec, encodeWith, hash32, record, uint } from '#libs/kernel';
import type { MarketSigner } from './model/config.ts';
import { type OrderRow, batchId } from './model/rows.ts';
import { type Step, orderOf, saveBytes, updateOrder } from './state.ts';

/** Most entries the market may owe one job; one more is dropped rather than let it grow. */
const OWED_MAX = 64;

const batchStatement = record({ job: hash32, first: uint(), count: uint(), head: hash32 });

export const entryHash = (entry: EventEntry): string => sha256Hex(encodeWith(eventEntry, entry));

/** What a batch's signature covers; `head` is the hash of its last entry. */
export function batchStatementBytes(entries: readonly EventEntry[], head: string): Bytes {
  const { job, seq: first } = entries[0] as EventEntry;
  return encodeWith(batchStatement, { job, first, count: entries.length, head });
}

/** Signs consecutive entries of one job. */
export function signBatch(signer: MarketSigner, entries: readonly EventEntry[]): EventBatch {
  const { job } = entries[0] as EventEntry;
  const head = entryHash(entries.at(-1) as EventEntry);
  const signature = signer.sign(EVENTS_DOMAIN, batchStatementBytes(entries, head));
  return { job, entries, publicKey: signer.publicKey, signature };
}

/** True while only the provider may append to the job's log. */
export const providerHasBaton = (row: OrderRow): boolean => row.work === 'leased';

/** Appends what happened to the job's log, or owes it when a provider holds the baton. */
export function logStep<T>(step: Step, id: string, kind: string, codec: Codec<T>, data: T): void {
  const row = orderOf(step.market, id);
  const owed = { kind, timeUs: step.now.timeUs, data: encodeWith(codec, data) };
  if (!providerHasBaton(row)) append(step, id, owed);
  else if (row.owed.length < OWED_MAX) updateOrder(step, id, { owed: [...row.owed, owed] });
}

/** The baton is back: writes what was owed. */
export function payOwedEntries(step: Step, id: string): void {
  const { owed } = orderOf(step.market, id);
  if (owed.length === 0) return;
  updateOrder(step, id, { owed: [] });
  for (const entry of owed) append(step, id, entry);
}

function append(step: Step, id: string, owed: OrderRow['owed'][number]): void {
  const { log } = orderOf(step.market, id);
  const entry: EventEntry = { job: id, seq: log.length, prev: log.head, ...owed };
  const entries = step.entries.get(id) ?? [];
  entries.push(entry);
  step.entries.set(id, entries);
  setPosition(step, id, { length: entry.seq + 1, head: entryHash(entry) });
  step.events.push({ order: id, seq: entry.seq, ...owed });
}

/** Moves a job's log position; the operator's log will want a leaf for it. */
export function setPosition(step: Step, id: string, log: LogPosition): void {
  updateOrder(step, id, { log });
  step.market.unanchored.add(id);
}

/** Signs and stores what this step appended, one batch per job and step. */
export function flushEntries(step: Step): void {
  for (const [job, entries] of step.entries) {
    const batch = signBatch(step.market.config.signer, entries);
    const first = entries[0] as EventEntry;
    saveBytes(step, 'batch', batchId(job, first.seq), encodeWith(eventBatch, batch));
  }
  step.entries.clear();
}
