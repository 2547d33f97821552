/** Money that is promised, though the balance that was read does not show it yet. */
import { reservedByArray } from './arrays/reserved.ts';
import type { Market } from './state.ts';

/**
 * What the consumer's accepted orders will still take from a balance read at `height`: those the
 * chain had not placed by then. One placed later than the reading is still in the amount read.
 */
export function reservedOf(market: Market, consumer: string, height: number): bigint {
  let sum = 0n;
  for (const id of market.openByConsumer.get(consumer) ?? []) {
    const row = market.orders.get(id);
    if (!row) continue;
    if (row.array) {
      sum += reservedByArray(market, row, height);
      continue;
    }
    const { state, placedHeight } = row.chain;
    if (state === 'none' || placedHeight > height) sum += row.signed.order.priceCap;
  }
  for (const spent of market.recentSpending.get(consumer) ?? [])
    if (spent.placedHeight > height) sum += spent.paid;
  return sum;
}
