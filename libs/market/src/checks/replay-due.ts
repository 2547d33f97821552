/** Whether an order that has ended is still to be looked at. */
import type { OrderRow } from '../model/rows.ts';

/** True while something is still to be found out about an ended order. */
export const isReplayDue = ({ replay, chain }: OrderRow): boolean =>
  replay?.state === 'due' ||
  (replay?.state === 'wrong' &&
    replay.claim !== undefined &&
    !replay.isOpened &&
    chain.state !== 'cancelled' &&
    chain.state !== 'refunded');
