/** Who may move a batch of units on, when, and how its money splits; see `rules.ts`. */
import type { AccountId } from '#libs/kernel';
import type { BatchDelivery, BatchRecord, WithheldUnits } from './batch-documents.ts';
import type { Order, OrderRecord } from './documents.ts';
import type { Split } from './rules.ts';
import type { OrdersSettings, Prepaid } from './state.ts';
import { REPLICAS_MAX, TASKS_MAX, countUnits, coversUnits } from './units.ts';

export interface BatchRules {
  /** Tasks, replicas and price of an order of many tasks make sense together. */
  hasFittingArray(order: Order): boolean;
  /** An order of many tasks goes by batches, one of one task as a whole. */
  isArray(record: OrderRecord): boolean;
  /** The only steps that end an order of many tasks leave no batch behind. */
  hasNoBatchOpen(record: OrderRecord): boolean;

  /** Each open batch has a fence of its own. */
  isBatchFenceFree(open: BatchRecord | undefined, fence: number): boolean;
  /** `taken`: whether the unit is in an open batch or paid. */
  isUnitFree(taken: boolean): boolean;
  isUnitPriceWithin(record: OrderRecord, unitPrice: bigint): boolean;
  isBatchWithinCap(record: OrderRecord, hold: bigint): boolean;
  isBatchCovered(hold: bigint, prepaid: Prepaid): boolean;

  isBatchDeliverable(batch: BatchRecord): boolean;
  isBatchProvider(batch: BatchRecord, delivery: BatchDelivery, signer: AccountId): boolean;
  isWithinBatch(batch: BatchRecord, delivery: BatchDelivery): boolean;
  isChargeWithin(batch: BatchRecord, delivery: BatchDelivery): boolean;
  isBatchInTime(record: OrderRecord, nowUs: number, settings: OrdersSettings): boolean;

  isBatchSettleable(batch: BatchRecord): boolean;
  maySettleBatch(
    record: OrderRecord,
    batch: BatchRecord,
    caller: AccountId,
    nowUs: number,
    settings: OrdersSettings,
  ): boolean;
  mayWithhold(
    record: OrderRecord,
    batch: BatchRecord,
    caller: AccountId,
    nowUs: number,
    settings: OrdersSettings,
  ): boolean;
  /** What is withheld is part of the delivery, and of its charge. */
  isWithinDelivery(delivery: BatchDelivery, withheld: WithheldUnits): boolean;
  isBatchReleasable(batch: BatchRecord): boolean;
  mayRelease(
    record: OrderRecord,
    caller: AccountId,
    nowUs: number,
    settings: OrdersSettings,
  ): boolean;

  splitBatch(batch: BatchRecord, withheld: WithheldUnits | undefined): Split;
}

export function batchWindowEndUs(batch: BatchRecord, settings: OrdersSettings): number {
  return (batch.deliveredAtUs ?? 0) + settings.settleWindowUs;
}

/** From when on anyone may take an undelivered batch back. */
export const batchReleaseDueUs = ({ order }: OrderRecord, settings: OrdersSettings): number =>
  order.completeByUs + settings.deliveryGraceUs;

export const batchRules: BatchRules = {
  hasFittingArray: ({ array, priceCap }) =>
    array === undefined ||
    (array.tasks > 0 &&
      array.tasks <= TASKS_MAX &&
      array.replicas > 0 &&
      array.replicas <= REPLICAS_MAX &&
      array.unitPrice <= priceCap),
  isArray: ({ order }) => order.array !== undefined,
  hasNoBatchOpen: ({ array }) => array === undefined || array.open === 0,

  isBatchFenceFree: (open, fence) => open === undefined && fence > 0,
  isUnitFree: (taken) => !taken,
  isUnitPriceWithin: ({ order }, unitPrice) =>
    order.array !== undefined && unitPrice <= order.array.unitPrice,
  isBatchWithinCap: ({ order, escrow, paid }, hold) => escrow + paid + hold <= order.priceCap,
  isBatchCovered: (hold, { balance }) => hold <= balance,

  isBatchDeliverable: ({ state }) => state === 'bound',
  isBatchProvider: ({ provider }, delivery, signer) =>
    provider === signer && provider === delivery.provider,
  isWithinBatch: ({ units }, delivery) => coversUnits(units, delivery.units),
  isChargeWithin: ({ unitPrice }, { units, charge }) =>
    charge <= unitPrice * BigInt(countUnits(units)),
  isBatchInTime: (record, nowUs, settings) => nowUs < batchReleaseDueUs(record, settings),

  isBatchSettleable: ({ state }) => state === 'delivered',
  maySettleBatch: ({ order }, batch, caller, nowUs, settings) =>
    caller === order.market ||
    caller === order.consumer ||
    nowUs >= batchWindowEndUs(batch, settings),
  mayWithhold: ({ order }, batch, caller, nowUs, settings) =>
    caller === order.market && nowUs < batchWindowEndUs(batch, settings),
  isWithinDelivery: (delivery, withheld) =>
    coversUnits(delivery.units, withheld.units) && withheld.charge <= delivery.charge,
  isBatchReleasable: ({ state }) => state === 'bound',
  mayRelease: (record, caller, nowUs, settings) =>
    caller === record.order.market || nowUs >= batchReleaseDueUs(record, settings),

  splitBatch: ({ escrow, delivery }, withheld) => {
    const toProvider = (delivery?.charge ?? 0n) - (withheld?.charge ?? 0n);
    return { toProvider, toConsumer: escrow - toProvider };
  },
};
