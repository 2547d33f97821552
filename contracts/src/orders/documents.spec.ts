import fc from 'fast-check';
import { type Bytes, decodeWith, encodeWith, isSeeleError } from '#libs/kernel';
import { MANIFEST, deliveryOf, person } from '../testing/orders-world.ts';
import {
  DELIVERY_DOMAIN,
  ORDER_DOMAIN,
  type Order,
  deliveryBytes,
  orderBytes,
  orderId,
  orderRecord,
  signedDelivery,
  signedOrder,
} from './documents.ts';

const consumer = person('consumer');
const provider = person('provider');
const order: Order = {
  chain: '11'.repeat(32),
  consumer: consumer.account,
  market: '22'.repeat(32),
  salt: '33'.repeat(16),
  manifest: MANIFEST,
  priceCap: 10n ** 12n,
  placeByUs: 1_800_000_000_000_000,
  completeByUs: 1_800_000_600_000_000,
};
const delivery = deliveryOf({
  chain: order.chain,
  order: orderId(order),
  provider: provider.account,
  fence: 3,
  charge: 5n,
});

const documents = {
  signedOrder: [
    signedOrder,
    encodeWith(signedOrder, {
      order,
      publicKey: consumer.publicKey,
      signature: consumer.sign(ORDER_DOMAIN, orderBytes(order)),
    }),
  ],
  signedDelivery: [
    signedDelivery,
    encodeWith(signedDelivery, {
      delivery,
      publicKey: provider.publicKey,
      signature: provider.sign(DELIVERY_DOMAIN, deliveryBytes(delivery)),
    }),
  ],
  orderRecord: [
    orderRecord,
    encodeWith(orderRecord, {
      order,
      state: 'delivered',
      escrow: order.priceCap,
      paid: 0n,
      refunded: 0n,
      placedAtUs: 1,
      provider: provider.account,
      price: 6n,
      fence: 3,
      boundAtUs: 2,
      delivery,
      deliveredAtUs: 3,
      rejections: 0,
    }),
  ],
} as const;

describe('order documents', () => {
  it('have an id that every field changes', () => {
    const changes: Partial<Order>[] = [
      { chain: '12'.repeat(32) },
      { consumer: '12'.repeat(32) },
      { market: '12'.repeat(32) },
      { salt: '12'.repeat(16) },
      { manifest: 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku' },
      { priceCap: 1n },
      { placeByUs: 1 },
      { completeByUs: 1 },
    ];
    const ids = [{}, ...changes].map((change) => orderId({ ...order, ...change }));
    expect(new Set(ids).size).toBe(Object.keys(order).length + 1);
  });

  it.each(Object.entries(documents))(
    '%s: changed bytes are refused or mean something else, never the same',
    (_name, [codec, bytes]) => {
      const value = decodeWith(codec as never, bytes);
      expect(encodeWith(codec as never, value)).toEqual(bytes);
      const change = fc.record({ at: fc.nat(bytes.length - 1), byte: fc.nat(255), cut: fc.nat(2) });
      fc.assert(
        fc.property(change, ({ at, byte, cut }) => {
          const changed: Bytes = Uint8Array.from([
            ...bytes.subarray(0, at),
            byte,
            ...bytes.subarray(at + cut),
          ]);
          try {
            const read = decodeWith(codec as never, changed);
            expect(encodeWith(codec as never, read)).toEqual(changed);
          } catch (error) {
            expect(isSeeleError(error)).toBe(true);
          }
        }),
        { numRuns: 100 },
      );
    },
  );
});
