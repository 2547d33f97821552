/** What contract `orders` keeps: keys, stored shapes, settings, and the one way to write a record. */
import {
  type AccountId,
  type Bytes,
  type CodecValue,
  invariant,
  optional,
  record,
  u64,
  uint,
  utf8,
} from '#libs/kernel';
import type { Context, ContractStorage } from '#libs/ledger';
import { defineSettings, readValue, storageKey, writeValue } from '../contract-kit.ts';
import { type OrderRecord, type OrderState, orderRecord } from './documents.ts';

export const ORDERS_CONTRACT = 'orders';

/** Money an account paid in for orders to come. `withdrawal` still covers orders until paid out. */
export const prepaid = record({
  balance: u64,
  withdrawal: optional(record({ amount: u64, availableAtUs: uint() })),
});
export type Prepaid = CodecValue<typeof prepaid>;

/** Stored under `open/…` while an order has not ended: when its time is up. */
export const openOrder = record({ completeByUs: uint() });

export const ordersKeys = {
  /** → `orderRecord` */
  order: (id: string): Bytes => storageKey('order/', id),
  /** → `prepaid`; absent when the account has none. */
  prepaid: (account: AccountId): Bytes => storageKey('prepaid/', account),
  /** → `openOrder`; there while the order has not ended. */
  open: (market: AccountId, id: string): Bytes => storageKey('open/', market, id),
  /** Prefix of a market's open orders; the order id is the rest of the key. */
  openOf: (market: AccountId): Bytes => storageKey('open/', market),
  orders: utf8('order/'),
  allPrepaid: utf8('prepaid/'),
};

const SECOND_US = 1_000_000n;

export const ordersSettings = defineSettings(ORDERS_CONTRACT, {
  /** From asking for prepaid money back until it can be taken. */
  withdrawalDelayUs: 300n * SECOND_US,
  /** From a delivery until anyone may settle it; the market may reject it until then. */
  settleWindowUs: 600n * SECOND_US,
  /** After completeByUs, how long a bound provider's delivery is still accepted. */
  deliveryGraceUs: 30n * SECOND_US,
  /** Longest time from placing an order to its completeByUs. */
  maxDurationUs: 7n * 86_400n * SECOND_US,
});

export interface OrdersSettings {
  readonly withdrawalDelayUs: number;
  readonly settleWindowUs: number;
  readonly deliveryGraceUs: number;
  readonly maxDurationUs: number;
}

export function readOrdersSettings(storage: Pick<ContractStorage, 'get'>): OrdersSettings {
  const values = ordersSettings.read(storage);
  return {
    withdrawalDelayUs: Number(values.withdrawalDelayUs),
    settleWindowUs: Number(values.settleWindowUs),
    deliveryGraceUs: Number(values.deliveryGraceUs),
    maxDurationUs: Number(values.maxDurationUs),
  };
}

const NOTHING: Prepaid = { balance: 0n };

export function readPrepaid(storage: Pick<ContractStorage, 'get'>, account: AccountId): Prepaid {
  return readValue(storage, ordersKeys.prepaid(account), prepaid) ?? NOTHING;
}

export function writePrepaid(storage: ContractStorage, account: AccountId, value: Prepaid): void {
  invariant(value.balance >= 0n, `prepaid balance ${value.balance} of ${account}`);
  const key = ordersKeys.prepaid(account);
  if (value.balance === 0n && !value.withdrawal) storage.delete(key);
  else writeValue(storage, key, prepaid, value);
}

export function addPrepaid(storage: ContractStorage, account: AccountId, amount: bigint): void {
  if (amount === 0n) return;
  const before = readPrepaid(storage, account);
  writePrepaid(storage, account, { ...before, balance: before.balance + amount });
}

/**
 * What of a prepaid balance is sure to be there until `untilUs`: a withdrawal that matures before then
 * may be taken away. A market starts work early only on an order that this covers.
 */
export function prepaidCover(value: Prepaid | undefined, untilUs: number): bigint {
  const { balance, withdrawal } = value ?? NOTHING;
  if (!withdrawal || withdrawal.availableAtUs > untilUs) return balance;
  return balance > withdrawal.amount ? balance - withdrawal.amount : 0n;
}

const ENDED: readonly OrderState[] = ['settled', 'refunded', 'cancelled'];

/** True when nothing moves the order any more. */
export function hasEnded(state: OrderState): boolean {
  return ENDED.includes(state);
}

export function readOrder(
  storage: Pick<ContractStorage, 'get'>,
  id: string,
): OrderRecord | undefined {
  return readValue(storage, ordersKeys.order(id), orderRecord);
}

/** Writes an order's record and keeps the index of open orders. Checks what must always hold. */
export function writeOrder(context: Context, id: string, next: OrderRecord): void {
  const { storage } = context;
  const { market, priceCap, completeByUs } = next.order;
  const ended = hasEnded(next.state);
  const { escrow, paid, refunded, array } = next;
  const addsUp = array ? escrow + paid <= priceCap : escrow + paid + refunded === priceCap;
  invariant(
    addsUp,
    `order ${id}: ${escrow} held + ${paid} paid + ${refunded} refunded against ${priceCap}`,
  );
  if (array) invariant(array.open > 0 || escrow === 0n, `order ${id} holds money for no batch`);
  else invariant(ended === (escrow === 0n) || priceCap === 0n, `order ${id} ended with escrow`);
  invariant(!ended || !array || array.open === 0, `order ${id} ended with open batches`);
  writeValue(storage, ordersKeys.order(id), orderRecord, next);
  if (ended) storage.delete(ordersKeys.open(market, id));
  else if (next.state === 'placed' && (next.array === undefined || next.fence === 0))
    writeValue(storage, ordersKeys.open(market, id), openOrder, { completeByUs });
}
