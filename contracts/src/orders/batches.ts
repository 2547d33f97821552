/**
 * Methods of contract `orders` for orders of many tasks. Units are bound in batches; a bitmap holds
 * every unit that is in an open batch or paid, so no unit is ever in two of them.
 */
import { accountOf } from '#libs/crypto';
import { type Bytes, hash32, invariant, optional, record, u64, uint } from '#libs/kernel';
import { type Context, defineMethod } from '#libs/ledger';
import { done, emit, readValue, storageKey, writeValue } from '../contract-kit.ts';
import { demand } from '../errors.ts';
import { outcomeOf, recordOutcome } from '../reputation/reputation.ts';
import { payTo } from '../token/token.ts';
import {
  BATCH_DELIVERY_DOMAIN,
  type BatchRecord,
  type WithheldUnits,
  batchDeliveryBytes,
  batchDeliveryHash,
  batchRecord,
  settledHead,
  signedBatchDelivery,
  withheldUnits,
} from './batch-documents.ts';
import { batchReleaseDueUs, batchWindowEndUs } from './batch-rules.ts';
import type { ArrayRecord, ArrayTerms, OrderRecord } from './documents.ts';
import { ordersEvents, rejectionReason } from './events.ts';
import { demandMarket, orderOrRevert, partiesOf } from './open-order.ts';
import type { OrdersRules } from './rules.ts';
import { addPrepaid, readOrdersSettings, readPrepaid, writeOrder, writePrepaid } from './state.ts';
import {
  type UnitSet,
  countUnits,
  unitSet,
  unitSetProblem,
  unitsOf,
  withoutUnits,
} from './units.ts';

const SEGMENT_UNITS = 1024;
const FENCE_HEX = 12;

export const batchKeys = {
  /** → `batchRecord`, while it is bound or delivered. */
  batch: (order: string, fence: number): Bytes =>
    storageKey('batch/', order, fence.toString(16).padStart(FENCE_HEX, '0')),
  /** Prefix of an order's open batches; the fence is the rest of the key. */
  batchesOf: (order: string): Bytes => storageKey('batch/', order),
  /** → one bit per unit: in an open batch, or paid. */
  taken: (order: string, segment: number): Bytes =>
    storageKey('taken/', order, segment.toString(16).padStart(4, '0')),
};

/** Calls back for each unit with the byte that holds its bit; writes what changed. */
function eachBit(
  context: Context,
  order: string,
  units: UnitSet,
  change: (isSet: boolean, unit: number) => boolean,
): void {
  let segment = -1;
  let bits: Uint8Array = new Uint8Array(0);
  const flush = (): void => {
    if (segment >= 0) context.storage.put(batchKeys.taken(order, segment), bits);
  };
  for (const unit of unitsOf(units)) {
    const wanted = Math.floor(unit / SEGMENT_UNITS);
    if (wanted !== segment) {
      flush();
      segment = wanted;
      const stored = context.storage.get(batchKeys.taken(order, segment));
      bits = stored ? stored.slice() : new Uint8Array(SEGMENT_UNITS / 8);
    }
    const at = (unit % SEGMENT_UNITS) >> 3;
    const mask = 1 << (unit & 7);
    const isSet = ((bits[at] as number) & mask) !== 0;
    bits[at] = change(isSet, unit) ? (bits[at] as number) | mask : (bits[at] as number) & ~mask;
  }
  flush();
}

interface Open {
  readonly before: OrderRecord;
  readonly terms: ArrayTerms;
  readonly array: ArrayRecord;
}

function openArray(context: Context, rules: OrdersRules, id: string): Open {
  const before = orderOrRevert(context, id);
  const { array: terms } = before.order;
  demand(
    context,
    rules.isArray(before) && terms !== undefined,
    'ORDERS_ARRAY',
    'the order has one task and goes as a whole',
  );
  demand(context, before.state === 'placed', 'ORDERS_STATE', `order is ${before.state}`);
  return { before, terms, array: before.array ?? { open: 0, settled: 0 } };
}

