import { AMOUNT_MAX, decodeWith } from '#libs/kernel';
import {
  MANIFEST,
  type World,
  createWorld,
  deliveryOf,
  ordersAccount,
  person,
} from '../testing/orders-world.ts';
import { TOKEN_CONTRACT, tokenMethods } from '../token/token.ts';
import { readEvent } from '../contract-kit.ts';
import { type Order, orderId, orderRecord } from './documents.ts';
import { ordersEvents } from './events.ts';
import { ordersMethods } from './orders.ts';
import {
  ORDERS_CONTRACT,
  openOrder,
  ordersKeys,
  ordersSettings,
  prepaid,
  prepaidCover,
} from './state.ts';

const consumer = person('consumer');
const market = person('market');
const provider = person('provider');
const other = person('other');
const times = {
  withdrawalDelayUs: 100,
  settleWindowUs: 200,
  deliveryGraceUs: 50,
  maxDurationUs: 5_000,
};

function setUp() {
  const world = createWorld({ people: [consumer, market, provider, other], orders: times });
  world.must(consumer, ORDERS_CONTRACT, ordersMethods.deposit, {
    account: consumer.account,
    amount: 1_000n,
  });
  const order: Order = {
    chain: world.chain,
    consumer: consumer.account,
    market: market.account,
    salt: '01'.repeat(16),
    manifest: MANIFEST,
    priceCap: 300n,
    placeByUs: world.startUs + 100,
    completeByUs: world.startUs + 1_000,
  };
  return { world, order, id: orderId(order) };
}

const place = (world: World, order: Order) =>
  world.must(market, ORDERS_CONTRACT, ordersMethods.place, world.signOrder(order, consumer));
const bind = (world: World, id: string, fence: number, price = 200n) =>
  world.must(market, ORDERS_CONTRACT, ordersMethods.bind, {
    order: id,
    provider: provider.account,
    price,
    fence,
  });
function signedDelivery(world: World, id: string, fence: number, charge = 120n) {
  const { chain } = world;
  return world.signDelivery(
    deliveryOf({ chain, order: id, provider: provider.account, fence, charge }),
    provider,
  );
}
const deliver = (world: World, id: string, fence: number) =>
  world.must(other, ORDERS_CONTRACT, ordersMethods.deliver, signedDelivery(world, id, fence));

function recordOf(world: World, id: string) {
  return decodeWith(orderRecord, world.get(ORDERS_CONTRACT, ordersKeys.order(id)) as Uint8Array);
}
const prepaidOf = (world: World) => {
  const bytes = world.get(ORDERS_CONTRACT, ordersKeys.prepaid(consumer.account));
  return bytes ? decodeWith(prepaid, bytes) : undefined;
};

describe('an order that goes well', () => {
  it('pays the charge to the provider and gives the rest back', () => {
    const { world, order, id } = setUp();
    expect(place(world, order)).toBe(id);
    expect(prepaidOf(world)).toEqual({ balance: 700n });
    bind(world, id, 1);
    deliver(world, id, 1);
    const sums = world.must(market, ORDERS_CONTRACT, ordersMethods.settle, { order: id, fence: 1 });
    expect(sums).toEqual({ paid: 120n, refunded: 180n });
    expect(world.balanceOf(provider.account)).toBe(1_000_120n);
    expect(prepaidOf(world)).toEqual({ balance: 880n });
    expect(recordOf(world, id)).toMatchObject({ state: 'settled', escrow: 0n, paid: 120n });
  });

  it('reports each transition in an event', () => {
    const { world, order, id } = setUp();
    const { place: method } = ordersMethods;
    const outcome = world.call(
      market.account,
      ORDERS_CONTRACT,
      method,
      world.signOrder(order, consumer),
    );
    const placed = outcome.events.map((event) => readEvent(ordersEvents.placed, event));
    expect(placed).toEqual([
      {
        order: id,
        market: market.account,
        consumer: consumer.account,
        priceCap: 300n,
        completeByUs: order.completeByUs,
      },
    ]);
  });

  it('stands in the index of its market’s open orders until it ends', () => {
    const { world, order, id } = setUp();
    place(world, order);
    const open = () => world.scan(ORDERS_CONTRACT, ordersKeys.openOf(market.account));
    expect(open()).toHaveLength(1);
    expect(open()[0]?.[0]).toEqual(ordersKeys.open(market.account, id));
    const { completeByUs } = order;
    expect(decodeWith(openOrder, open()[0]?.[1] as Uint8Array)).toEqual({ completeByUs });
    world.must(consumer, ORDERS_CONTRACT, ordersMethods.cancel, { order: id });
    expect(open()).toHaveLength(0);
  });
});

