/** Whoever was alone with its result against two others is shown to the chain, once blocks hold all three. */
import type { UnitAnswer } from '#contracts';
import { keyOfCall } from '../chain-calls.ts';
import type { OwnTransactionFact } from '../model/events.ts';
import type { AuditState, MarketCall } from '../model/rows.ts';
import { type Market, type Step, emit } from '../state.ts';
import { startTransaction } from '../transactions.ts';
import {
  type Subject,
  type Voice,
  auditStateOf,
  setAuditState,
  subjectKey,
  subjectOfAuditor,
  voiceOf,
} from './audit-subjects.ts';
import { noteCheck } from './log-check.ts';

const CONVICT_AGAIN_MS = 3_000;

type Conviction = Extract<MarketCall, { kind: 'convict' | 'convictUnits' }>;

/** Convicts on the chain who was alone with its result, once a block holds all three deliveries. */
export function openConviction(step: Step, subject: Subject): void {
  const { market, now } = step;
  const audit = auditStateOf(market, subject);
  if (audit?.odd === undefined || audit.isOpened) return;
  const stand = standOf(market, subject, audit);
  // Taken back since, or forgotten: the chain would not hear it.
  if (stand === 'lost') {
    close(step, subject, audit);
    const reason = 'nobody is convicted: one of the three deliveries does not stand on the chain';
    return noteCheck(step, subject.id, { code: 'convict-refused', reason });
  }
  const call = stand === 'there' ? callOf(step, subject, audit) : undefined;
  if (call && startTransaction(step, keyOfCall(call.order, call), undefined, call))
    return close(step, subject, audit);
  market.deadlines.set(`audit/${subjectKey(subject)}`, now.monotonicMs + CONVICT_AGAIN_MS);
}

function close(step: Step, subject: Subject, audit: AuditState): void {
  setAuditState(step, subject, { ...audit, isOpened: true });
  step.market.auditLeaves.delete(subjectKey(subject));
}

type Stand = 'there' | 'awaited' | 'lost';

/** Where the deliveries stand on the chain. */
function standOf(market: Market, { id, fence }: Subject, { orders }: AuditState): Stand {
  const stands = [id, ...orders].map((order): Stand => {
    const row = market.orders.get(order);
    if (!row) return 'lost';
    // A batch that was judged has been paid, or will be; its order may be over.
    if (fence !== undefined) return row.chain.state === 'none' ? 'awaited' : 'there';
    const { state } = row.chain;
    if (state === 'cancelled' || state === 'refunded') return 'lost';
    return state === 'delivered' || state === 'settled' ? 'there' : 'awaited';
  });
  return stands.find((one) => one === 'lost') ?? stands.find((one) => one === 'awaited') ?? 'there';
}

/** Undefined while the leaves of the batch are read. */
function callOf(step: Step, subject: Subject, audit: AuditState): Conviction | undefined {
  const { market } = step;
  const { id, fence } = subject;
  const all = [id, ...audit.orders];
  const order = audit.odd as string;
  const others = all.filter((one) => one !== order);
  if (fence === undefined) return { kind: 'convict', order, others };
  if (!market.auditLeaves.has(subjectKey(subject))) {
    emit(step, { kind: 'readLeaves', order: id, fence });
    return undefined;
  }
  const voices = [order, ...others].flatMap((one) => {
    const row = market.orders.get(one);
    const voice = row && voiceOf(market, subject, row);
    return typeof voice === 'object' ? [voice] : [];
  });
  return unitsCall(voices);
}

/** The first task in which the odd one differs from the two that agree. */
function unitsCall([odd, ...others]: readonly Voice[]): Conviction | undefined {
  const [first, second] = others;
  for (const [task, { key, ...shown }] of odd?.units ?? []) {
    const pair = [first?.units?.get(task), second?.units?.get(task)];
    const agreed = pair.flatMap((one) => (one && one.key !== key ? [shownOf(one)] : []));
    if (agreed.length < pair.length) continue;
    const { order, fence } = shown.delivery.delivery;
    return { kind: 'convictUnits', order, fence, odd: shown, others: agreed };
  }
  return undefined;
}

const shownOf = ({ delivery, leaf, proof }: UnitAnswer): UnitAnswer => ({ delivery, leaf, proof });

/** A block has the conviction, or says why not. */
export function convictionAnswered(
  step: Step,
  call: Conviction,
  { ok, code }: OwnTransactionFact,
): void {
  const id = auditedBy(step.market, call);
  if (id === undefined) return;
  if (ok) {
    const reason = 'the chain has the three deliveries: half of the bond of the odd one is lost';
    return noteCheck(step, id, { code: 'convicted', reason });
  }
  const reason = `the chain did not convict: ${code ?? 'no reason given'}`;
  noteCheck(step, id, { code: 'convict-refused', reason });
}

/** The order whose audit it was; the odd one may be whoever did it again. */
function auditedBy({ orders }: Market, { order }: Conviction): string | undefined {
  const row = orders.get(order);
  return row && (subjectOfAuditor(row)?.id ?? row.id);
}
