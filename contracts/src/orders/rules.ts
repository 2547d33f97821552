/**
 * Who may move an order on, when, and how its money splits: every condition of contract `orders` in
 * one table of pure predicates. The contract is built from the table, so a test can build a broken
 * contract by replacing one rule and show that the checks around it notice.
 */
import type { AccountId } from '#libs/kernel';
import type { BatchDelivery } from './batch-documents.ts';
import { type BatchRules, batchRules } from './batch-rules.ts';
import type { Delivery, Order, OrderRecord } from './documents.ts';
import { hasEnded, type OrdersSettings, type Prepaid } from './state.ts';

/** How an order's escrow leaves it. */
export interface Split {
  readonly toProvider: bigint;
  readonly toConsumer: bigint;
}

export interface OrdersRules extends BatchRules {
  isOnChain(document: Order | Delivery | BatchDelivery, chain: string): boolean;
  isMarket(order: Order, caller: AccountId): boolean;
  /** An order id is used once, for ever. */
  isNew(existing: OrderRecord | undefined): boolean;
  isCovered(order: Order, prepaid: Prepaid): boolean;
  isPlacedInTime(order: Order, nowUs: number): boolean;
  hasFittingTimes(order: Order, nowUs: number, settings: OrdersSettings): boolean;

  isBindable(record: OrderRecord): boolean;
  isBoundInTime(record: OrderRecord, nowUs: number): boolean;
  isWithinCap(record: OrderRecord, price: bigint): boolean;
  isFenceRising(record: OrderRecord, fence: number): boolean;

  isDeliverable(record: OrderRecord): boolean;
  isBoundProvider(record: OrderRecord, delivery: Delivery, signer: AccountId): boolean;
  isFenceCurrent(record: OrderRecord, fence: number): boolean;
  isWithinPrice(record: OrderRecord, charge: bigint): boolean;
  isDeliveredInTime(record: OrderRecord, nowUs: number, settings: OrdersSettings): boolean;

  isSettleable(record: OrderRecord): boolean;
  maySettle(
    record: OrderRecord,
    caller: AccountId,
    nowUs: number,
    settings: OrdersSettings,
  ): boolean;
  isRejectedInTime(record: OrderRecord, nowUs: number, settings: OrdersSettings): boolean;
  isCancellable(record: OrderRecord): boolean;
  mayCancel(record: OrderRecord, caller: AccountId): boolean;
  isRefundable(record: OrderRecord): boolean;
  isRefundDue(record: OrderRecord, nowUs: number, settings: OrdersSettings): boolean;

  splitSettled(record: OrderRecord): Split;
  splitReturned(record: OrderRecord): Split;

  isWithdrawalDue(availableAtUs: number, nowUs: number): boolean;
  withdrawable(prepaid: Prepaid): bigint;
}

/** From when on anyone may have an order refunded; a delivery counts if it comes before. */
export function refundDueUs(record: OrderRecord, settings: OrdersSettings): number {
  const { completeByUs } = record.order;
  return record.state === 'bound' ? completeByUs + settings.deliveryGraceUs : completeByUs;
}

/** From when on anyone may settle a delivered order, and its market may no longer reject it. */
export function windowEndUs(record: OrderRecord, settings: OrdersSettings): number {
  return (record.deliveredAtUs ?? 0) + settings.settleWindowUs;
}

export const ordersRules: OrdersRules = {
  ...batchRules,
  isOnChain: (document, chain) => document.chain === chain,
  isMarket: (order, caller) => order.market === caller,
  isNew: (existing) => existing === undefined,
  // Of many tasks nothing is held before they are bound.
  isCovered: ({ array, priceCap }, { balance }) => array !== undefined || priceCap <= balance,
  isPlacedInTime: (order, nowUs) => nowUs <= order.placeByUs,
  hasFittingTimes: ({ placeByUs, completeByUs }, nowUs, { maxDurationUs }) =>
    placeByUs <= completeByUs && nowUs < completeByUs && completeByUs <= nowUs + maxDurationUs,

  isBindable: ({ state, order }) =>
    order.array === undefined && (state === 'placed' || state === 'bound'),
  isBoundInTime: ({ order }, nowUs) => nowUs < order.completeByUs,
  isWithinCap: ({ order }, price) => price <= order.priceCap,
  isFenceRising: (record, fence) => fence > record.fence,

  isDeliverable: ({ state }) => state === 'bound',
  isBoundProvider: ({ provider }, delivery, signer) =>
    provider === signer && provider === delivery.provider,
  isFenceCurrent: (record, fence) => fence === record.fence,
  isWithinPrice: ({ price }, charge) => price !== undefined && charge <= price,
  isDeliveredInTime: ({ order }, nowUs, { deliveryGraceUs }) =>
    nowUs < order.completeByUs + deliveryGraceUs,

  isSettleable: ({ state }) => state === 'delivered',
  maySettle: (record, caller, nowUs, settings) =>
    caller === record.order.market ||
    caller === record.order.consumer ||
    nowUs >= windowEndUs(record, settings),
  isRejectedInTime: (record, nowUs, settings) => nowUs < windowEndUs(record, settings),
  isCancellable: ({ state }) => state === 'placed' || state === 'bound',
  mayCancel: ({ state, order }, caller) =>
    caller === order.market || (state === 'placed' && caller === order.consumer),
  isRefundable: ({ state }) => !hasEnded(state) && state !== 'delivered',
  isRefundDue: (record, nowUs, settings) => nowUs >= refundDueUs(record, settings),

  splitSettled: ({ escrow, delivery }) => {
    const charge = delivery?.charge ?? 0n;
    return { toProvider: charge, toConsumer: escrow - charge };
  },
  splitReturned: ({ escrow }) => ({ toProvider: 0n, toConsumer: escrow }),

  isWithdrawalDue: (availableAtUs, nowUs) => nowUs >= availableAtUs,
  // Orders placed meanwhile were paid from the same balance and come first.
  withdrawable: ({ balance, withdrawal }) => {
    const asked = withdrawal?.amount ?? 0n;
    return asked < balance ? asked : balance;
  },
};