describe('resent calls get a stable code and change nothing', () => {
  it('ORDERS_EXISTS for a placed order, ended or not', () => {
    const { world, order, id } = setUp();
    const again = () =>
      world.refusal(market, ORDERS_CONTRACT, ordersMethods.place, world.signOrder(order, consumer));
    place(world, order);
    expect(again()).toBe('ORDERS_EXISTS');
    world.must(market, ORDERS_CONTRACT, ordersMethods.cancel, { order: id });
    world.advance(10_000);
    expect(again()).toBe('ORDERS_EXISTS');
  });

  it('ORDERS_ALREADY_DELIVERED for the same delivery, also after it was settled', () => {
    const { world, order, id } = setUp();
    place(world, order);
    bind(world, id, 1);
    deliver(world, id, 1);
    const again = () =>
      world.refusal(other, ORDERS_CONTRACT, ordersMethods.deliver, signedDelivery(world, id, 1));
    expect(again()).toBe('ORDERS_ALREADY_DELIVERED');
    world.must(market, ORDERS_CONTRACT, ordersMethods.settle, { order: id, fence: 1 });
    expect(again()).toBe('ORDERS_ALREADY_DELIVERED');
    const changed = signedDelivery(world, id, 1, 121n);
    expect(world.refusal(other, ORDERS_CONTRACT, ordersMethods.deliver, changed)).toBe(
      'ORDERS_STATE',
    );
  });
});

describe('exact times', () => {
  it('an order is placed at placeByUs and not a microsecond later', () => {
    for (const [late, wanted] of [
      [0, 'nothing refused'],
      [1, 'ORDERS_EXPIRED'],
    ] as const) {
      const { world, order } = setUp();
      world.advance(100 + late);
      const signed = world.signOrder(order, consumer);
      expect(world.refusal(market, ORDERS_CONTRACT, ordersMethods.place, signed)).toBe(wanted);
    }
  });

  it('an unbound order is refundable from completeByUs on, and not bindable from then on', () => {
    const { world, order, id } = setUp();
    place(world, order);
    world.advance(999);
    const refund = () => world.refusal(other, ORDERS_CONTRACT, ordersMethods.refund, { order: id });
    expect(refund()).toBe('ORDERS_NOT_DUE');
    world.advance(1);
    const late = { order: id, provider: provider.account, price: 1n, fence: 1 };
    expect(world.refusal(market, ORDERS_CONTRACT, ordersMethods.bind, late)).toBe('ORDERS_EXPIRED');
    expect(refund()).toBe('nothing refused');
    expect(prepaidOf(world)).toEqual({ balance: 1_000n });
  });

  it('a bound order takes deliveries before completeByUs + grace and refunds from then on', () => {
    for (const [wait, delivered, refunded] of [
      [1_049, 'nothing refused', 'ORDERS_STATE'],
      [1_050, 'ORDERS_EXPIRED', 'nothing refused'],
    ] as const) {
      const { world, order, id } = setUp();
      place(world, order);
      bind(world, id, 1);
      world.advance(1_000);
      const refund = () =>
        world.refusal(other, ORDERS_CONTRACT, ordersMethods.refund, { order: id });
      expect(refund()).toBe('ORDERS_NOT_DUE');
      world.advance(wait - 1_000);
      const signed = signedDelivery(world, id, 1);
      expect(world.refusal(other, ORDERS_CONTRACT, ordersMethods.deliver, signed)).toBe(delivered);
      expect(refund()).toBe(refunded);
    }
  });

  it('others settle, and the market no longer rejects, from the end of the window on', () => {
    const { world, order, id } = setUp();
    place(world, order);
    bind(world, id, 1);
    deliver(world, id, 1);
    world.advance(199);
    const settle = () =>
      world.refusal(provider, ORDERS_CONTRACT, ordersMethods.settle, { order: id, fence: 1 });
    expect(settle()).toBe('ORDERS_NOT_PARTY');
    world.advance(1);
    const reject = { order: id, fence: 1, reason: 'late' };
    expect(world.refusal(market, ORDERS_CONTRACT, ordersMethods.reject, reject)).toBe(
      'ORDERS_WINDOW_OVER',
    );
    expect(settle()).toBe('nothing refused');
  });

  it('refuses times that do not fit: place after complete, longer than the chain allows', () => {
    const { world, order } = setUp();
    const refusal = (change: Partial<Order>) =>
      world.refusal(
        market,
        ORDERS_CONTRACT,
        ordersMethods.place,
        world.signOrder({ ...order, ...change }, consumer),
      );
    expect(refusal({ placeByUs: order.completeByUs + 1 })).toBe('ORDERS_TIMES');
    expect(refusal({ completeByUs: world.timeUs + 5_001 })).toBe('ORDERS_TIMES');
    expect(refusal({ completeByUs: Number.MAX_SAFE_INTEGER })).toBe('ORDERS_TIMES');
    expect(refusal({ completeByUs: world.timeUs + 5_000 })).toBe('nothing refused');
  });
});