function batchOrRevert(context: Context, id: string, fence: number): BatchRecord {
  return (
    readValue(context.storage, batchKeys.batch(id, fence), batchRecord) ??
    context.revert('ORDERS_FENCE_STALE', `order ${id} has no open batch ${fence}`)
  );
}

function bindUnits(rules: OrdersRules) {
  return defineMethod({
    name: 'bindUnits',
    args: record({
      order: hash32,
      provider: hash32,
      unitPrice: u64,
      fence: uint(),
      units: unitSet,
    }),
    returns: done,
    run(context, { order: id, provider, unitPrice, fence, units }) {
      const { before, terms, array } = openArray(context, rules, id);
      const nowUs = context.block.timeUs;
      demandMarket(context, rules, before.order);
      demand(
        context,
        rules.isBatchFenceFree(
          readValue(context.storage, batchKeys.batch(id, fence), batchRecord),
          fence,
        ),
        'ORDERS_FENCE_STALE',
        `batch ${fence} is open`,
      );
      const problem = unitSetProblem(units, terms.tasks * terms.replicas);
      demand(context, problem === undefined, 'ORDERS_UNITS', problem ?? '');
      demand(
        context,
        rules.isUnitPriceWithin(before, unitPrice),
        'ORDERS_PRICE_TOO_HIGH',
        `unit price ${unitPrice} above the cap ${terms.unitPrice}`,
      );
      demand(
        context,
        rules.isBoundInTime(before, nowUs),
        'ORDERS_EXPIRED',
        `order was to be complete by ${before.order.completeByUs} µs, now ${nowUs} µs`,
      );
      const hold = unitPrice * BigInt(countUnits(units));
      demand(
        context,
        rules.isBatchWithinCap(before, hold),
        'ORDERS_PRICE_TOO_HIGH',
        `${before.escrow} held, ${before.paid} paid and ${hold} more are above ${before.order.priceCap}`,
      );
      const purse = readPrepaid(context.storage, before.order.consumer);
      demand(
        context,
        rules.isBatchCovered(hold, purse),
        'ORDERS_PREPAID_TOO_LOW',
        `${hold} wanted, ${purse.balance} prepaid by ${before.order.consumer}`,
      );
      eachBit(context, id, units, (isSet, unit) => {
        demand(
          context,
          rules.isUnitFree(isSet),
          'ORDERS_UNITS_TAKEN',
          `unit ${unit} is in another batch or paid`,
        );
        return true;
      });
      const balance = purse.balance - hold;
      writePrepaid(context.storage, before.order.consumer, { ...purse, balance });
      const batch = { provider, unitPrice, units, escrow: hold, boundAtUs: nowUs };
      writeValue(context.storage, batchKeys.batch(id, fence), batchRecord, {
        ...batch,
        state: 'bound',
      });
      writeOrder(context, id, {
        ...before,
        fence: Math.max(fence, before.fence),
        escrow: before.escrow + hold,
        array: { ...array, open: array.open + 1 },
      });
      const bound = { ...partiesOf(id, before), provider, fence, unitPrice, units };
      emit(context, ordersEvents.unitsBound, bound);
      return {};
    },
  });
}

