import { countUnits } from '#contracts';
import {
  type LeaseUnits,
  bindAll,
  checkAll,
  deliver,
  deliveryOf,
  executeAll,
  leasesIn,
  submitArray,
} from '../testing/array-driver.ts';
import { blockHash, Driver, configOf, only } from '../testing/driver.ts';
import { DEFAULT_MARKET_CAPS } from '../model/config.ts';
import { unitsOf } from '#contracts';

const arrayOf = (driver: Driver, id: string) => {
  const row = driver.market.orders.get(id);
  if (!row?.array) throw new Error('no array');
  return { ...row.array, work: row.work, row };
};

/** A market with one provider and an order of many tasks. */
function started(tasks: number, slots = 2, driver = new Driver()) {
  driver.join('p1', { slots, cores: 16, memoryBytes: 2 ** 36 });
  const id = submitArray(driver, tasks);
  return { driver, id };
}

/** Lets agents deliver whatever is handed out until nothing more is. */
function runAll(driver: Driver, id: string, first: readonly LeaseUnits[], name = 'p1'): void {
  const queue = [...first];
  for (let lease = queue.shift(); lease; lease = queue.shift()) {
    const effects = deliver(driver, name, lease);
    queue.push(...leasesIn(effects));
    if (queue.length === 0) queue.push(...bindAll(driver, id, 1));
  }
}

