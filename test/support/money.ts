/**
 * What the chain says about money: every balance against the supply, every order's escrow, and how
 * often each order was paid, read from the blocks themselves.
 */
import {
  ORDERS_CONTRACT,
  orderRecord,
  ordersEvents,
  ordersKeys,
  readEvent,
  tokenAmount,
  tokenKeys,
} from '#contracts';
import { decodeWith } from '#libs/kernel';
import { decodeReceipt } from '#libs/ledger';
import { createNodeClient } from '#libs/sdk';

export interface MoneyReport {
  /** Orders with more than one settlement, or paid and refunded beyond their cap. */
  readonly paidTwice: number;
  /** 0 when the balances sum up to the supply and every ended order's money is accounted for. */
  readonly unbalanced: number;
  readonly supply: string;
}

async function settlements(url: string): Promise<Map<string, number>> {
  const node = createNodeClient(url);
  const { height: head } = await node.status();
  const counts = new Map<string, number>();
  if (head === 0) return counts;
  const done = new AbortController();
  for await (const { height, receipts } of node.blocks(1, done.signal)) {
    for (const { events } of receipts.map(decodeReceipt))
      for (const event of events) {
        const settled = readEvent(ordersEvents.settled, event);
        const refunded = settled ?? readEvent(ordersEvents.refunded, event);
        const ended = refunded ?? readEvent(ordersEvents.cancelled, event);
        if (ended) counts.set(ended.order, (counts.get(ended.order) ?? 0) + 1);
      }
    if (height >= head) done.abort();
  }
  return counts;
}

export async function checkMoney(
  machine: { readonly urls: { readonly node: string } },
  orders: readonly string[],
): Promise<MoneyReport> {
  const node = createNodeClient(machine.urls.node);
  const stored = await node.state('token', tokenKeys.supply);
  const supply = stored ? decodeWith(tokenAmount, stored) : -1n;
  let sum = 0n;
  for await (const [, value] of node.scan('token', tokenKeys.balances))
    sum += decodeWith(tokenAmount, value);
  const ends = await settlements(machine.urls.node);
  let paidTwice = [...ends.values()].filter((count) => count > 1).length;
  let unbalanced = sum === supply ? 0 : 1;
  for (const id of orders) {
    const bytes = await node.state(ORDERS_CONTRACT, ordersKeys.order(id));
    if (!bytes) continue;
    const { order, escrow, paid, refunded } = decodeWith(orderRecord, bytes);
    // Of many tasks: money is taken batch by batch, so only what was paid is bound by the cap.
    if (order.array) {
      if (escrow + paid > order.priceCap) paidTwice++;
      continue;
    }
    if (escrow + paid + refunded !== order.priceCap) unbalanced++;
    if (paid + refunded > order.priceCap) paidTwice++;
  }
  return { paidTwice, unbalanced, supply: supply.toString() };
}