function deliverUnits(rules: OrdersRules) {
  return defineMethod({
    name: 'deliverUnits',
    args: signedBatchDelivery,
    returns: done,
    run(context, { delivery, publicKey, signature }) {
      const { order: id, provider, fence, charge, units } = delivery;
      demand(
        context,
        rules.isOnChain(delivery, context.block.chain),
        'ORDERS_WRONG_CHAIN',
        `delivery is for chain ${delivery.chain}`,
      );
      const { before, terms } = openArray(context, rules, id);
      const batch = batchOrRevert(context, id, fence);
      const hash = batchDeliveryHash(delivery);
      demand(
        context,
        !batch.delivery || batchDeliveryHash(batch.delivery) !== hash,
        'ORDERS_ALREADY_DELIVERED',
        `this delivery of batch ${fence} is recorded`,
      );
      demand(
        context,
        rules.isBatchDeliverable(batch),
        'ORDERS_STATE',
        `batch ${fence} is ${batch.state}`,
      );
      const problem =
        unitSetProblem(units, terms.tasks * terms.replicas) ??
        (rules.isWithinBatch(batch, delivery) ? undefined : 'units of another batch');
      demand(context, problem === undefined, 'ORDERS_UNITS', problem ?? '');
      demand(
        context,
        rules.isChargeWithin(batch, delivery),
        'ORDERS_CHARGE_TOO_HIGH',
        `charge ${charge} above ${batch.unitPrice} for each of ${countUnits(units)} units`,
      );
      const settings = readOrdersSettings(context.storage);
      const nowUs = context.block.timeUs;
      demand(
        context,
        rules.isBatchInTime(before, nowUs, settings),
        'ORDERS_EXPIRED',
        `deliveries counted until ${batchReleaseDueUs(before, settings)} µs, now ${nowUs} µs`,
      );
      demand(
        context,
        rules.isBatchProvider(batch, delivery, accountOf(publicKey)),
        'ORDERS_NOT_PROVIDER',
        `batch ${fence} is bound to ${batch.provider}`,
      );
      demand(
        context,
        context.verify(publicKey, BATCH_DELIVERY_DOMAIN, batchDeliveryBytes(delivery), signature),
        'ORDERS_SIGNATURE',
        `delivery of batch ${fence} is not signed by ${provider}`,
      );
      const { state: _bound, ...rest } = batch;
      writeValue(context.storage, batchKeys.batch(id, fence), batchRecord, {
        ...rest,
        ...{ state: 'delivered', delivery, deliveredAtUs: nowUs },
      });
      emit(context, ordersEvents.unitsDelivered, {
        ...partiesOf(id, before),
        ...{ provider, fence, units, charge, delivery: hash },
      });
      return {};
    },
  });
}

/** Takes an open batch away: its money goes where the split says, what was not paid is free again. */
function closeBatch(
  context: Context,
  rules: OrdersRules,
  { id, fence, open, batch }: { id: string; fence: number; open: Open; batch: BatchRecord },
  withheld: WithheldUnits | 'all',
): { readonly paid: bigint; readonly refunded: bigint; readonly units: UnitSet } {
  const { before, array } = open;
  const { delivery } = batch;
  const kept = withheld === 'all' || !delivery ? [] : withoutUnits(delivery.units, withheld.units);
  const split =
    withheld === 'all'
      ? { toProvider: 0n, toConsumer: batch.escrow }
      : rules.splitBatch(batch, withheld);
  const isPaid = new Set(unitsOf(kept));
  eachBit(context, id, batch.units, (_isSet, unit) => isPaid.has(unit));
  context.storage.delete(batchKeys.batch(id, fence));
  const { toProvider: paid, toConsumer: refunded } = split;
  const head =
    kept.length === 0 || !delivery
      ? array.head
      : settledHead(array.head, {
          ...{ fence, provider: batch.provider, units: kept, paid },
          delivery: batchDeliveryHash(delivery),
        });
  writeOrder(context, id, {
    ...before,
    escrow: before.escrow - batch.escrow,
    paid: before.paid + paid,
    refunded: before.refunded + refunded,
    array: {
      open: array.open - 1,
      settled: array.settled + isPaid.size,
      ...(head !== undefined && { head }),
    },
  });
  addPrepaid(context.storage, before.order.consumer, refunded);
  payTo(context, batch.provider, paid);
  invariant(paid + refunded === batch.escrow, `batch ${fence} of ${id} does not add up`);
  return { paid, refunded, units: kept };
}

