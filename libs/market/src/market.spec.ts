import { DELIVERY_DOMAIN, type Delivery, type SignedDelivery, deliveryBytes } from '#contracts';
import { LOG_START } from '#libs/audit';
import { deliveryHash } from './delivery-hash.ts';
import type { MarketEffect } from './model/effects.ts';
import { chargeFor, priceAtLimits } from './pricing.ts';
import {
  CHAIN,
  Driver,
  SOME_CID,
  configOf,
  fact,
  manifestWith,
  offerOf,
  only,
  replyIn,
  signerOf,
} from './testing/driver.ts';

const manifest = manifestWith();

/** A market with one provider and one accepted order. */
function accepted(driver = new Driver()): { driver: Driver; id: string } {
  driver.join('p1');
  const reply = driver.submit(driver.order(manifest), manifest);
  if (reply.is !== 'order') throw new Error(JSON.stringify(reply));
  return { driver, id: reply.view.id };
}

const due = (driver: Driver, id: string): readonly MarketEffect[] => {
  const binding = driver.market.orders.get(id)?.binding ?? 0;
  return driver.apply({ kind: 'bindingDue', request: 'q', order: id, binding });
};

function leased(): { driver: Driver; id: string; lease: string } {
  const { driver, id } = accepted();
  const [sent] = only(due(driver, id), 'sendAgent');
  if (sent?.message.kind !== 'lease') throw new Error('no lease');
  return { driver, id, lease: sent.message.lease };
}

function deliveryOf(driver: Driver, id: string, change: Partial<Delivery> = {}): SignedDelivery {
  const row = driver.market.orders.get(id);
  const signer = signerOf('p1');
  const used = { cpuMs: 1000, wallMs: 1000 };
  const limits = manifest.limits;
  const price = priceAtLimits(offerOf('p1'), limits);
  const delivery: Delivery = {
    chain: CHAIN,
    order: id,
    provider: signer.account,
    fence: row?.fence ?? 0,
    exit: 'ok',
    result: SOME_CID,
    usage: { ...used, peakMemoryBytes: 1, inputBytes: 0, outputBytes: 10 },
    charge: chargeFor(offerOf('p1'), limits, used, price),
    logLength: row?.log.length ?? 0,
    logHead: row?.log.head ?? LOG_START,
    ...change,
  };
  const signature = signer.sign(DELIVERY_DOMAIN, deliveryBytes(delivery));
  return { delivery, publicKey: signer.publicKey, signature };
}

const code = (driver: Driver, ...args: Parameters<Driver['submit']>): string => {
  const reply = driver.submit(...args);
  return reply.is === 'refused' ? reply.code : reply.is;
};

