/** What the steps of an order share: reading it, ending it, and the parties an event names. */
import type { Context } from '#libs/ledger';
import { payTo } from '../token/token.ts';
import { demand } from '../errors.ts';
import type { Order, OrderRecord } from './documents.ts';
import type { OrdersRules, Split } from './rules.ts';
import { addPrepaid, readOrder, writeOrder } from './state.ts';

export function orderOrRevert(context: Context, id: string): OrderRecord {
  return (
    readOrder(context.storage, id) ?? context.revert('ORDERS_UNKNOWN', `order ${id} is not placed`)
  );
}

/** The caller is the market that the order names. */
export function demandMarket(context: Context, rules: OrdersRules, order: Order): void {
  const isMarket = rules.isMarket(order, context.caller);
  demand(context, isMarket, 'ORDERS_NOT_MARKET', `order names market ${order.market}`);
}

export function partiesOf(id: string, { order }: OrderRecord) {
  return { order: id, market: order.market, consumer: order.consumer };
}

/** The order as it was before anyone was bound to it. The fence stays, so it keeps rising. */
export function unboundRecord(before: OrderRecord): OrderRecord {
  const { order, state, escrow, paid, refunded, placedAtUs, fence, rejections } = before;
  return { order, state, escrow, paid, refunded, placedAtUs, fence, rejections };
}

/**
 * Ends an order: pays the provider, gives the consumer the rest back as prepaid balance. The record is
 * written before money leaves.
 */
export function endOrder(
  context: Context,
  id: string,
  before: OrderRecord,
  state: 'settled' | 'refunded' | 'cancelled',
  { toProvider, toConsumer }: Split,
): void {
  writeOrder(context, id, {
    ...before,
    state,
    escrow: before.escrow - toProvider - toConsumer,
    paid: before.paid + toProvider,
    refunded: before.refunded + toConsumer,
    endedAtUs: context.block.timeUs,
  });
  addPrepaid(context.storage, before.order.consumer, toConsumer);
  if (before.provider) payTo(context, before.provider, toProvider);
}
