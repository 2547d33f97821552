import { type Delivery, type SignedDelivery, type SignedOrder, orderId } from '#contracts';
import { LOG_START } from '#libs/audit';
import { createLogTree, frontierRoot } from '#libs/merkle';
import { deliveryHash } from './delivery-hash.ts';
import type { MarketEffect } from './model/effects.ts';
import type { OrderFact } from './model/events.ts';
import { LOST_LEAF, uniformFrontier } from './rebuild.ts';
import {
  blockHash,
  CHAIN,
  Driver,
  SOME_CID,
  fact,
  manifestWith,
  only,
  signerOf,
} from './testing/driver.ts';
import { viewOf } from './views.ts';

const manifest = manifestWith();
const provider = signerOf('p1').account;
const FENCE = 3;

const placed = (signed: SignedOrder): OrderFact =>
  fact(orderId(signed.order), 'placed', 0, { signed });
const bound = (id: string): OrderFact => fact(id, 'bound', FENCE, { provider, price: 500_000n });

function delivered(id: string, change: Partial<Delivery> = {}): OrderFact {
  const delivery: Delivery = {
    ...{ chain: CHAIN, order: id, provider, fence: FENCE, exit: 'ok', result: SOME_CID },
    usage: { cpuMs: 1, wallMs: 1, peakMemoryBytes: 1, inputBytes: 0, outputBytes: 1 },
    ...{ charge: 7n, logLength: 9, logHead: LOG_START },
    ...change,
  };
  const signedDelivery: SignedDelivery = {
    ...{ delivery, publicKey: signerOf('p1').publicKey, signature: new Uint8Array(32) },
  };
  return fact(id, 'delivered', FENCE, {
    provider,
    delivery: deliveryHash(delivery),
    signedDelivery,
  });
}

/** A market without rows over a chain with these blocks. */
function rebuilt(blocks: (id: string) => readonly OrderFact[][], driver = new Driver()) {
  const signed = driver.order(manifest);
  const id = orderId(signed.order);
  const history = [[placed(signed)], ...blocks(id)];
  driver.rebuild(history.length);
  const effects: MarketEffect[] = [];
  for (const [i, orders] of history.entries()) {
    const at = { height: i + 1, timeUs: driver.nowUs };
    effects.push(
      ...driver.apply({
        kind: 'block',
        hash: blockHash(0),
        ...at,
        orders,
        own: [],
        anchored: 40 + i,
      }),
    );
  }
  driver.apply({ kind: 'nonceRead', nonce: 12, height: history.length });
  return { driver, signed, id, effects };
}

const found = (driver: Driver, order: string) =>
  driver.apply({ kind: 'manifestFound', order, outcome: { is: 'good', manifest } });
const keys = (driver: Driver): string =>
  [...driver.market.transactions.keys()].filter((key) => !key.startsWith('anchor/')).join(' ');