describe('a stale lease', () => {
  it('delivers nothing once the order was bound again, even to the same provider', () => {
    const { world, order, id } = setUp();
    place(world, order);
    bind(world, id, 1);
    bind(world, id, 2);
    const stale = signedDelivery(world, id, 1);
    expect(world.refusal(other, ORDERS_CONTRACT, ordersMethods.deliver, stale)).toBe(
      'ORDERS_FENCE_STALE',
    );
    deliver(world, id, 2);
    expect(recordOf(world, id)).toMatchObject({ state: 'delivered', fence: 2 });
  });

  it('a settlement meant for a rejected delivery does not pay the next one', () => {
    const { world, order, id } = setUp();
    place(world, order);
    bind(world, id, 1);
    deliver(world, id, 1);
    const reject = { order: id, fence: 1, reason: 'hash-mismatch' };
    world.must(market, ORDERS_CONTRACT, ordersMethods.reject, reject);
    expect(recordOf(world, id)).toMatchObject({ state: 'placed', rejections: 1, fence: 1 });
    bind(world, id, 2);
    deliver(world, id, 2);
    expect(
      world.refusal(consumer, ORDERS_CONTRACT, ordersMethods.settle, { order: id, fence: 1 }),
    ).toBe('ORDERS_FENCE_STALE');
  });
});

describe('a rejected delivery', () => {
  it('after completeByUs ends the order in a refund: nobody could redo the work in time', () => {
    const { world, order, id } = setUp();
    place(world, order);
    bind(world, id, 1);
    world.advance(999);
    deliver(world, id, 1);
    world.advance(1);
    const reject = { order: id, fence: 1, reason: 'hash-mismatch' };
    world.must(market, ORDERS_CONTRACT, ordersMethods.reject, reject);
    expect(recordOf(world, id)).toMatchObject({ state: 'refunded', refunded: 300n, rejections: 1 });
    expect(prepaidOf(world)).toEqual({ balance: 1_000n });
    expect(world.balanceOf(provider.account)).toBe(1_000_000n);
  });
});

