/** Methods of contract `orders` by which work is ordered and handed in: place, bind, deliver. */
import { accountOf } from '#libs/crypto';
import { encodeWith, equalBytes, hash32, record, u64, uint } from '#libs/kernel';
import { type Context, defineMethod } from '#libs/ledger';
import { done, emit } from '../contract-kit.ts';
import { demand } from '../errors.ts';
import {
  DELIVERY_DOMAIN,
  type Delivery,
  ORDER_DOMAIN,
  type Order,
  type OrderRecord,
  delivery as deliveryCodec,
  deliveryBytes,
  orderBytes,
  orderId,
  signedDelivery,
  signedOrder,
} from './documents.ts';
import { ordersEvents } from './events.ts';
import { demandMarket, orderOrRevert, partiesOf } from './open-order.ts';
import { type OrdersRules, refundDueUs } from './rules.ts';
import { readOrder, readOrdersSettings, readPrepaid, writeOrder, writePrepaid } from './state.ts';

function checkPlaceable(context: Context, rules: OrdersRules, order: Order): void {
  const nowUs = context.block.timeUs;
  const settings = readOrdersSettings(context.storage);
  demand(
    context,
    rules.isOnChain(order, context.block.chain),
    'ORDERS_WRONG_CHAIN',
    `order is for chain ${order.chain}`,
  );
  demandMarket(context, rules, order);
  demand(
    context,
    rules.isPlacedInTime(order, nowUs),
    'ORDERS_EXPIRED',
    `order was to be placed by ${order.placeByUs} µs, now ${nowUs} µs`,
  );
  demand(
    context,
    rules.hasFittingTimes(order, nowUs, settings),
    'ORDERS_TIMES',
    `place by ${order.placeByUs}, complete by ${order.completeByUs}, now ${nowUs} µs`,
  );
  demand(
    context,
    rules.hasFittingArray(order),
    'ORDERS_ARRAY',
    `${order.array?.tasks} tasks, ${order.array?.replicas} replicas, ${order.array?.unitPrice} each`,
  );
}

/** Holds the price cap of an order out of its consumer's prepaid balance; of many tasks, nothing yet. */
function holdEscrow(context: Context, rules: OrdersRules, order: Order): void {
  const before = readPrepaid(context.storage, order.consumer);
  demand(
    context,
    rules.isCovered(order, before),
    'ORDERS_PREPAID_TOO_LOW',
    `${order.priceCap} wanted, ${before.balance} prepaid by ${order.consumer}`,
  );
  if (order.array) return;
  const balance = before.balance - order.priceCap;
  writePrepaid(context.storage, order.consumer, { ...before, balance });
}

function newRecord(order: Order, placedAtUs: number): OrderRecord {
  return {
    order,
    state: 'placed',
    escrow: order.array ? 0n : order.priceCap,
    ...(order.array && { array: { open: 0, settled: 0 } }),
    paid: 0n,
    refunded: 0n,
    placedAtUs,
    fence: 0,
    rejections: 0,
  };
}

function sameDelivery(a: Delivery | undefined, b: Delivery): boolean {
  if (!a) return false;
  return equalBytes(encodeWith(deliveryCodec, a), encodeWith(deliveryCodec, b));
}

function checkDelivery(
  context: Context,
  rules: OrdersRules,
  before: OrderRecord,
  delivery: Delivery,
): void {
  demand(
    context,
    rules.isFenceCurrent(before, delivery.fence),
    'ORDERS_FENCE_STALE',
    `fence ${delivery.fence} where ${before.fence} is current`,
  );
  demand(
    context,
    rules.isDeliverable(before),
    'ORDERS_STATE',
    `a delivery needs a bound order, this one is ${before.state}`,
  );
  demand(
    context,
    rules.isWithinPrice(before, delivery.charge),
    'ORDERS_CHARGE_TOO_HIGH',
    `charge ${delivery.charge} above the price ${before.price}`,
  );
  demand(
    context,
    (delivery.exit === 'ok') === (delivery.result !== undefined),
    'ORDERS_RESULT',
    `exit ${delivery.exit} ${delivery.result === undefined ? 'without' : 'with'} a result`,
  );
  const settings = readOrdersSettings(context.storage);
  const nowUs = context.block.timeUs;
  demand(
    context,
    rules.isDeliveredInTime(before, nowUs, settings),
    'ORDERS_EXPIRED',
    `deliveries counted until ${refundDueUs(before, settings)} µs, now ${nowUs} µs`,
  );
}

