/** Orders of many tasks under faults: killed markets, flapping providers, floods, messages that are lost. */
import { createSeededRandomness } from '#libs/kernel';
import { unitsOf } from '#contracts';
import {
  type LeaseUnits,
  arrayManifest,
  bindAll,
  checkAll,
  deliveryOf,
  executeAll,
  leasesIn,
  submitArray,
} from '../testing/array-driver.ts';
import { DEFAULT_MARKET_CAPS } from '../model/config.ts';
import {
  Driver,
  configOf,
  manifestWith,
  offerOf,
  only,
  replyIn,
  signerOf,
} from '../testing/driver.ts';
import type { MarketEffect } from '../model/effects.ts';

const MACHINE = { slots: 8, cores: 32, memoryBytes: 2 ** 36 };

const arrayOf = (driver: Driver, id: string) => {
  const row = driver.market.orders.get(id);
  if (!row?.array) throw new Error('no array');
  return { ...row.array, work: row.work, chain: row.chain, ended: row.endedAtUs };
};

/** Agents that hold what they were given until the market has it, whatever becomes of the market. */
class Fleet {
  /** Work in agents' hands, by lease. */
  readonly holding = new Map<string, { readonly name: string; readonly lease: LeaseUnits }>();
  readonly #driver: Driver;
  readonly #names: readonly string[];

  constructor(driver: Driver, names: readonly string[]) {
    this.#driver = driver;
    this.#names = names;
    for (const name of names) driver.join(name, MACHINE);
  }

  take(effects: readonly MarketEffect[]): void {
    for (const effect of only(effects, 'sendAgent')) {
      const { message, session: name } = effect;
      if (message.kind === 'leaseUnits') this.holding.set(message.lease, { name, lease: message });
      if (message.kind === 'delivered' || message.kind === 'cancel')
        this.holding.delete(message.lease);
    }
  }

  /** Everybody connects again and says what it holds. */
  reconnect(): void {
    for (const name of this.#names) {
      const { publicKey } = signerOf(name);
      const leases = this.#of(name).map(({ lease: { lease, fence } }) => ({ lease, fence }));
      const offer = offerOf(name, MACHINE);
      this.take(
        this.#driver.apply({ kind: 'agentHello', session: name, publicKey, offer, leases }),
      );
    }
  }

  #of(name: string) {
    return [...this.holding.values()].filter((one) => one.name === name);
  }

  /** One batch is finished and told. */
  finishOne(): void {
    const [one] = this.holding.values();
    if (!one) return;
    const { name, lease } = one;
    const driver = this.#driver;
    this.take(driver.say(name, { kind: 'accept', lease: lease.lease }));
    this.take(checkAll(driver, driver.say(name, deliveryOf(name, lease))));
    const saved = driver.market.batchesOf.get(lease.order)?.get(lease.fence);
    if (saved?.state === 'delivered') this.holding.delete(lease.lease);
  }
}

it('a market killed at any moment of 10 000 tasks loses none and pays none twice', () => {
  const driver = new Driver();
  const fleet = new Fleet(driver, ['p1', 'p2']);
  const random = createSeededRandomness(5);
  const id = submitArray(driver, 10_000);
  const paid = new Map<number, number>();
  const blockAndCount = (): void => {
    for (const { row } of driver.market.transactions.values())
      if (row.call.kind === 'payUnits')
        for (const unit of unitsOf(row.call.delivery.delivery.units))
          paid.set(unit, (paid.get(unit) ?? 0) + 1);
    fleet.take(executeAll(driver));
  };
  let kills = 0;
  for (let turn = 0; turn < 400 && arrayOf(driver, id).ended === undefined; turn++) {
    const dice = random.below(10);
    if (dice < 6) fleet.finishOne();
    else if (dice < 7)
      fleet.take(driver.apply({ kind: 'bindingDue', request: 'q', order: id, binding: 1 }));
    else if (dice < 9) blockAndCount();
    else {
      kills += 1;
      // Nothing of memory stays; the agents are still there.
      fleet.take(driver.restart());
      driver.apply({ kind: 'nonceRead', nonce: 0, height: 0 });
      const account = signerOf('ann').account;
      const { height } = driver.market.meta;
      const balance = { amount: 10n ** 12n, height };
      fleet.take(driver.apply({ kind: 'balanceRead', account, balance }));
      fleet.reconnect();
    }
    fleet.take(driver.wait(250));
    const { result, work } = arrayOf(driver, id);
    if (work === 'done' && result === undefined)
      driver.apply({ kind: 'resultStored', order: id, cid: 'bafkqaaa' });
  }
  expect(kills).toBeGreaterThan(8);
  expect(arrayOf(driver, id)).toMatchObject({ work: 'done', done: 10_000, failed: 0 });
  expect(arrayOf(driver, id).ended).toBeDefined();
  expect(paid.size).toBe(10_000);
  expect([...paid.values()].every((times) => times === 1)).toBe(true);
  expect(arrayOf(driver, id).chain.paid).toBe(arrayOf(driver, id).charged);
});

