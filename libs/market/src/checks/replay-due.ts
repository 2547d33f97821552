/** Whether an order that has ended is still to be looked at. */
import type { AuditState, OrderRow } from '../model/rows.ts';
import type { Market, Step } from '../state.ts';
import { auditStateOf, subjectKey, subjectOfAuditor } from './audit-subjects.ts';

/** What this order does again is looked at as soon as this event is through. */
export function wakeAudit({ market, now }: Step, row: OrderRow): void {
  const subject = subjectOfAuditor(row);
  if (subject) market.deadlines.set(`audit/${subjectKey(subject)}`, now.monotonicMs);
}

const isOpen = (audit: AuditState | undefined): boolean =>
  audit?.state === 'due' || (audit?.state === 'wrong' && !audit.isOpened);

/** An order by which another one is still judged. */
export function isAuditWanted(market: Market, row: OrderRow): boolean {
  const subject = subjectOfAuditor(row);
  return subject !== undefined && isOpen(auditStateOf(market, subject));
}

/** True while something is still to be found out about an ended order. */
export const isReplayDue = ({ replay, audit, audits, chain }: OrderRow): boolean =>
  replay?.state === 'due' ||
  isOpen(audit) ||
  audits?.some((one) => isOpen(one.audit)) === true ||
  (replay?.state === 'wrong' &&
    replay.claim !== undefined &&
    !replay.isOpened &&
    chain.state !== 'cancelled' &&
    chain.state !== 'refunded');
