/** Leaves of a batch that is audited, out of the database; the reducer asks again where nothing comes. */
import { type MarketEvent, decodeRow, unitsId } from '#libs/market';
import type { Logger } from '#libs/platform';
import type { RowStore } from './row-store.ts';

export interface LeavesPorts {
  readonly rows: Pick<RowStore, 'readOne'>;
  readonly logger: Logger;
  readonly dispatch: (event: MarketEvent) => void;
}

export async function readLeaves(
  { rows, logger, dispatch }: LeavesPorts,
  order: string,
  fence: number,
): Promise<void> {
  try {
    const bytes = await rows.readOne('leaves', unitsId(order, fence));
    if (!bytes) return;
    const { leaves } = decodeRow('leaves', bytes);
    dispatch({ kind: 'leavesRead', order, fence, leaves });
  } catch (error) {
    logger.warn({ err: error, order }, 'leaves of a batch not read');
  }
}
