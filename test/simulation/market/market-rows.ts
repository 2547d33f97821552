/** What the market's rows and memory say, for reports and for what it reads of its own database. */
import type { Bytes } from '#libs/kernel';
import { type Market, type StoredRow, decodeRow, unitsId } from '#libs/market';

/** What is unfinished, for the report of a violation. */
export function describeMarket(market: Market): string {
  const open = [...market.orders.values()].filter((row) => row.endedAtUs === undefined);
  const shown = open.map((row) => `${row.id.slice(0, 8)} ${row.work}/${row.chain.state}`);
  const lane = [...market.transactions.keys()].join(' ');
  const { operatorLog, anchoredLeaves, height } = market.meta;
  return `orders [${shown.join(', ')}] transactions [${lane}] leaves ${operatorLog.size}/${anchoredLeaves} height ${height}`;
}

/** The leaves of a batch's delivery, where there is one. */
export function leavesOf(
  rows: ReadonlyMap<string, StoredRow>,
  order: string,
  fence: number,
): Bytes | undefined {
  const row = rows.get(`leaves/${unitsId(order, fence)}`);
  return row && decodeRow('leaves', row.bytes).leaves;
}
