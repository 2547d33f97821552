/** What other contracts may ask of contract `orders`. */
import { hash32, optional, record } from '#libs/kernel';
import { defineMethod } from '#libs/ledger';
import { orderRecord } from './documents.ts';
import { readOrder } from './state.ts';

export const viewMethods = {
  /** Anyone: the record of an order, absent when it was never placed. */
  read: defineMethod({
    name: 'read',
    args: record({ order: hash32 }),
    returns: record({ record: optional(orderRecord) }),
    run: (context, { order }) => ({ record: readOrder(context.storage, order) }),
  }),
};
