/** What a provider says about a job while it holds the log: entries, which count, and progress. */
import { EVENTS_DOMAIN, type EventBatch, eventBatch } from '#libs/audit';
import { accountOf } from '#libs/crypto';
import { encodeWith, float, record, text } from '#libs/kernel';
import { batchStatementBytes, entryHash, setPosition } from './job-log.ts';
import { isMarketKind } from './log-entries.ts';
import { type OrderRow, batchId } from './model/rows.ts';
import { type Step, emit, orderOf, saveBytes } from './state.ts';

const progressData = record({ share: float, note: text(200) });

/** Takes entries that follow on what is stored; answers with how far the stored log reaches. */
export function takeEvents(step: Step, session: string, row: OrderRow, batch: EventBatch): void {
  if (row.work === 'leased') {
    const refusal = refuseBatch(step, row, batch);
    if (refusal === undefined) storeBatch(step, row, batch);
    else if (refusal !== REPEATED)
      emit(step, {
        kind: 'sendAgent',
        session,
        message: { kind: 'refuse', code: 'MARKET_LOG', reason: refusal },
      });
  }
  emit(step, {
    kind: 'sendAgent',
    session,
    message: {
      kind: 'eventsSaved',
      lease: row.lease?.lease as string,
      log: orderOf(step.market, row.id).log,
    },
  });
}

/** Not an error: the acknowledgement was lost, and it is sent again. */
const REPEATED = 'repeated';

function refuseBatch({ market }: Step, row: OrderRow, batch: EventBatch): string | undefined {
  const { entries, publicKey, signature, job } = batch;
  const [first] = entries;
  if (!first || job !== row.id) return 'not a batch of this job';
  if (accountOf(publicKey) !== row.lease?.provider) return 'signed by someone else';
  if (first.seq < row.log.length) return REPEATED;
  if (first.seq + entries.length > market.config.caps.logEntries) return 'the log is full';
  let { length, head } = row.log;
  for (const entry of entries) {
    if (entry.job !== job || entry.seq !== length || entry.prev !== head)
      return `entry ${entry.seq} does not follow entry ${length - 1}`;
    if (isMarketKind(entry.kind)) return `only the market writes ${entry.kind}`;
    head = entryHash(entry);
    length += 1;
  }
  const statement = batchStatementBytes(entries, head);
  return market.config.verify(publicKey, EVENTS_DOMAIN, statement, signature)
    ? undefined
    : 'the signature does not verify';
}

function storeBatch(step: Step, row: OrderRow, batch: EventBatch): void {
  const { entries } = batch;
  const last = entries.at(-1);
  const first = entries[0];
  if (!first || !last) return;
  saveBytes(step, 'batch', batchId(row.id, first.seq), encodeWith(eventBatch, batch));
  setPosition(step, row.id, { length: last.seq + 1, head: entryHash(last) });
  for (const { seq, kind, timeUs, data } of entries)
    step.events.push({ order: row.id, seq, kind, timeUs, data });
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
