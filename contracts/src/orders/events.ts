/** What contract `orders` reports of every transition; the market and the audit follow these. */
import { hash32, optional, record, u64, uint, text } from '#libs/kernel';
import { defineEvent } from '../contract-kit.ts';
import { exitClass } from './documents.ts';
import { ORDERS_CONTRACT } from './state.ts';
import { unitSet } from './units.ts';

/** Why a market rejected a delivery: its own stable code, for the provider and the public record. */
export const rejectionReason = text(64);

const parties = { order: hash32, market: hash32, consumer: hash32 };
const lease = { provider: hash32, fence: uint() };

export const ordersEvents = {
  deposited: defineEvent(
    ORDERS_CONTRACT,
    'deposited',
    record({ account: hash32, amount: u64, balance: u64 }),
  ),
  withdrawalRequested: defineEvent(
    ORDERS_CONTRACT,
    'withdrawal-requested',
    record({ account: hash32, amount: u64, availableAtUs: uint() }),
  ),
  withdrawalCancelled: defineEvent(
    ORDERS_CONTRACT,
    'withdrawal-cancelled',
    record({ account: hash32, amount: u64 }),
  ),
  withdrawn: defineEvent(
    ORDERS_CONTRACT,
    'withdrawn',
    record({ account: hash32, amount: u64, balance: u64 }),
  ),
  placed: defineEvent(
    ORDERS_CONTRACT,
    'placed',
    record({ ...parties, priceCap: u64, completeByUs: uint() }),
  ),
  bound: defineEvent(ORDERS_CONTRACT, 'bound', record({ ...parties, ...lease, price: u64 })),
  delivered: defineEvent(
    ORDERS_CONTRACT,
    'delivered',
    record({ ...parties, ...lease, exit: exitClass, charge: u64 }),
  ),
  rejected: defineEvent(
    ORDERS_CONTRACT,
    'rejected',
    record({ ...parties, ...lease, reason: rejectionReason }),
  ),
  settled: defineEvent(
    ORDERS_CONTRACT,
    'settled',
    record({ ...parties, ...lease, paid: u64, refunded: u64 }),
  ),
  refunded: defineEvent(ORDERS_CONTRACT, 'refunded', record({ ...parties, refunded: u64 })),
  cancelled: defineEvent(ORDERS_CONTRACT, 'cancelled', record({ ...parties, refunded: u64 })),
  unitsBound: defineEvent(
    ORDERS_CONTRACT,
    'units-bound',
    record({ ...parties, ...lease, unitPrice: u64, units: unitSet }),
  ),
  unitsDelivered: defineEvent(
    ORDERS_CONTRACT,
    'units-delivered',
    record({ ...parties, ...lease, units: unitSet, charge: u64, delivery: hash32 }),
  ),
  /** `units` were paid; `withheld` were delivered and not accepted. */
  unitsSettled: defineEvent(
    ORDERS_CONTRACT,
    'units-settled',
    record({
      ...parties,
      ...lease,
      ...{ units: unitSet, paid: u64, refunded: u64, delivery: hash32 },
      withheld: optional(unitSet),
      reason: optional(rejectionReason),
    }),
  ),
  unitsReleased: defineEvent(
    ORDERS_CONTRACT,
    'units-released',
    record({ ...parties, ...lease, refunded: u64 }),
  ),
};
