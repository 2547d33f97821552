/** Broken versions of contract `orders`, each with one rule about batches replaced by a slip. */
import { type OrdersRules, ordersRules } from '../orders/rules.ts';
import { countUnits, coversUnits } from '../orders/units.ts';

const broken = (change: Partial<OrdersRules>): OrdersRules => ({ ...ordersRules, ...change });

/**
 * Not here, because no history can tell them from the real rules: `isArray` (the terms themselves are
 * asked for beside it) and `isBatchSettleable` (a batch that is not delivered has no delivery to settle).
 */
export const batchMutants: Readonly<Record<string, OrdersRules>> = {
  'takes orders of no tasks, or of units above the cap': broken({ hasFittingArray: () => true }),
  'ends an order whose batches are open': broken({ hasNoBatchOpen: () => true }),
  'binds twice under one fence': broken({ isBatchFenceFree: (_open, fence) => fence > 0 }),
  'binds under fence 0': broken({ isBatchFenceFree: (open) => open === undefined }),
  'lets anyone bind': broken({ isMarket: () => true }),
  'gives a unit to two batches': broken({ isUnitFree: () => true }),
  'holds more for a unit than was agreed': broken({ isUnitPriceWithin: () => true }),
  'holds more than the cap': broken({ isBatchWithinCap: () => true }),
  'forgets what was paid when it holds more': broken({
    isBatchWithinCap: ({ order, escrow }, hold) => escrow + hold <= order.priceCap,
  }),
  'forgets what is held when it holds more': broken({
    isBatchWithinCap: ({ order, paid }, hold) => paid + hold <= order.priceCap,
  }),
  'holds more than is prepaid': broken({ isBatchCovered: () => true }),
  'binds after completeBy': broken({ isBoundInTime: () => true }),
  'takes a second delivery of a batch': broken({ isBatchDeliverable: () => true }),
  'takes a delivery from anybody': broken({ isBatchProvider: () => true }),
  'takes a delivery that another signed': broken({
    isBatchProvider: ({ provider }, delivery) => provider === delivery.provider,
  }),
  'takes deliveries of another chain': broken({ isOnChain: () => true }),
  'takes units of another batch': broken({ isWithinBatch: () => true }),
  'takes a charge above the price': broken({ isChargeWithin: () => true }),
  'takes the price of all units for a part of them': broken({
    isChargeWithin: ({ unitPrice, units }, { charge }) =>
      charge <= unitPrice * BigInt(countUnits(units)),
  }),
  'takes a delivery after the grace': broken({ isBatchInTime: () => true }),
  'lets anyone settle at once': broken({ maySettleBatch: () => true }),
  'lets the consumer withhold': broken({
    mayWithhold: ({ order }, batch, caller, nowUs, settings) =>
      caller === order.consumer ||
      ordersRules.mayWithhold({ order } as never, batch, caller, nowUs, settings),
  }),
  'withholds after the window': broken({
    mayWithhold: ({ order }, _batch, caller) => caller === order.market,
  }),
  'withholds units that were not delivered': broken({
    isWithinDelivery: (delivery, withheld) => withheld.charge <= delivery.charge,
  }),
  'withholds more than was charged': broken({
    isWithinDelivery: (delivery, withheld) => coversUnits(delivery.units, withheld.units),
  }),
  'releases what was delivered': broken({ isBatchReleasable: () => true }),
  'lets anyone release at once': broken({ mayRelease: () => true }),
  'forgets the grace when releasing': broken({
    mayRelease: ({ order }, caller, nowUs) =>
      caller === order.market || nowUs >= order.completeByUs,
  }),
  'pays all that is held': broken({
    splitBatch: ({ escrow }) => ({ toProvider: escrow, toConsumer: 0n }),
  }),
  'pays what is withheld': broken({
    splitBatch: ({ escrow, delivery }) => {
      const toProvider = delivery?.charge ?? 0n;
      return { toProvider, toConsumer: escrow - toProvider };
    },
  }),
  'keeps the rest': broken({
    splitBatch: ({ delivery }) => ({ toProvider: delivery?.charge ?? 0n, toConsumer: 0n }),
  }),
};