describe('taking orders on', () => {
  test('a valid order is stored, queued, sent to the chain and answered', () => {
    const driver = new Driver();
    driver.join('p1');
    const order = driver.order(manifest);
    const effects = driver.apply({
      kind: 'submitOrder',
      request: 'r1',
      order,
      manifest,
      balance: { amount: 10_000_000n, height: 0 },
    });
    expect(effects.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(['save', 'reply', 'enqueueBinding', 'submitTransaction', 'jobEvent']),
    );
    expect(only(effects, 'submitTransaction')[0]?.key).toMatch(/^place\//);
    expect(only(effects, 'enqueueBinding')[0]?.queue).toBe('public.eco');
  });

  test('the same order again is the same order, even when money is short by now', () => {
    const { driver, id } = accepted();
    const known = driver.market.orders.get(id)?.signed;
    if (!known) throw new Error('gone');
    const reply = driver.submit(known, manifest, 0n);
    expect(reply).toMatchObject({ is: 'order', repeated: true, view: { id } });
    expect(driver.market.orders.size).toBe(1);
  });

  test('what must be refused is refused with its own code', () => {
    const driver = new Driver();
    const order = (change = {}) => driver.order(manifest, change);
    expect(code(driver, order(), manifest)).toBe('MARKET_NOTHING_FITS');
    driver.join('p1');
    const forged = { ...order(), signature: new Uint8Array(32) };
    expect(code(driver, forged, manifest)).toBe('MARKET_ORDER_SIGNATURE');
    expect(code(driver, order({ chain: '22'.repeat(32) }), manifest)).toBe('MARKET_ORDER_FOREIGN');
    expect(code(driver, order({ placeByUs: driver.nowUs }), manifest)).toBe('MARKET_ORDER_EXPIRED');
    expect(code(driver, order({ completeByUs: driver.nowUs + 1e6 }), manifest)).toBe(
      'MARKET_ORDER_DATES',
    );
    expect(code(driver, order(), manifestWith({ name: 'other' }))).toBe('MARKET_MANIFEST_MISMATCH');
    expect(code(driver, order({ priceCap: 1n }), manifest)).toBe('MARKET_CAP_TOO_LOW');
    const strict = manifestWith({ minIsolation: 'S4' });
    expect(code(driver, driver.order(strict), strict)).toBe('MARKET_NOTHING_FITS');
    const metered = manifestWith({ kind: 'verifiable', metering: { fuel: 5n } });
    expect(code(driver, driver.order(metered), metered)).toBe('MARKET_NOTHING_FITS');
    const contradiction = manifestWith({ metering: { fuel: 5n } });
    expect(code(driver, driver.order(contradiction), contradiction)).toBe(
      'MARKET_MANIFEST_INVALID',
    );
  });

  test('accepted orders that no block has placed yet count against the balance', () => {
    const driver = new Driver();
    driver.join('p1');
    const first = driver.submit(driver.order(manifest), manifest, 1_500_000n);
    expect(first.is).toBe('order');
    expect(code(driver, driver.order(manifest), manifest, 1_500_000n)).toBe(
      'MARKET_BALANCE_TOO_LOW',
    );
    if (first.is === 'order') driver.block([fact(first.view.id, 'placed')]);
    // Read before the block: the money is still in it. Read after: it is not.
    expect(code(driver, driver.order(manifest), manifest, 1_500_000n, 0)).toBe(
      'MARKET_BALANCE_TOO_LOW',
    );
    expect(code(driver, driver.order(manifest), manifest, 1_500_000n, 1)).toBe('order');
  });

  test('admission is capped, per account and in all', () => {
    const caps = { ...configOf().caps, openOrdersPerConsumer: 1, openOrders: 2 };
    const driver = new Driver(configOf({ caps }));
    driver.join('p1');
    const as = (name: string) => code(driver, driver.order(manifest, {}, signerOf(name)), manifest);
    expect([as('ann'), as('ann'), as('bob'), as('cyd')]).toEqual([
      'order',
      'MARKET_CONSUMER_BUSY',
      'order',
      'MARKET_OVERLOADED',
    ]);
  });
});

describe('leases', () => {
  test('only the newest binding message counts, and it counts once', () => {
    const { driver, id } = accepted();
    const old = driver.apply({ kind: 'bindingDue', request: 'q', order: id, binding: 0 });
    expect(only(old, 'sendAgent')).toEqual([]);
    expect(only(due(driver, id), 'sendAgent')).toHaveLength(1);
    expect(only(due(driver, id), 'sendAgent')).toEqual([]);
  });

  test('a lost binding message is sent again', () => {
    const { driver } = accepted();
    expect(only(driver.wait(6000), 'enqueueBinding')).toHaveLength(1);
  });

  test('heartbeats keep a lease; silence loses it and the fence rises', () => {
    const { driver, id, lease } = leased();
    driver.say('p1', { kind: 'accept', lease });
    for (let i = 0; i < 5; i++) {
      driver.nowMs += 10_000;
      driver.say('p1', { kind: 'heartbeat', freeSlots: 0, leases: [lease] });
    }
    expect(driver.market.orders.get(id)?.work).toBe('leased');
    driver.wait(16_000);
    expect(driver.market.orders.get(id)).toMatchObject({ work: 'queued', fence: 1, faults: 1 });
    driver.wait(500);
    expect(only(due(driver, id), 'sendAgent').at(-1)?.message).toMatchObject({ fence: 2 });
    const stale = driver.say('p1', { kind: 'deliver', lease, delivery: deliveryOf(driver, id) });
    expect(only(stale, 'sendAgent')[0]?.message).toMatchObject({
      kind: 'delivered',
      accepted: 'no',
    });
  });

  test('an order that every provider fails is given up and its money asked back', () => {
    const { driver, id } = accepted();
    driver.block([fact(id, 'placed')]);
    for (let i = 0; i < 5; i++) {
      due(driver, id);
      const lease = driver.market.orders.get(id)?.lease?.lease ?? '';
      driver.say('p1', { kind: 'accept', lease });
      driver.say('p1', {
        kind: 'deliver',
        lease,
        delivery: deliveryOf(driver, id, { exit: 'crash', result: undefined, charge: 0n }),
      });
      driver.wait(10_000);
    }
    expect(driver.market.orders.get(id)).toMatchObject({
      work: 'failed',
      reason: { code: 'MARKET_GIVEN_UP' },
    });
    driver.block([]);
    expect([...driver.market.transactions.keys()].join()).toContain(`cancel/${id}`);
  });
});

describe('deliveries', () => {
  test('of a metered job carry its fuel, those of a js job do not', () => {
    const hash = 'ab'.repeat(32);
    const metered = {
      ...{ engine: hash, fuel: 5n, checkpoints: 0, checkpointsRoot: hash },
      ...{ outputChain: hash, outputBytes: 10 },
    };
    const verifiable = manifestWith({ kind: 'verifiable', metering: { fuel: 5n } });
    const answerTo = (job: typeof manifest, change: Partial<Delivery>) => {
      const driver = new Driver();
      driver.join('p1', { kinds: ['js', 'verifiable'] });
      const reply = driver.submit(driver.order(job), job);
      if (reply.is !== 'order') throw new Error(JSON.stringify(reply));
      const { id } = reply.view;
      due(driver, id);
      const lease = driver.market.orders.get(id)?.lease?.lease ?? '';
      const delivery = deliveryOf(driver, id, change);
      const effects = driver.say('p1', { kind: 'deliver', lease, delivery });
      return only(effects, 'checkResult').length > 0 ? 'looked at' : 'refused';
    };
    expect(answerTo(manifest, {})).toBe('looked at');
    expect(answerTo(manifest, { metered })).toBe('refused');
    expect(answerTo(verifiable, { metered })).toBe('looked at');
    expect(answerTo(verifiable, {})).toBe('refused');
  });

  test('are accepted once their result was seen, and acknowledged again when asked again', () => {
    const { driver, id, lease } = leased();
    const delivery = deliveryOf(driver, id);
    const taken = driver.say('p1', { kind: 'deliver', lease, delivery });
    expect(only(taken, 'checkResult')[0]).toMatchObject({ order: id, cid: SOME_CID });
    expect(only(taken, 'sendAgent')).toEqual([]);
    const outcome = { is: 'good', sizeBytes: 10 } as const;
    const checked = driver.apply({ kind: 'resultChecked', order: id, fence: 1, outcome });
    const yes = { kind: 'delivered', accepted: 'yes' };
    expect(only(checked, 'sendAgent')[0]?.message).toMatchObject(yes);
    const again = driver.say('p1', { kind: 'deliver', lease, delivery });
    expect(only(again, 'sendAgent')[0]?.message).toMatchObject(yes);
    expect(driver.market.orders.get(id)?.work).toBe('done');
  });

  test("the guest's own failure needs no result and is charged", () => {
    const { driver, id, lease } = leased();
    const delivery = deliveryOf(driver, id, { exit: 'guest-error', result: undefined });
    driver.say('p1', { kind: 'deliver', lease, delivery });
    expect(driver.market.orders.get(id)?.work).toBe('done');
  });

  test.each([
    ['a charge above the use', { charge: 999_999n }],
    ['a result of another fence', { fence: 7 }],
    ['another job’s', { order: '33'.repeat(32) }],
    ['ok without a result', { result: undefined }],
    ['another log', { logHead: '44'.repeat(32) }],
  ])('%s is the provider’s fault', (_what, change) => {
    const { driver, id, lease } = leased();
    driver.say('p1', { kind: 'deliver', lease, delivery: deliveryOf(driver, id, change) });
    expect(driver.market.orders.get(id)).toMatchObject({ work: 'queued', faults: 1 });
  });

  test('money moves place → bind → deliver → settle, each step after the block of the one before', () => {
    const { driver, id, lease } = leased();
    const provider = signerOf('p1').account;
    const key = () => [...driver.market.transactions.keys()].find((k) => !k.startsWith('anchor'));
    const delivery = deliveryOf(driver, id, { exit: 'guest-error', result: undefined });
    driver.say('p1', { kind: 'deliver', lease, delivery });
    expect(key()).toBe(`place/${id}`);
    driver.block([fact(id, 'placed')]);
    expect(key()).toBe(`bind/${id}/1`);
    driver.block([fact(id, 'bound', 1, { provider })]);
    expect(key()).toBe(`deliver/${id}/1`);
    const hash = deliveryHash(delivery.delivery);
    driver.block([fact(id, 'delivered', 1, { provider, delivery: hash })]);
    expect(key()).toBe(`settle/${id}/1`);
    driver.block([fact(id, 'settled', 1, { provider, paid: 5n, refunded: 999_995n })]);
    expect(driver.market.orders.get(id)?.endedAtUs).toBe(driver.nowUs);
    expect(driver.market.openOrders).toBe(0);
  });
});

describe('a provider that gives the chain another delivery than the market', () => {
  test('is not paid: the chain’s is rejected and the money goes back', () => {
    const { driver, id, lease } = leased();
    const provider = signerOf('p1').account;
    const honest = deliveryOf(driver, id, { exit: 'guest-error', result: undefined });
    driver.say('p1', { kind: 'deliver', lease, delivery: honest });
    driver.block([fact(id, 'placed')]);
    const dearer = deliveryHash({ ...honest.delivery, charge: honest.delivery.charge + 1n });
    driver.block([
      fact(id, 'bound', 1, { provider }),
      fact(id, 'delivered', 1, { provider, delivery: dearer }),
    ]);
    const keys = [...driver.market.transactions.keys()].join(' ');
    expect(keys).toContain(`reject/${id}/1`);
    expect(keys).not.toContain('settle');
    driver.block([fact(id, 'rejected', 1, { provider })]);
    expect([...driver.market.transactions.keys()].join(' ')).toContain(`cancel/${id}`);
  });
});

describe('restarts', () => {
  test('rows alone bring back everything unfinished, with the very same transaction', () => {
    const { driver, id } = accepted();
    const before = [...driver.market.transactions.values()].map(({ row }) => row);
    const effects = driver.restart();
    expect(only(effects, 'submitTransaction').map((e) => e.id)).toEqual(before.map((r) => r.id));
    expect(only(effects, 'enqueueBinding')[0]?.order).toBe(id);
    expect(only(effects, 'followChain')[0]?.fromHeight).toBe(1);
  });

  test('a lease outlives the market’s restart, and a delivery waits for its check again', () => {
    const { driver, id, lease } = leased();
    driver.restart();
    driver.apply({
      kind: 'agentHello',
      session: 'p1',
      publicKey: signerOf('p1').publicKey,
      offer: offerOf('p1'),
      leases: [{ lease, fence: 1 }],
    });
    driver.say('p1', { kind: 'deliver', lease, delivery: deliveryOf(driver, id) });
    expect(only(driver.restart(), 'checkResult')[0]?.order).toBe(id);
  });

  test('a reverted placing ends the order without a chain record', () => {
    const { driver, id } = accepted();
    driver.block([], 'ORDERS_PREPAID_TOO_LOW');
    expect(driver.market.orders.get(id)).toMatchObject({
      work: 'rejected',
      chain: { state: 'none' },
    });
    expect(driver.market.orders.get(id)?.endedAtUs).toBeDefined();
  });

  test('an ended, anchored order leaves memory and may not be submitted again', () => {
    const { driver, id } = accepted();
    const signed = driver.market.orders.get(id)?.signed;
    const ann = signerOf('ann').account;
    driver.block([fact(id, 'placed')]);
    replyIn(driver.apply({ kind: 'cancelOrder', request: 'c', order: id, by: ann }));
    driver.block([fact(id, 'cancelled', 0, { refunded: 1_000_000n })]);
    driver.wait(1000);
    driver.block([]);
    driver.wait(200_000);
    expect(driver.market.orders.size).toBe(0);
    if (signed) expect(code(driver, signed, manifest)).toBe('MARKET_ORDER_EXPIRED');
  });
});
