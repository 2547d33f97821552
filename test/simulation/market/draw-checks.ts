/**
 * I12, seen from outside: whoever has the blocks draws what the market drew, and finds what it ordered.
 */
import { type OrderRow, type StoredRow, createDraws, decodeRow } from '#libs/market';
import type { NodeProcess } from './node-process.ts';
import type { World } from './world.ts';

export interface DrawParts {
  readonly world: World;
  readonly rows: ReadonlyMap<string, StoredRow>;
  readonly node: Pick<NodeProcess, 'published' | 'publishedHeight'>;
  /** Least chance of the market. */
  readonly least: number;
}

/** What the market has about a draw of this order, or of this batch of it. */
const auditIn = ({ audit, audits = [] }: OrderRow, fence: number | undefined) =>
  fence === undefined ? audit : audits.find((one) => one.fence === fence)?.audit;

export function checkDraws({ world, rows, node, least }: DrawParts): void {
  const drawn = createDraws(least);
  for (let height = 1; height <= node.publishedHeight; height++) {
    const found = node.published(height);
    if (found) drawn.follow(found.block, found.receipts);
  }
  for (const { order, fence, isOrdered } of drawn.draws) {
    const bytes = rows.get(`order/${order}`)?.bytes;
    const row = bytes && decodeRow('order', bytes);
    // What no block says: it read other orders, went on from a save point, or counts no more.
    if (!row || row.sources || row.isResumed || row.work !== 'done') continue;
    const audit = auditIn(row, fence);
    world.count('draw made again');
    world.check(audit !== undefined, 'I12', () => `${order} ${fence} was drawn and is not audited`);
    const isAsked = (audit?.orders.length ?? 0) > 0;
    const place = audit?.orders[0] ?? '';
    // Ordered, and placed on the chain in time.
    const isPlaced = isAsked && decodedState(rows, place) !== 'none';
    world.check(
      isOrdered === isPlaced,
      'I12',
      () => `${order}: ordered ${isPlaced}, seen ${isOrdered}`,
    );
  }
}

function decodedState(rows: ReadonlyMap<string, StoredRow>, id: string): string {
  const bytes = rows.get(`order/${id}`)?.bytes;
  return bytes ? decodeRow('order', bytes).chain.state : 'none';
}
