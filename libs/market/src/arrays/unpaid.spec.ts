/** What is accepted is paid, and what cannot be paid is not accepted, or taken back. */
import { type LeaseUnits, bindAll, checkAll, deliver } from '../testing/array-driver.ts';
import { deliveryOf, executeAll, submitArray, submitUnplaced } from '../testing/array-driver.ts';
import { blockHash, Driver, fact, only } from '../testing/driver.ts';
import type { MarketEffect } from '../model/effects.ts';
import type { OwnTransactionFact } from '../model/events.ts';

const MACHINE = { slots: 2, cores: 16, memoryBytes: 2 ** 36 };
/** `completeBy` of the driver's orders, and the market's grace for what the chain has bound. */
const COMPLETE_MS = 120_000;
const GRACE_MS = 15_000;

function joined(): Driver {
  const driver = new Driver();
  driver.join('p1', MACHINE);
  return driver;
}

const row = (driver: Driver, id: string) => {
  const order = driver.market.orders.get(id);
  if (!order?.array) throw new Error('no array');
  return { ...order.array, work: order.work, chain: order.chain.state, ended: order.endedAtUs };
};

const answers = (effects: readonly MarketEffect[]) =>
  only(effects, 'sendAgent').flatMap(({ message }) =>
    message.kind === 'delivered' ? [message.accepted] : [],
  );

const callsOf = (driver: Driver) =>
  [...driver.market.transactions.keys()].map((key) => key.split('/')[0]);

/** A block refuses every call under way of which the predicate says so; the others run in the next one. */
function refuseCalls(driver: Driver, kind: string, code: string): readonly MarketEffect[] {
  const own: OwnTransactionFact[] = [...driver.market.transactions.values()]
    .filter(({ row: { call } }) => call.kind === kind)
    .map(({ row: { id, nonce } }) => ({ id, nonce, ok: false, code }));
  const height = driver.market.meta.height + 1;
  return driver.apply({
    kind: 'block',
    hash: blockHash(0),
    height,
    timeUs: driver.nowUs,
    orders: [],
    own,
  });
}

/** The market is gone for a while; its rows are not. */
function away(driver: Driver, ms: number): readonly MarketEffect[] {
  driver.nowMs += ms;
  const effects = driver.restart();
  const { height } = driver.market.meta;
  const nonce = driver.market.nextNonce ?? 9;
  return [...effects, ...driver.apply({ kind: 'nonceRead', nonce, height })];
}

