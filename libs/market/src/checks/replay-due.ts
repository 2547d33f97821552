/** Whether an order that has ended is still to be looked at. */
import type { OrderRow } from '../model/rows.ts';
import type { Market, Step } from '../state.ts';

/** What this order does again is looked at as soon as this event is through. */
export function wakeAudit({ market, now }: Step, { auditOf }: OrderRow): void {
  if (auditOf !== undefined) market.deadlines.set(`audit/${auditOf}`, now.monotonicMs);
}

/** An order by which another one is still judged. */
export const isAuditWanted = ({ orders }: Market, { auditOf = '' }: OrderRow): boolean => {
  const audited = orders.get(auditOf);
  return audited !== undefined && isReplayDue(audited);
};

/** True while something is still to be found out about an ended order. */
export const isReplayDue = ({ replay, audit, chain }: OrderRow): boolean =>
  replay?.state === 'due' ||
  audit?.state === 'due' ||
  (audit?.state === 'wrong' && !audit.isOpened) ||
  (replay?.state === 'wrong' &&
    replay.claim !== undefined &&
    !replay.isOpened &&
    chain.state !== 'cancelled' &&
    chain.state !== 'refunded');