function settleUnits(rules: OrdersRules) {
  return defineMethod({
    name: 'settleUnits',
    args: record({
      order: hash32,
      fence: uint(),
      withheld: optional(withheldUnits),
      reason: optional(rejectionReason),
    }),
    returns: record({ paid: u64, refunded: u64 }),
    run(context, { order: id, fence, withheld, reason }) {
      const open = openArray(context, rules, id);
      const batch = batchOrRevert(context, id, fence);
      const { before, terms } = open;
      const { delivery } = batch;
      const nowUs = context.block.timeUs;
      const settings = readOrdersSettings(context.storage);
      demand(
        context,
        rules.isBatchSettleable(batch) && delivery !== undefined,
        'ORDERS_STATE',
        `batch ${fence} is ${batch.state}`,
      );
      demand(
        context,
        rules.maySettleBatch(before, batch, context.caller, nowUs, settings),
        'ORDERS_NOT_PARTY',
        `others may settle from ${batchWindowEndUs(batch, settings)} µs on`,
      );
      if (withheld) {
        demand(
          context,
          rules.mayWithhold(before, batch, context.caller, nowUs, settings),
          'ORDERS_WINDOW_OVER',
          `only the market withholds, before ${batchWindowEndUs(batch, settings)} µs`,
        );
        const problem =
          unitSetProblem(withheld.units, terms.tasks * terms.replicas) ??
          (rules.isWithinDelivery(delivery, withheld) ? undefined : 'more than was delivered');
        demand(context, problem === undefined, 'ORDERS_UNITS', problem ?? '');
      }
      const nothing = { units: [], charge: 0n };
      const target = { id, fence, open, batch };
      const { paid, refunded, units } = closeBatch(context, rules, target, withheld ?? nothing);
      emit(context, ordersEvents.unitsSettled, {
        ...partiesOf(id, before),
        ...{ provider: batch.provider, fence, units, paid, refunded },
        delivery: batchDeliveryHash(delivery),
        ...(withheld && { withheld: withheld.units }),
        ...(reason !== undefined && { reason }),
      });
      const rejected = withheld ? countUnits(withheld.units) : 0;
      const counts = { settled: countUnits(units), rejected, paid };
      recordOutcome(context, outcomeOf(batch.provider, counts));
      return { paid, refunded };
    },
  });
}

function releaseUnits(rules: OrdersRules) {
  return defineMethod({
    name: 'releaseUnits',
    args: record({ order: hash32, fence: uint() }),
    returns: done,
    run(context, { order: id, fence }) {
      const open = openArray(context, rules, id);
      const batch = batchOrRevert(context, id, fence);
      const { before } = open;
      demand(
        context,
        rules.isBatchReleasable(batch),
        'ORDERS_STATE',
        `batch ${fence} is ${batch.state}`,
      );
      const settings = readOrdersSettings(context.storage);
      demand(
        context,
        rules.mayRelease(before, context.caller, context.block.timeUs, settings),
        'ORDERS_NOT_DUE',
        `others may take it back from ${batchReleaseDueUs(before, settings)} µs on`,
      );
      const { refunded } = closeBatch(context, rules, { id, fence, open, batch }, 'all');
      const parties = partiesOf(id, before);
      const { provider } = batch;
      emit(context, ordersEvents.unitsReleased, { ...parties, provider, fence, refunded });
      return {};
    },
  });
}

export function createBatchMethods(rules: OrdersRules) {
  return {
    /** The order's market: gives free units to a provider and holds their price. */
    bindUnits: bindUnits(rules),
    /** Anyone may relay: records what the batch's provider signed about some or all of its units. */
    deliverUnits: deliverUnits(rules),
    /** Market or consumer, after the window anyone: pays a delivered batch; the rest is free again. */
    settleUnits: settleUnits(rules),
    /** The market, after the grace anyone: takes an undelivered batch back, with its money. */
    releaseUnits: releaseUnits(rules),
  };
}