it('a queue that loses every message (Redis gone) holds nothing up for longer than its time-out', () => {
  const driver = new Driver();
  driver.join('p1', MACHINE);
  const id = submitArray(driver, 400);
  const again = driver.wait(5_001);
  expect(only(again, 'enqueueBinding').map(({ order }) => order)).toEqual([id, id]);
  expect(bindAll(driver, id, 2)).toHaveLength(2);
  // Messages that come twice, or after all, hand out nothing twice.
  const leases = bindAll(driver, id, 20);
  expect(leases).toHaveLength(0);
  expect(arrayOf(driver, id)).toMatchObject({ next: 400, open: [1, 2] });
});

it('a provider that keeps vanishing with batches rests, and others get them', () => {
  const driver = new Driver();
  driver.join('flapping', MACHINE);
  const id = submitArray(driver, 5_000);
  const flapping = signerOf('flapping').account;
  const accept = (effects: readonly MarketEffect[]): void => {
    for (const { lease } of leasesIn(effects)) driver.say('flapping', { kind: 'accept', lease });
  };
  accept(driver.apply({ kind: 'bindingDue', request: 'q', order: id, binding: 1 }));
  // It comes back at once, each time without its work.
  for (let round = 0; round < 5; round++) {
    accept(driver.wait(100));
    accept(driver.join('flapping', { ...MACHINE, slots: 2 }));
  }
  expect(driver.market.places.isUnsteady(flapping, driver.nowMs)).toBe(true);
  expect(bindAll(driver, id, 4)).toHaveLength(0);
  driver.join('steady', MACHINE);
  bindAll(driver, id, 4);
  const holders = [...driver.market.batches.values()].map(({ provider }) => provider);
  expect(new Set(holders)).toEqual(new Set([signerOf('steady').account]));
});

it('a tenant that floods with tasks does not keep others waiting for more than one batch', () => {
  const driver = new Driver();
  driver.join('p1', { slots: 2, cores: 8 });
  const id = submitArray(driver, 10_000);
  const held = [...bindAll(driver, id, 16)];
  expect(held).toHaveLength(2);
  // Somebody else's one task comes while all slots are the flood's.
  const bob = signerOf('bob');
  const manifest = manifestWith();
  const order = driver.order(manifest, {}, bob);
  const submission = { kind: 'submitOrder', request: 'b', order, manifest } as const;
  const reply = replyIn(
    driver.apply({ ...submission, balance: { amount: 10_000_000n, height: 0 } }),
  );
  const bobs = reply.is === 'order' ? reply.view.id : '';
  driver.apply({ kind: 'bindingDue', request: 'q', order: bobs, binding: 1 });
  expect(driver.market.orders.get(bobs)?.work).toBe('queued');
  const [first] = held as [LeaseUnits];
  driver.say('p1', { kind: 'accept', lease: first.lease });
  checkAll(driver, driver.say('p1', deliveryOf('p1', first)));
  driver.wait(1);
  expect(driver.market.orders.get(bobs)?.work).toBe('leased');
});

it('a flood of arrays by one account ends at its cap, with a reason; others are still taken', () => {
  const most = 20;
  const caps = { ...DEFAULT_MARKET_CAPS, openOrdersPerConsumer: most };
  const driver = new Driver(configOf({ caps }));
  driver.join('p1', MACHINE);
  const manifest = arrayManifest(1);
  const unitPrice = 20_000n;
  const orderOf = (name: string) =>
    driver.order(
      manifest,
      { array: { tasks: 1, replicas: 1, unitPrice }, priceCap: unitPrice },
      signerOf(name),
    );
  const codes = new Set<string>();
  for (let i = 0; i < most + 5; i++) {
    const reply = driver.submit(orderOf('ann'), manifest, 10n ** 15n);
    if (reply.is === 'refused') codes.add(reply.code);
  }
  expect([...codes]).toEqual(['MARKET_CONSUMER_BUSY']);
  expect(driver.submit(orderOf('bob'), manifest, 10n ** 15n).is).toBe('order');
});

it('an order cancelled while its results are looked at ends, with those results', () => {
  const driver = new Driver();
  driver.join('p1', MACHINE);
  const id = submitArray(driver, 20);
  const [lease] = bindAll(driver, id, 1);
  if (!lease) throw new Error('no lease');
  executeAll(driver);
  driver.say('p1', { kind: 'accept', lease: lease.lease });
  const looked = driver.say('p1', deliveryOf('p1', lease));
  driver.apply({
    ...{ kind: 'cancelOrder', request: 'c', order: id, by: signerOf('ann').account },
  });
  expect(arrayOf(driver, id)).toMatchObject({ work: 'cancelled', done: 0 });
  expect(only(checkAll(driver, looked), 'storeResult')).toHaveLength(1);
  expect(arrayOf(driver, id).done).toBe(20);
  for (let i = 0; i < 3; i++) executeAll(driver);
  expect(arrayOf(driver, id).ended).toBeDefined();
  expect(arrayOf(driver, id).chain.paid).toBeGreaterThan(0n);
});
