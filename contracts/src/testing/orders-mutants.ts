/** Broken versions of contract `orders`, each with one rule replaced by what a slip would make of it. */
import { hasEnded } from '../orders/state.ts';
import { type OrdersRules, ordersRules } from '../orders/rules.ts';

const broken = (change: Partial<OrdersRules>): OrdersRules => ({ ...ordersRules, ...change });

export const ordersMutants: Readonly<Record<string, OrdersRules>> = {
  'delivers under any fence': broken({ isFenceCurrent: () => true }),
  'binds under an old fence': broken({ isFenceRising: () => true }),
  'refunds twice': broken({
    isRefundable: ({ state }) => state !== 'delivered',
    splitReturned: ({ order }) => ({ toProvider: 0n, toConsumer: order.priceCap }),
  }),
  'ends an ended order': broken({ isRefundable: () => true }),
  'settles before delivery': broken({
    isSettleable: ({ state }) => state === 'bound' || state === 'delivered',
  }),
  'settles twice': broken({
    isSettleable: ({ state }) => state === 'settled' || state === 'delivered',
  }),
  'lets anyone act as the market': broken({ isMarket: () => true }),
  'lets anyone cancel': broken({ mayCancel: () => true }),
  'lets the consumer cancel bound work': broken({
    mayCancel: ({ order }, caller) => caller === order.market || caller === order.consumer,
  }),
  'lets anyone settle at once': broken({ maySettle: () => true }),
  'holds more than is prepaid': broken({ isCovered: () => true }),
  'takes a second delivery': broken({
    isDeliverable: ({ state }) => state === 'bound' || state === 'delivered',
  }),
  'takes a delivery from another provider': broken({ isBoundProvider: () => true }),
  'takes a charge above the price': broken({ isWithinPrice: () => true }),
  'takes a price above the cap': broken({ isWithinCap: () => true }),
  'takes a delivery after the grace': broken({ isDeliveredInTime: () => true }),
  'forgets the grace when refunding': broken({
    isRefundDue: ({ order }, nowUs) => nowUs >= order.completeByUs,
  }),
  'refunds at any time': broken({ isRefundDue: () => true }),
  'rejects after the window': broken({ isRejectedInTime: () => true }),
  'binds after the deadline': broken({ isBoundInTime: () => true }),
  'places an order again': broken({ isNew: (record) => !record || hasEnded(record.state) }),
  'places an order late': broken({ isPlacedInTime: () => true }),
  'takes documents of another chain': broken({ isOnChain: () => true }),
  'pays the whole cap': broken({
    splitSettled: ({ escrow }) => ({ toProvider: escrow, toConsumer: 0n }),
  }),
  'keeps the rest': broken({
    splitSettled: ({ delivery }) => ({ toProvider: delivery?.charge ?? 0n, toConsumer: 0n }),
  }),
  'pays withdrawals at once': broken({ isWithdrawalDue: () => true }),
  'pays withdrawals that orders used up': broken({
    withdrawable: ({ withdrawal }) => withdrawal?.amount ?? 0n,
  }),
};
