/** Money that the batches of an order of many tasks will still take. */
import { countUnits } from '#contracts';
import type { OrderRow } from '../model/rows.ts';
import type { Market } from '../state.ts';
import { batchesOf } from './batches.ts';

/** What an array's batches will still take from a balance read at `height`. */
export function reservedByArray(market: Market, row: OrderRow, height: number): bigint {
  let sum = 0n;
  for (const { units, unitPrice, chain, state, boundHeight = 0 } of batchesOf(market, row.id)) {
    const isKnown = chain === 'none' ? state === 'lost' : boundHeight <= height;
    if (!isKnown) sum += unitPrice * BigInt(countUnits(units));
  }
  return sum;
}