function checkBinding(
  context: Context,
  rules: OrdersRules,
  before: OrderRecord,
  { price, fence }: { readonly price: bigint; readonly fence: number },
): void {
  const { completeByUs, priceCap } = before.order;
  const nowUs = context.block.timeUs;
  demandMarket(context, rules, before.order);
  demand(context, rules.isBindable(before), 'ORDERS_STATE', `order is ${before.state}`);
  demand(
    context,
    rules.isFenceRising(before, fence),
    'ORDERS_FENCE_STALE',
    `fence ${fence} does not rise above ${before.fence}`,
  );
  demand(
    context,
    rules.isWithinCap(before, price),
    'ORDERS_PRICE_TOO_HIGH',
    `price ${price} above the cap ${priceCap}`,
  );
  demand(
    context,
    rules.isBoundInTime(before, nowUs),
    'ORDERS_EXPIRED',
    `order was to be complete by ${completeByUs} µs, now ${nowUs} µs`,
  );
}

function place(rules: OrdersRules) {
  return defineMethod({
    name: 'place',
    args: signedOrder,
    returns: hash32,
    run(context, { order, publicKey, signature }) {
      const id = orderId(order);
      demand(
        context,
        rules.isNew(readOrder(context.storage, id)),
        'ORDERS_EXISTS',
        `order ${id} is placed already`,
      );
      checkPlaceable(context, rules, order);
      demand(
        context,
        accountOf(publicKey) === order.consumer &&
          context.verify(publicKey, ORDER_DOMAIN, orderBytes(order), signature),
        'ORDERS_SIGNATURE',
        `order ${id} is not signed by ${order.consumer}`,
      );
      holdEscrow(context, rules, order);
      const placed = newRecord(order, context.block.timeUs);
      writeOrder(context, id, placed);
      const { priceCap, completeByUs } = order;
      emit(context, ordersEvents.placed, { ...partiesOf(id, placed), priceCap, completeByUs });
      return id;
    },
  });
}

function bind(rules: OrdersRules) {
  return defineMethod({
    name: 'bind',
    args: record({ order: hash32, provider: hash32, price: u64, fence: uint() }),
    returns: done,
    run(context, { order: id, provider, price, fence }) {
      const before = orderOrRevert(context, id);
      checkBinding(context, rules, before, { price, fence });
      writeOrder(context, id, {
        ...before,
        state: 'bound',
        provider,
        price,
        fence,
        boundAtUs: context.block.timeUs,
      });
      emit(context, ordersEvents.bound, { ...partiesOf(id, before), provider, fence, price });
      return {};
    },
  });
}

function deliver(rules: OrdersRules) {
  return defineMethod({
    name: 'deliver',
    args: signedDelivery,
    returns: done,
    run(context, { delivery, publicKey, signature }) {
      const { order: id, provider, fence, exit, charge } = delivery;
      demand(
        context,
        rules.isOnChain(delivery, context.block.chain),
        'ORDERS_WRONG_CHAIN',
        `delivery is for chain ${delivery.chain}`,
      );
      const before = orderOrRevert(context, id);
      // Nobody can tell a resent delivery from a lost one, so it has a code of its own.
      demand(
        context,
        !(before.state !== 'bound' && sameDelivery(before.delivery, delivery)),
        'ORDERS_ALREADY_DELIVERED',
        `this delivery of order ${id} is recorded`,
      );
      checkDelivery(context, rules, before, delivery);
      demand(
        context,
        rules.isBoundProvider(before, delivery, accountOf(publicKey)),
        'ORDERS_NOT_PROVIDER',
        `order ${id} is bound to ${before.provider ?? 'nobody'}`,
      );
      demand(
        context,
        context.verify(publicKey, DELIVERY_DOMAIN, deliveryBytes(delivery), signature),
        'ORDERS_SIGNATURE',
        `delivery of order ${id} is not signed by ${provider}`,
      );
      const deliveredAtUs = context.block.timeUs;
      writeOrder(context, id, { ...before, state: 'delivered', delivery, deliveredAtUs });
      emit(context, ordersEvents.delivered, {
        ...partiesOf(id, before),
        provider,
        fence,
        exit,
        charge,
      });
      return {};
    },
  });
}

export function createWorkingMethods(rules: OrdersRules) {
  return {
    /** The order's market: holds the price cap of an order that its consumer signed. */
    place: place(rules),
    /** The order's market: gives an undelivered order to a provider, taking it from an earlier one. */
    bind: bind(rules),
    /** Anyone may relay: records what the bound provider signed. */
    deliver: deliver(rules),
  };
}