describe('prepaid money', () => {
  it('keeps covering orders while a withdrawal waits, and pays out what is left', () => {
    const { world, order } = setUp();
    const { requestWithdrawal, withdraw } = ordersMethods;
    world.must(consumer, ORDERS_CONTRACT, requestWithdrawal, { amount: 900n });
    place(world, order);
    expect(world.refusal(consumer, ORDERS_CONTRACT, withdraw, {})).toBe('ORDERS_WITHDRAWAL_EARLY');
    world.advance(100);
    expect(world.must(consumer, ORDERS_CONTRACT, withdraw, {})).toEqual({ amount: 700n });
    expect(prepaidOf(world)).toBeUndefined();
    expect(world.balanceOf(ordersAccount)).toBe(300n);
  });

  it('asking again replaces the first request and restarts its delay', () => {
    const { world } = setUp();
    const { requestWithdrawal, withdraw } = ordersMethods;
    world.must(consumer, ORDERS_CONTRACT, requestWithdrawal, { amount: 900n });
    world.advance(60);
    world.must(consumer, ORDERS_CONTRACT, requestWithdrawal, { amount: 100n });
    world.advance(60);
    expect(world.refusal(consumer, ORDERS_CONTRACT, withdraw, {})).toBe('ORDERS_WITHDRAWAL_EARLY');
    world.advance(40);
    expect(world.must(consumer, ORDERS_CONTRACT, withdraw, {})).toEqual({ amount: 100n });
  });

  it('covers an order only as far as no withdrawal matures before it is placed', () => {
    expect(prepaidCover(undefined, 5)).toBe(0n);
    expect(prepaidCover({ balance: 9n }, 5)).toBe(9n);
    const asked = { balance: 9n, withdrawal: { amount: 4n, availableAtUs: 6 } };
    expect(prepaidCover(asked, 5)).toBe(9n);
    expect(prepaidCover(asked, 6)).toBe(5n);
    expect(prepaidCover({ ...asked, balance: 3n }, 6)).toBe(0n);
  });

  it('can be paid in for somebody else', () => {
    const { world } = setUp();
    const args = { account: consumer.account, amount: 5n };
    expect(world.must(other, ORDERS_CONTRACT, ordersMethods.deposit, args)).toBe(1_005n);
    expect(world.balanceOf(other.account)).toBe(999_995n);
  });
});

describe('wrong documents', () => {
  it('refuses an unknown order, another chain, a foreign signature, an uncovered cap', () => {
    const { world, order } = setUp();
    const refusal = (change: Partial<Order>, signer = consumer) =>
      world.refusal(
        market,
        ORDERS_CONTRACT,
        ordersMethods.place,
        world.signOrder({ ...order, ...change }, signer),
      );
    expect(refusal({ chain: 'ab'.repeat(32) })).toBe('ORDERS_WRONG_CHAIN');
    expect(refusal({}, other)).toBe('ORDERS_SIGNATURE');
    expect(refusal({ priceCap: 1_001n })).toBe('ORDERS_PREPAID_TOO_LOW');
    expect(refusal({ priceCap: AMOUNT_MAX * 2n })).toBe('ORDERS_PREPAID_TOO_LOW');
    expect(refusal({ market: other.account })).toBe('ORDERS_NOT_MARKET');
    const unknown = { order: 'ff'.repeat(32) };
    expect(world.refusal(other, ORDERS_CONTRACT, ordersMethods.refund, unknown)).toBe(
      'ORDERS_UNKNOWN',
    );
  });

  it('refuses a changed document under the old signature', () => {
    const { world, order } = setUp();
    const signed = world.signOrder(order, consumer);
    const changed = { ...signed, order: { ...order, priceCap: 301n } };
    expect(world.refusal(market, ORDERS_CONTRACT, ordersMethods.place, changed)).toBe(
      'ORDERS_SIGNATURE',
    );
  });

  it('wants a result exactly when the exit is ok', () => {
    const { world, order, id } = setUp();
    place(world, order);
    bind(world, id, 1);
    const { chain } = world;
    const failed = deliveryOf({
      chain,
      order: id,
      provider: provider.account,
      fence: 1,
      charge: 9n,
      exit: 'guest-error',
    });
    const refusal = (document: typeof failed) =>
      world.refusal(
        other,
        ORDERS_CONTRACT,
        ordersMethods.deliver,
        world.signDelivery(document, provider),
      );
    expect(refusal({ ...failed, result: MANIFEST })).toBe('ORDERS_RESULT');
    expect(refusal({ ...failed, exit: 'ok' })).toBe('ORDERS_RESULT');
    expect(refusal(failed)).toBe('nothing refused');
  });
});

describe('the contract’s own account', () => {
  it('takes no plain transfer, so its balance is exactly what it owes', () => {
    const { world } = setUp();
    const args = { to: ordersAccount, amount: 1n };
    expect(world.refusal(other, TOKEN_CONTRACT, tokenMethods.transfer, args)).toBe(
      'TOKEN_RECIPIENT_CONTRACT',
    );
  });

  it('lists every setting with its default', () => {
    expect(ordersSettings.defaults.map(({ name }) => name)).toEqual([
      'orders.withdrawalDelayUs',
      'orders.settleWindowUs',
      'orders.deliveryGraceUs',
      'orders.maxDurationUs',
    ]);
  });
});