describe('batches and the money for them', () => {
  it('accepts nothing of an order before a block placed it', () => {
    const driver = joined();
    const id = submitUnplaced(driver, 100);
    const [lease] = bindAll(driver, id) as [LeaseUnits];
    expect(answers(deliver(driver, 'p1', lease))).toEqual([]);
    expect(row(driver, id)).toMatchObject({ done: 0, work: 'running' });
    // Its slot is free meanwhile.
    expect(driver.market.providers.get(lease && providerOf(driver, lease))?.batches.size).toBe(0);
    expect(answers(checkAll(driver, executeAll(driver)))).toEqual(['yes']);
    expect(row(driver, id)).toMatchObject({ done: 100, work: 'done' });
  });

  it('counts nothing of an order that the chain would not place', () => {
    const driver = joined();
    const id = submitUnplaced(driver, 100);
    const [lease] = bindAll(driver, id) as [LeaseUnits];
    deliver(driver, 'p1', lease);
    const effects = refuseCalls(driver, 'place', 'ORDERS_EXPIRED');
    expect(row(driver, id)).toMatchObject({ done: 0, charged: 0n, work: 'rejected' });
    expect(row(driver, id).ended).toBeDefined();
    const events = only(effects, 'jobEvent').map(({ event }) => event.kind);
    expect(events.at(-1)).toBe('rejected');
    expect(answers(driver.say('p1', deliveryOf('p1', lease)))).toEqual(['no']);
  });

  it('counts nothing of an order that was cancelled and never placed, and says so last', () => {
    const driver = joined();
    const id = submitUnplaced(driver, 100);
    const [lease] = bindAll(driver, id) as [LeaseUnits];
    deliver(driver, 'p1', lease);
    const by = driver.market.orders.get(id)?.signed.order.consumer ?? '';
    driver.apply({ kind: 'cancelOrder', request: 'c', order: id, by });
    // The chain never takes the placing, whatever is sent.
    driver.market.transactions.clear();
    driver.market.transactionOf.clear();
    driver.market.nextNonce = undefined;
    const effects = driver.wait(61_001);
    expect(row(driver, id)).toMatchObject({ done: 0, work: 'cancelled' });
    expect(row(driver, id).ended).toBeDefined();
    const events = only(effects, 'jobEvent').map(({ event }) => event.kind);
    expect(events.slice(-2)).toEqual(['units-lost', 'cancelled']);
  });

  it('near completeBy accepts only what the chain has bound', () => {
    const driver = joined();
    const id = submitArray(driver, 100);
    driver.wait(COMPLETE_MS - 30_000);
    driver.join('p1', MACHINE);
    const [lease] = bindAll(driver, id) as [LeaseUnits];
    expect(answers(deliver(driver, 'p1', lease))).toEqual([]);
    expect(answers(checkAll(driver, executeAll(driver)))).toEqual(['yes']);
  });

  it.each([
    ['while the chain still counts a delivery', GRACE_MS - 1000, 64, 'payUnits'],
    ['but nothing once it does not', GRACE_MS + 1000, 0, 'releaseUnits'],
  ])('after a long absence accepts what was saved of a batch %s', (_when, afterMs, done, call) => {
    const driver = joined();
    const id = submitArray(driver, 200);
    const [lease] = bindAll(driver, id) as [LeaseUnits];
    executeAll(driver);
    driver.say('p1', { kind: 'accept', lease: lease.lease });
    const units = Array.from({ length: 64 }, (_, unit) => unit);
    driver.say('p1', deliveryOf('p1', lease, { units, isLast: false }));
    const effects = away(driver, COMPLETE_MS + afterMs);
    checkAll(driver, [...effects, ...driver.wait(1)]);
    expect(row(driver, id)).toMatchObject({ work: 'failed', done });
    expect(callsOf(driver)).toEqual([call]);
    executeAll(driver);
    executeAll(driver);
    expect(row(driver, id).ended).toBeDefined();
  });

  it.each([
    ['its payment', 'payUnits', 'releaseUnits'],
    ['its binding', 'bindUnits', 'cancel'],
  ])('takes back what it accepted when the chain refuses %s as too late', (_what, kind, next) => {
    const driver = joined();
    const id = submitArray(driver, 100);
    const [lease] = bindAll(driver, id) as [LeaseUnits];
    if (kind === 'payUnits') executeAll(driver);
    deliver(driver, 'p1', lease);
    expect(row(driver, id)).toMatchObject({ done: 100, work: 'done' });
    expect(callsOf(driver)).toEqual([kind]);
    refuseCalls(driver, kind, 'ORDERS_EXPIRED');
    expect(row(driver, id)).toMatchObject({
      ...{ work: 'failed', done: 0, failed: 100, charged: 0n, given: [{ from: 0, count: 100 }] },
    });
    expect(callsOf(driver)).toEqual([next]);
    executeAll(driver);
    executeAll(driver);
    expect(row(driver, id)).toMatchObject({ chain: 'cancelled', open: [] });
    expect(row(driver, id).ended).toBeDefined();
  });

  it('keeps the other batches of an order of which one came too late', () => {
    const driver = joined();
    const id = submitArray(driver, 300);
    const [first, second] = bindAll(driver, id) as [LeaseUnits, LeaseUnits];
    executeAll(driver);
    deliver(driver, 'p1', first);
    executeAll(driver);
    deliver(driver, 'p1', second);
    refuseCalls(driver, 'payUnits', 'ORDERS_EXPIRED');
    expect(row(driver, id)).toMatchObject({ work: 'done', done: 200, failed: 100 });
    for (let i = 0; i < 3; i++) executeAll(driver);
    expect(row(driver, id)).toMatchObject({ chain: 'settled' });
  });
});

it('counts what a batch was paid once, when the block that pays it also ends the order', () => {
  const driver = joined();
  const id = submitArray(driver, 100);
  const [lease] = bindAll(driver, id) as [LeaseUnits];
  executeAll(driver);
  deliver(driver, 'p1', lease);
  const { provider = '', delivery } = driver.market.batchesOf.get(id)?.get(lease.fence) ?? {};
  const paid = delivery?.delivery.charge ?? 0n;
  const sums = { paid, refunded: 7n };
  const own = [...driver.market.transactions.values()].map(({ row: { id: one, nonce } }) => ({
    ...{ id: one, nonce, ok: true },
  }));
  const effects = driver.apply({
    ...{
      kind: 'block',
      hash: blockHash(0),
      height: driver.market.meta.height + 1,
      timeUs: driver.nowUs,
      own,
    },
    units: [{ event: 'settled', order: id, fence: lease.fence, provider, ...sums }],
    orders: [fact(id, 'settled', 0, { ...sums, provider })],
  });
  expect(driver.market.orders.get(id)?.chain).toMatchObject(sums);
  const events = only(effects, 'jobEvent').map(({ event }) => event.kind);
  expect(events.slice(-2)).toEqual(['units-settled', 'settled']);
});

