/** What a provider says about a job while it holds the log: entries, which count, and progress. */
import { type EventBatch, eventBatch, isMarketKind, verifyBatch } from '#libs/audit';
import { accountOf } from '#libs/crypto';
import {
  type Bytes,
  decodeWith,
  encodeWith,
  float,
  isSeeleError,
  record,
  text,
} from '#libs/kernel';
import { setPosition } from './job-log.ts';
import { type OrderRow, batchId } from './model/rows.ts';
import { savePointRef } from './agent/entries.ts';
import { type Step, emit, orderOf, saveBytes, updateOrder } from './state.ts';

const progressData = record({ share: float, note: text(200) });

/** Takes entries that follow on what is stored; answers with how far the stored log reaches. */
export function takeEvents(step: Step, session: string, row: OrderRow, batch: EventBatch): void {
  const lease = row.lease?.lease as string;
  const first = batch.entries[0]?.seq ?? 0;
  // A repeated batch is no error: its acknowledgement was lost, and is sent again.
  if (row.work === 'leased' && first >= row.log.length) {
    const refusal = storeBatch(step, row, batch);
    if (refusal !== undefined) {
      const message = { kind: 'refuse', code: 'MARKET_LOG', reason: refusal } as const;
      emit(step, { kind: 'sendAgent', session, message });
    }
  }
  const { log } = orderOf(step.market, row.id);
  emit(step, { kind: 'sendAgent', session, message: { kind: 'eventsSaved', lease, log } });
}

function storeBatch(step: Step, row: OrderRow, batch: EventBatch): string | undefined {
  const { caps, verify } = step.market.config;
  const { entries, publicKey } = batch;
  if (accountOf(publicKey) !== row.lease?.provider) return 'the batch is signed by someone else';
  if (row.log.length + entries.length > caps.logEntries) return 'the log is full';
  const forged = entries.find(({ kind }) => isMarketKind(kind));
  if (forged) return `only the market writes ${forged.kind}`;
  try {
    const position = verifyBatch(batch, row.id, row.log, verify);
    saveBytes(step, 'batch', batchId(row.id, row.log.length), encodeWith(eventBatch, batch));
    setPosition(step, row.id, position);
  } catch (error) {
    if (!isSeeleError(error)) throw error;
    return error.message.slice(0, 500);
  }
  for (const { seq, kind, timeUs, data } of entries) {
    step.events.push({ order: row.id, seq, kind, timeUs, data });
    if (kind === 'savePoint') keepSavePoint(step, row, data);
  }
  return undefined;
}

/**
 * What the guest saved is where the next provider goes on. Who does believes whoever saved it; orders whose
 * results several providers must agree on are of units, and those save nothing.
 */
function keepSavePoint(step: Step, { id, needs }: OrderRow, data: Bytes): void {
  if ((needs.kind ?? 'js') !== 'js') return;
  try {
    updateOrder(step, id, { savePoint: decodeWith(savePointRef, data) });
  } catch (error) {
    // Nonsense stays in the log, signed by whoever wrote it.
    if (!isSeeleError(error)) throw error;
  }
}

/** Progress is for watching only: it is not kept. */
export function takeProgress(
  step: Step,
  row: OrderRow,
  { share, note }: { readonly share: number; readonly note: string },
): void {
  if (row.work !== 'leased') return;
  const data = encodeWith(progressData, { share, note });
  step.events.push({ order: row.id, kind: 'progress', timeUs: step.now.timeUs, data });
}