describe('a market whose rows are lost', () => {
  test('takes no order on before it has read what the chain knows', () => {
    const driver = new Driver();
    driver.rebuild(2);
    driver.join('p1');
    const block = (height: number) => {
      const at = { height, timeUs: driver.nowUs };
      return driver.apply({ kind: 'block', hash: blockHash(0), ...at, orders: [], own: [] });
    };
    block(1);
    const code = () => {
      const reply = driver.submit(driver.order(manifest), manifest);
      return reply.is === 'refused' ? `${reply.code}: ${reply.message}` : reply.is;
    };
    expect(code()).toBe('MARKET_REBUILDING: block 1 of 2 is read');
    driver.restart();
    driver.join('p1');
    expect(code()).toContain('MARKET_REBUILDING');
    block(2);
    expect(code()).toBe('order');
  });

  test.each(['placed', 'bound'])('does the work of an order that is %s again, once', (state) => {
    const { driver, id, effects } = rebuilt((order) => (state === 'bound' ? [[bound(order)]] : []));
    expect(only(effects, 'findManifest')).toMatchObject([{ order: id, cid: expect.any(String) }]);
    expect(keys(driver)).toBe('');
    driver.join('p1');
    expect(only(found(driver, id), 'enqueueBinding')).toHaveLength(1);
    expect(only(found(driver, id), 'enqueueBinding')).toEqual([]);
    const binding = driver.market.orders.get(id)?.binding ?? 0;
    const [sent] = only(
      driver.apply({ kind: 'bindingDue', request: 'q', order: id, binding }),
      'sendAgent',
    );
    // Above every lease that somebody may still hold from before.
    const fence = (state === 'bound' ? FENCE : 0) + 1_000_001;
    expect(sent?.message).toMatchObject({ kind: 'lease', fence, log: { length: 3 } });
    expect(keys(driver)).toBe(`bind/${id}/${fence}`);
    expect(driver.market.orders.get(id)).toMatchObject({ work: 'leased' });
    expect(driver.market.orders.get(id)).not.toHaveProperty('logLost');
    expect(viewOf(driver.market.orders.get(id) as never)).toMatchObject({
      attempts: fence % 1_000_000,
    });
  });

  test('settles a delivery that the chain has once its result was seen, and only then', () => {
    const { driver, id } = rebuilt((order) => [[bound(order)], [delivered(order)]]);
    const checks = only(found(driver, id), 'checkResult');
    expect(checks).toMatchObject([
      { order: id, fence: FENCE, maxBytes: manifest.limits.outputBytes },
    ]);
    expect(keys(driver)).toBe('');
    // A restart in between changes nothing, though no provider has come back yet.
    expect(only(driver.restart(), 'checkResult')).toHaveLength(1);
    driver.apply({ kind: 'nonceRead', nonce: 12, height: 3 });
    const outcome = { is: 'good', sizeBytes: 5 } as const;
    driver.apply({ kind: 'resultChecked', order: id, fence: FENCE, outcome });
    expect(keys(driver)).toBe(`settle/${id}/${FENCE}`);
    driver.block([fact(id, 'settled', FENCE, { provider, paid: 7n, refunded: 999_993n })]);
    expect(driver.market.orders.get(id)).toMatchObject({ work: 'done', logLost: true });
    expect(driver.market.orders.get(id)?.endedAtUs).toBeDefined();
  });

  test('settles a delivery in time although it comes back after the order’s time', () => {
    const { driver, id } = rebuilt((order) => [[bound(order)], [delivered(order)]]);
    driver.wait(200_000);
    expect(keys(driver)).toBe('');
    found(driver, id);
    driver.wait(60_000);
    const outcome = { is: 'good', sizeBytes: 5 } as const;
    driver.apply({ kind: 'resultChecked', order: id, fence: FENCE, outcome });
    expect(keys(driver)).toBe(`settle/${id}/${FENCE}`);
  });

  test('rejects a delivery whose result is gone or that only a host can have caused', () => {
    const crashed = rebuilt((order) => [
      [bound(order)],
      [delivered(order, { exit: 'crash', result: undefined })],
    ]);
    found(crashed.driver, crashed.id);
    expect(keys(crashed.driver)).toBe(`reject/${crashed.id}/${FENCE}`);
    const { driver, id } = rebuilt((order) => [[bound(order)], [delivered(order)]]);
    found(driver, id);
    const outcome = { is: 'missing' } as const;
    driver.apply({ kind: 'resultChecked', order: id, fence: FENCE, outcome });
    driver.nowMs += 20_000;
    driver.apply({ kind: 'resultChecked', order: id, fence: FENCE, outcome });
    expect(keys(driver)).toBe(`reject/${id}/${FENCE}`);
  });

  test('gives an order back whose manifest is gone, or whose time is over', () => {
    const { driver, id } = rebuilt(() => []);
    const missing = { kind: 'manifestFound', order: id, outcome: { is: 'missing' } } as const;
    driver.apply(missing);
    expect(keys(driver)).toBe('');
    driver.nowMs += 20_000;
    driver.apply(missing);
    expect(keys(driver)).toBe(`cancel/${id}`);
    expect(driver.market.orders.get(id)?.reason?.code).toBe('MARKET_MANIFEST_LOST');
    const late = rebuilt((order) => [[bound(order)]]);
    late.driver.wait(200_000);
    expect(keys(late.driver)).toBe(`cancel/${late.id}`);
  });

  test('keeps ended orders as rows, with who was paid, and starts nothing for them', () => {
    const { driver, id, effects } = rebuilt((order) => [
      [bound(order)],
      [delivered(order)],
      [fact(order, 'settled', FENCE, { provider, paid: 7n, refunded: 999_993n })],
    ]);
    expect(only(effects, 'findManifest')).toEqual([]);
    expect(viewOf(driver.market.orders.get(id) as never)).toMatchObject({
      ...{ status: 'settled', result: SOME_CID, provider, charge: 7n, logLost: true },
    });
    expect(driver.market.openOrders).toBe(0);
    expect(driver.rows.has(`order/${id}`)).toBe(true);
    driver.wait(200_000);
    expect(driver.market.orders.size).toBe(0);
  });

  test('anchors above every size that may be on its way, from a log that says what was lost', () => {
    const { driver, id } = rebuilt(() => []);
    const size = 40 + 65_536;
    expect(driver.market.meta).toMatchObject({ anchoredLeaves: size, lostLeaves: size });
    found(driver, id);
    driver.wait(1000);
    const anchor = [...driver.market.transactions.values()].map(({ row }) => row.call);
    expect(anchor).toMatchObject([{ kind: 'anchor', size: size + 1 }]);
  });

  test('an order that a late block places after all is taken up too', () => {
    const driver = new Driver();
    const signed = driver.order(manifest);
    driver.rebuild(1);
    driver.block([]);
    expect(only(driver.block([placed(signed)]), 'findManifest')).toHaveLength(1);
    expect(driver.market.orders.size).toBe(1);
  });
});

test('a log of equal leaves has the root that appending them one by one has', () => {
  for (const size of [0, 1, 2, 3, 7, 40, 65]) {
    const tree = createLogTree(Array.from({ length: size }, () => LOST_LEAF));
    const frontier = uniformFrontier(LOST_LEAF, size);
    expect(frontier).toEqual(tree.frontier());
    if (size > 0) expect(frontierRoot(frontier)).toBe(tree.root());
  }
});
