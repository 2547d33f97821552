/** Methods of contract `orders` that end an order or take a delivery back: money leaves escrow here. */
import { hash32, record, u64, uint } from '#libs/kernel';
import { type Context, defineMethod } from '#libs/ledger';
import { done, emit } from '../contract-kit.ts';
import { demand } from '../errors.ts';
import type { OrderRecord } from './documents.ts';
import { ordersEvents, rejectionReason } from './events.ts';
import { demandMarket, endOrder, orderOrRevert, partiesOf, unboundRecord } from './open-order.ts';
import { type OrdersRules, refundDueUs, windowEndUs } from './rules.ts';
import { outcomeOf, recordOutcome } from '../reputation/reputation.ts';
import { readOrdersSettings, writeOrder } from './state.ts';

/** The order has a delivery, and `fence` is its own. */
function demandDelivered(
  context: Context,
  rules: OrdersRules,
  before: OrderRecord,
  fence: number,
): void {
  demand(context, rules.isSettleable(before), 'ORDERS_STATE', `order is ${before.state}`);
  const { fence: current } = before;
  const isCurrent = rules.isFenceCurrent(before, fence);
  demand(context, isCurrent, 'ORDERS_FENCE_STALE', `the delivery on record has fence ${current}`);
}

/** Of an order of many tasks every batch has been settled or released. */
function demandNoBatch(context: Context, rules: OrdersRules, before: OrderRecord): void {
  demand(
    context,
    rules.hasNoBatchOpen(before),
    'ORDERS_BATCHES_OPEN',
    `${before.array?.open ?? 0} batches are open`,
  );
}

/** Closes an order of many tasks of which some were paid: nothing is held any more. */
function closePaid(context: Context, id: string, before: OrderRecord): object {
  const { paid, refunded, fence, order } = before;
  endOrder(context, id, before, 'settled', { toProvider: 0n, toConsumer: before.escrow });
  const sums = { paid, refunded };
  emit(context, ordersEvents.settled, {
    ...{ ...partiesOf(id, before), provider: order.market, fence, ...sums },
  });
  return {};
}

function settle(rules: OrdersRules) {
  return defineMethod({
    name: 'settle',
    args: record({ order: hash32, fence: uint() }),
    returns: record({ paid: u64, refunded: u64 }),
    run(context, { order: id, fence }) {
      const before = orderOrRevert(context, id);
      demandDelivered(context, rules, before, fence);
      const settings = readOrdersSettings(context.storage);
      demand(
        context,
        rules.maySettle(before, context.caller, context.block.timeUs, settings),
        'ORDERS_NOT_PARTY',
        `others may settle from ${windowEndUs(before, settings)} µs on`,
      );
      const split = rules.splitSettled(before);
      endOrder(context, id, before, 'settled', split);
      const sums = { paid: split.toProvider, refunded: split.toConsumer };
      const provider = before.provider ?? before.order.market;
      emit(context, ordersEvents.settled, { ...partiesOf(id, before), provider, fence, ...sums });
      recordOutcome(context, outcomeOf(provider, { settled: 1, paid: sums.paid }));
      return sums;
    },
  });
}

function reject(rules: OrdersRules) {
  return defineMethod({
    name: 'reject',
    args: record({ order: hash32, fence: uint(), reason: rejectionReason }),
    returns: done,
    run(context, { order: id, fence, reason }) {
      const before = orderOrRevert(context, id);
      const { market } = before.order;
      const nowUs = context.block.timeUs;
      demandMarket(context, rules, before.order);
      demandDelivered(context, rules, before, fence);
      const settings = readOrdersSettings(context.storage);
      demand(
        context,
        rules.isRejectedInTime(before, nowUs, settings),
        'ORDERS_WINDOW_OVER',
        `it ended at ${windowEndUs(before, settings)} µs, now ${nowUs} µs`,
      );
      const parties = partiesOf(id, before);
      const provider = before.provider ?? market;
      emit(context, ordersEvents.rejected, { ...parties, provider, fence, reason });
      recordOutcome(context, outcomeOf(provider, { rejected: 1 }));
      const rejections = before.rejections + 1;
      if (rules.isBoundInTime(before, nowUs)) {
        writeOrder(context, id, { ...unboundRecord(before), state: 'placed', rejections });
        return {};
      }
      // Too late for another provider: the consumer gets the money back at once.
      const split = rules.splitReturned(before);
      endOrder(context, id, { ...unboundRecord(before), rejections }, 'refunded', split);
      emit(context, ordersEvents.refunded, { ...parties, refunded: split.toConsumer });
      return {};
    },
  });
}

export function createEndingMethods(rules: OrdersRules) {
  return {
    /** Market or consumer after delivery, anyone after the window: pays the charge, returns the rest. */
    settle: settle(rules),
    /** The order's market, within the window: the delivery does not count. */
    reject: reject(rules),
    /** Market while undelivered, consumer while unbound: all money goes back. */
    cancel: defineMethod({
      name: 'cancel',
      args: record({ order: hash32 }),
      returns: done,
      run(context, { order: id }) {
        const before = orderOrRevert(context, id);
        demand(context, rules.isCancellable(before), 'ORDERS_STATE', `order is ${before.state}`);
        demand(
          context,
          rules.mayCancel(before, context.caller),
          'ORDERS_NOT_PARTY',
          `order is ${before.state}`,
        );
        demandNoBatch(context, rules, before);
        if (before.paid > 0n) return closePaid(context, id, before);
        const split = rules.splitReturned(before);
        endOrder(context, id, before, 'cancelled', split);
        const refunded = split.toConsumer;
        emit(context, ordersEvents.cancelled, { ...partiesOf(id, before), refunded });
        return {};
      },
    }),
    /** Anyone, once the time for a delivery is over: all money goes back. */
    refund: defineMethod({
      name: 'refund',
      args: record({ order: hash32 }),
      returns: done,
      run(context, { order: id }) {
        const before = orderOrRevert(context, id);
        demand(context, rules.isRefundable(before), 'ORDERS_STATE', `order is ${before.state}`);
        const settings = readOrdersSettings(context.storage);
        const nowUs = context.block.timeUs;
        demand(
          context,
          rules.isRefundDue(before, nowUs, settings),
          'ORDERS_NOT_DUE',
          `due at ${refundDueUs(before, settings)} µs, now ${nowUs} µs`,
        );
        demandNoBatch(context, rules, before);
        if (before.paid > 0n) return closePaid(context, id, before);
        const split = rules.splitReturned(before);
        endOrder(context, id, before, 'refunded', split);
        const refunded = split.toConsumer;
        emit(context, ordersEvents.refunded, { ...partiesOf(id, before), refunded });
        return {};
      },
    }),
  };
}