describe('a provider that gives the chain another delivery of a batch than the market', () => {
  /** A block holds it, before the market's own call. */
  function relayed(driver: Driver, id: string, fence: number) {
    const provider = driver.market.batchesOf.get(id)?.get(fence)?.provider ?? '';
    const given = { units: [{ from: 0, count: 100 }], charge: 1n };
    const one = { event: 'delivered', order: id, fence, provider, paid: 0n, refunded: 0n } as const;
    const height = driver.market.meta.height + 1;
    return driver.apply({
      ...{ kind: 'block', hash: blockHash(0), height, timeUs: driver.nowUs, orders: [], own: [] },
      units: [{ ...one, delivery: 'dd'.repeat(32), given }],
    });
  }

  it('is not paid, and its tasks are done again by others', () => {
    const driver = joined();
    driver.join('p2', MACHINE);
    const id = submitArray(driver, 300);
    const [first] = bindAll(driver, id, 1) as [LeaseUnits];
    executeAll(driver);
    deliver(driver, nameOf(driver, first), first);
    expect(row(driver, id)).toMatchObject({ done: 200, work: 'running' });
    relayed(driver, id, first.fence);
    expect(row(driver, id)).toMatchObject({ done: 0, charged: 0n, again: [{ faults: 1 }] });
    expect(callsOf(driver)).toContain('refuseUnits');
  });

  it('leaves an order that was done with fewer tasks', () => {
    const driver = joined();
    const id = submitArray(driver, 100);
    const [lease] = bindAll(driver, id) as [LeaseUnits];
    executeAll(driver);
    deliver(driver, 'p1', lease);
    relayed(driver, id, lease.fence);
    const given = [{ from: 0, count: 100 }];
    expect(row(driver, id)).toMatchObject({ done: 0, failed: 100, given, work: 'failed' });
  });
});

describe('results that are being looked at', () => {
  it.each([
    ['nobody answers for the time of a lease', (driver: Driver) => driver.wait(16_000)],
    [
      'the order is cancelled',
      (driver: Driver, id: string) => {
        const by = driver.market.orders.get(id)?.signed.order.consumer ?? '';
        return driver.apply({ kind: 'cancelOrder', request: 'c', order: id, by });
      },
    ],
  ])('do not count before they were seen, though %s', (_what, happen) => {
    const driver = joined();
    const id = submitArray(driver, 100);
    const [lease] = bindAll(driver, id) as [LeaseUnits];
    executeAll(driver);
    driver.say('p1', { kind: 'accept', lease: lease.lease });
    const message = deliveryOf('p1', lease);
    driver.say('p1', message);
    happen(driver, id);
    expect(row(driver, id)).toMatchObject({ done: 0 });
    const { root } = message.delivery.delivery;
    const seen = { kind: 'unitsChecked', lease: lease.lease, root, outcome: 'good' } as const;
    expect(answers(driver.apply(seen))).toEqual(['yes']);
    expect(row(driver, id)).toMatchObject({ done: 100 });
  });
});

describe('bindings that nobody wants any more', () => {
  /** A batch is lost while the call that binds it is on its way. */
  function lostOnTheWay() {
    const driver = joined();
    const id = submitArray(driver, 100);
    const [lease] = bindAll(driver, id) as [LeaseUnits];
    const by = driver.market.orders.get(id)?.signed.order.consumer ?? '';
    driver.apply({ kind: 'cancelOrder', request: 'c', order: id, by });
    expect(callsOf(driver)).toEqual(['bindUnits']);
    const nonce = [...driver.market.transactions.values()][0]?.row.nonce ?? 0;
    return { driver, id, lease, nonce };
  }

  it('do not keep an order open when the lane is laid anew without them', () => {
    const { driver, id, nonce } = lostOnTheWay();
    const { height } = driver.market.meta;
    driver.apply({ kind: 'nonceRead', nonce: nonce + 1, height });
    expect(row(driver, id)).toMatchObject({ open: [] });
    expect(callsOf(driver)).toEqual(['cancel']);
  });

  it('do not keep an order open when another transaction used their nonce', () => {
    const { driver, id, nonce } = lostOnTheWay();
    const own = [{ id: 'ee'.repeat(32), nonce, ok: true }];
    const height = driver.market.meta.height + 1;
    driver.apply({
      kind: 'block',
      hash: blockHash(0),
      height,
      timeUs: driver.nowUs,
      orders: [],
      own,
    });
    expect(row(driver, id)).toMatchObject({ open: [] });
    expect(callsOf(driver)).toEqual(['cancel']);
  });

  it('do not keep an order open after a restart', () => {
    const { driver, id } = lostOnTheWay();
    for (const key of driver.rows.keys())
      if (key.startsWith('transaction/')) driver.rows.delete(key);
    away(driver, 1);
    expect(row(driver, id)).toMatchObject({ open: [] });
    expect(callsOf(driver)).toEqual(['cancel']);
  });
});

const nameOf = (driver: Driver, lease: LeaseUnits): string =>
  ['p1', 'p2'].find(
    (name) => driver.market.sessions.get(name) === providerOf(driver, lease),
  ) as string;

function providerOf(driver: Driver, { order, fence }: LeaseUnits): string {
  return driver.market.batchesOf.get(order)?.get(fence)?.provider ?? '';
}
