/**
 * The market's share of each job's log. Whoever holds the baton appends: the market until it leases
 * the job, then the provider, then the market again. What the market has to say meanwhile is owed,
 * and written when the baton returns.
 */
import { appendEntry, eventBatch, type LogPosition, signBatch } from '#libs/audit';
import { type Codec, encodeWith } from '#libs/kernel';
import { type OrderRow, batchId } from './model/rows.ts';
import { type Step, orderOf, saveBytes, updateOrder } from './state.ts';

/** Most entries the market may owe one job; one more is dropped rather than let it grow. */
const OWED_MAX = 64;

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
  const { entry, position } = appendEntry(id, orderOf(step.market, id).log, owed);
  const entries = step.entries.get(id) ?? [];
  entries.push(entry);
  step.entries.set(id, entries);
  setPosition(step, id, position);
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
    const firstSeq = entries[0]?.seq ?? 0;
    saveBytes(step, 'batch', batchId(job, firstSeq), encodeWith(eventBatch, batch));
  }
  step.entries.clear();
}