describe('an order of many tasks', () => {
  it('is handed out in batches of 200, one slot each, done and settled to the last unit', () => {
    const { driver, id } = started(1_050);
    const first = bindAll(driver, id);
    expect(first.map(({ units }) => units)).toEqual([
      [{ from: 0, count: 200 }],
      [{ from: 200, count: 200 }],
    ]);
    runAll(driver, id, first);
    expect(arrayOf(driver, id)).toMatchObject({ work: 'done', done: 1_050, failed: 0 });
    for (let i = 0; i < 5; i++) executeAll(driver);
    const { chain, endedAtUs, array } = arrayOf(driver, id).row;
    expect(chain).toMatchObject({ state: 'settled', paid: array?.charged });
    expect(endedAtUs).toBeDefined();
    expect([...driver.rows.keys()].filter((key) => key.startsWith('units/'))).toHaveLength(6);
  });

  it('stores a document over all batches, and asks again until it is stored', () => {
    const { driver, id } = started(10);
    const [lease] = bindAll(driver, id);
    const effects = deliver(driver, 'p1', lease as LeaseUnits);
    expect(only(effects, 'storeResult')).toHaveLength(1);
    expect(only(driver.wait(5_001), 'storeResult')).toHaveLength(1);
    driver.apply({ kind: 'resultStored', order: id, cid: 'bafkqaaa' });
    expect(only(driver.wait(5_001), 'storeResult')).toHaveLength(0);
    expect(arrayOf(driver, id).result).toBe('bafkqaaa');
  });

  it('counts what a lost batch had delivered, and binds the rest again', () => {
    const { driver, id } = started(100, 1);
    const [lease] = bindAll(driver, id) as [LeaseUnits];
    driver.say('p1', { kind: 'accept', lease: lease.lease });
    const part = { units: [0, 1, 2, 50], isLast: false };
    const saved = driver.say('p1', deliveryOf('p1', lease, part));
    expect(only(saved, 'sendAgent')[0]?.message).toMatchObject({ kind: 'unitsSaved', units: 4 });
    driver.apply({ kind: 'agentGone', session: 'p1' });
    driver.wait(14_000);
    driver.join('p2', { slots: 1, cores: 16, memoryBytes: 2 ** 36 });
    checkAll(driver, driver.wait(1_500));
    expect(arrayOf(driver, id)).toMatchObject({ done: 4, again: [{ faults: 1 }] });
    driver.wait(600);
    const [again] = bindAll(driver, id) as [LeaseUnits];
    expect(unitsOf(again.units).slice(0, 3)).toEqual([3, 4, 5]);
    expect(countUnits(again.units)).toBe(50);
    // What the first provider still says of the old batch is too late.
    driver.join('p1', { slots: 1 });
    expect(only(driver.say('p1', deliveryOf('p1', lease)), 'sendAgent')[0]?.message).toMatchObject({
      kind: 'delivered',
    });
    expect(arrayOf(driver, id).done).toBe(4);
  });

  it('isolates a unit that breaks its slots, and gives up that one alone', () => {
    const caps = { ...DEFAULT_MARKET_CAPS };
    const { driver, id } = started(200, 1, new Driver(configOf({ caps })));
    const poison = 77;
    for (const name of ['p2', 'p3'])
      driver.join(name, { slots: 1, cores: 16, memoryBytes: 2 ** 36 });
    for (let round = 0; round < 40 && arrayOf(driver, id).work === 'running'; round++) {
      driver.wait(6_000);
      for (const name of ['p1', 'p2', 'p3'])
        driver.say(name, { kind: 'heartbeat', freeSlots: 1, leases: [] });
      const handed = bindAll(driver, id, 4);
      for (const lease of handed) {
        const provider = driver.market.batches.get(lease.lease)?.provider;
        const name = ['p1', 'p2', 'p3'].find(
          (one) => driver.market.sessions.get(one) === provider,
        ) as string;
        driver.say(name, { kind: 'accept', lease: lease.lease });
        const units = unitsOf(lease.units);
        if (!units.includes(poison)) checkAll(driver, driver.say(name, deliveryOf(name, lease)));
        else if (units.length === 1)
          checkAll(driver, driver.say(name, deliveryOf(name, lease, { exit: 'crash' })));
        else {
          const reason = 'the slot does not start';
          driver.say(name, { kind: 'decline', lease: lease.lease, code: 'PROVIDER_SLOT', reason });
        }
      }
    }
    expect(arrayOf(driver, id)).toMatchObject({ work: 'done' });
    const { done, failed, given } = arrayOf(driver, id);
    expect(done + failed).toBe(200);
    expect(given.some(({ from, count }) => from <= poison && poison < from + count)).toBe(true);
    expect(failed).toBeLessThanOrEqual(12);
  });

  it('pauses when money covers no more units, and goes on after a deposit', () => {
    const driver = new Driver();
    driver.join('p1', { slots: 4, cores: 16, memoryBytes: 2 ** 36 });
    const id = submitArray(driver, 500, 20_000n * 200n);
    const first = bindAll(driver, id);
    expect(countUnits(first.flatMap(({ units }) => units))).toBeGreaterThanOrEqual(200);
    executeAll(driver);
    driver.apply({
      kind: 'balanceRead',
      account: arrayOf(driver, id).row.signed.order.consumer,
      balance: { amount: 10n, height: 0 },
    });
    executeAll(driver);
    const account = arrayOf(driver, id).row.signed.order.consumer;
    const { height } = driver.market.meta;
    driver.apply({ kind: 'balanceRead', account, balance: { amount: 10n, height } });
    bindAll(driver, id);
    expect(arrayOf(driver, id)).toMatchObject({
      work: 'paused',
      row: { reason: { code: 'MARKET_FUNDS_LOW' } },
    });
    const news = driver.apply({
      ...{
        kind: 'block',
        hash: blockHash(0),
        height: height + 1,
        timeUs: driver.nowUs,
        orders: [],
        own: [],
      },
      deposits: [account],
    });
    expect(only(news, 'readBalance')).toMatchObject([{ account }]);
    const balance = { amount: 10_000_000n, height: height + 1 };
    driver.apply({ kind: 'balanceRead', account, balance });
    expect(arrayOf(driver, id).work).toBe('running');
    runAll(driver, id, [...first, ...bindAll(driver, id)]);
    expect(arrayOf(driver, id)).toMatchObject({ work: 'done', done: 500 });
  });

  it('stops when its consumer cancels: what was delivered is paid, the rest goes back', () => {
    const { driver, id } = started(600);
    const [lease, other] = bindAll(driver, id) as [LeaseUnits, LeaseUnits];
    executeAll(driver);
    executeAll(driver);
    deliver(driver, 'p1', lease);
    const by = arrayOf(driver, id).row.signed.order.consumer;
    const effects = driver.apply({ kind: 'cancelOrder', request: 'c', order: id, by });
    expect(only(effects, 'sendAgent').map(({ message }) => message)).toContainEqual(
      expect.objectContaining({ kind: 'cancel', lease: other.lease }),
    );
    for (let i = 0; i < 6; i++) executeAll(driver);
    const { row } = arrayOf(driver, id);
    expect(row).toMatchObject({ work: 'cancelled', chain: { state: 'settled' } });
    expect(row.chain.paid).toBe(row.array?.charged);
  });

  it('goes on from its rows after a restart, with every batch where it was', () => {
    const { driver, id } = started(900);
    const [lease, other] = bindAll(driver, id) as [LeaseUnits, LeaseUnits];
    driver.say('p1', { kind: 'accept', lease: other.lease });
    deliver(driver, 'p1', lease);
    const before = arrayOf(driver, id);
    driver.restart();
    driver.apply({ kind: 'nonceRead', nonce: 0, height: 0 });
    expect(arrayOf(driver, id)).toMatchObject({ done: 200, next: before.next });
    driver.join('p1', { slots: 2, cores: 16, memoryBytes: 2 ** 36 });
    // It came back without the second batch: that is bound again, once the balance is known.
    driver.wait(600);
    expect(bindAll(driver, id, 1)).toHaveLength(0);
    const asked = only(driver.wait(3_001), 'readBalance');
    expect(asked).toHaveLength(1);
    const balance = { amount: 10_000_000_000n, height: 0 };
    const effects = driver.apply({
      kind: 'balanceRead',
      account: asked[0]?.account ?? '',
      balance,
    });
    runAll(driver, id, [...leasesIn(effects), ...bindAll(driver, id)]);
    // What was handed out while nobody looked is not answered, and bound again once p1 has rested for it.
    for (let i = 0; i < 12; i++)
      runAll(driver, id, [...leasesIn(driver.wait(5_001)), ...bindAll(driver, id)]);
    expect(arrayOf(driver, id)).toMatchObject({ work: 'done', done: 900 });
    for (let i = 0; i < 8; i++) executeAll(driver);
    expect(arrayOf(driver, id).row.chain.state).toBe('settled');
  });

  it.each([
    ['another root', { root: 'ab'.repeat(32) }],
    ['a charge its units do not say', { charge: 1n }],
    ['units of another batch', { units: [{ from: 5_000, count: 1 }] }],
    ['another fence', { fence: 9 }],
  ])('refuses a delivery with %s, and binds its units again', (_what, change) => {
    const { driver, id } = started(300, 1);
    const [lease] = bindAll(driver, id) as [LeaseUnits];
    driver.say('p1', { kind: 'accept', lease: lease.lease });
    const message = deliveryOf('p1', lease);
    const delivery = { ...message.delivery.delivery, ...change };
    driver.say('p1', { ...message, delivery: { ...message.delivery, delivery } });
    expect(arrayOf(driver, id)).toMatchObject({ done: 0, again: [{ faults: 1 }] });
  });
});
