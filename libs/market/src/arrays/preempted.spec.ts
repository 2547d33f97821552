/** Batches on eco machines give way to other work: what is done counts once, the rest is done elsewhere. */
import fc from 'fast-check';
import { unitsOf, withoutUnits } from '#contracts';
import {
  type LeaseUnits,
  bindAll,
  checkAll,
  deliver,
  deliveryOf,
  executeAll,
  leasesIn,
  submitArray,
  submitUnplaced,
} from '../testing/array-driver.ts';
import { Driver, configOf, manifestWith, only, signerOf } from '../testing/driver.ts';
import type { MarketEffect } from '../model/effects.ts';

const TASKS = 400;
const SLOT = { slots: 1, cores: 1 };
const urgent = manifestWith({ tier: 'B' });

const progress = (driver: Driver, id: string) => driver.market.orders.get(id)?.array;

/** Somebody orders a job of tier B; gives what follows when its message comes. */
function order(driver: Driver): { readonly id: string; readonly effects: readonly MarketEffect[] } {
  const reply = driver.submit(driver.order(urgent, {}, signerOf('bob')), urgent, 10n ** 9n);
  if (reply.is !== 'order') throw new Error(JSON.stringify(reply));
  const { id } = reply.view;
  const { binding } = driver.market.orders.get(id) ?? { binding: 0 };
  const effects = driver.apply({ kind: 'bindingDue', request: 'q', order: id, binding });
  return { id, effects };
}

/** A job of tier B is over, whatever it came to. */
const cancel = (driver: Driver, id: string): readonly MarketEffect[] => [
  ...driver.apply({ kind: 'cancelOrder', request: 'c', order: id, by: signerOf('bob').account }),
  ...driver.wait(0),
];

/** A batch in p1's only slot. */
function busy(level: 'eco' | 'standard' = 'eco') {
  const driver = new Driver(configOf());
  driver.join('p1', { ...SLOT, level });
  const id = submitArray(driver, TASKS);
  const [lease] = bindAll(driver, id);
  if (!lease) throw new Error('no batch');
  driver.say('p1', { kind: 'accept', lease: lease.lease });
  return { driver, id, lease };
}

describe('a batch of level eco', () => {
  test('gives way; its units go back, to anybody, and nobody has failed', () => {
    const { driver, id, lease } = busy();
    const urgently = order(driver);
    expect(driver.market.orders.get(urgently.id)?.work).toBe('leased');
    expect(only(urgently.effects, 'sendAgent').map(({ message }) => message.kind)).toEqual([
      ...['cancel', 'lease'],
    ]);
    expect(progress(driver, id)).toMatchObject({ done: 0, failed: 0 });
    expect(progress(driver, id)?.again).toMatchObject([
      { units: lease.units, faults: 0, tried: [] },
    ]);
    expect([...driver.market.providers.values()][0]?.row.faults).toBe(0);
    expect(driver.market.orders.get(id)?.preempted).toBe(1);
  });

  test('what it had delivered of it counts', () => {
    const { driver, id, lease } = busy();
    const units = unitsOf(lease.units).slice(0, 30);
    driver.say('p1', deliveryOf('p1', lease, { units, isLast: false }));
    const { effects } = order(driver);
    checkAll(driver, [...effects, ...driver.wait(0)]);
    expect(progress(driver, id)?.done).toBe(30);
    const back = progress(driver, id)?.again.flatMap((group) => unitsOf(group.units)) ?? [];
    expect(back).toEqual(unitsOf(lease.units).slice(30));
  });

  test('of another level does not', () => {
    const { driver, lease } = busy('standard');
    const urgently = order(driver);
    expect(driver.market.orders.get(urgently.id)?.work).toBe('queued');
    expect(driver.market.batches.get(lease.lease)?.state).toBe('working');
  });

  test('not for ever', () => {
    const { driver, id } = busy();
    for (let i = 0; i < 12; i++) {
      const urgently = order(driver);
      cancel(driver, urgently.id);
      bindAll(driver, id, 2);
      driver.wait(100);
    }
    // Three times for each batch of 200.
    expect(driver.market.orders.get(id)?.preempted).toBe(6);
  });
});

describe('a batch of tier B', () => {
  /** An order of many tasks of tier B, whose messages come. */
  function urgentArray(driver: Driver, amount = 10n ** 10n, tasks = TASKS) {
    const id = submitUnplaced(driver, tasks, amount, 1, undefined, { tier: 'B' });
    return { id, leases: bindAll(driver, id, 2) };
  }

  test('takes the slot of a batch of tier A on an eco machine', () => {
    const { driver, id, lease } = busy();
    const { id: taker, leases } = urgentArray(driver);
    expect(leases).toHaveLength(1);
    expect(driver.market.batches.get(leases[0]?.lease ?? '')?.order).toBe(taker);
    expect(progress(driver, id)?.again).toMatchObject([{ units: lease.units, faults: 0 }]);
    expect(driver.market.orders.get(id)?.preempted).toBe(1);
  });

  test('takes the slot of a job of tier A as well', () => {
    const driver = new Driver(configOf());
    driver.join('p1', { ...SLOT, level: 'eco' });
    const job = manifestWith();
    const reply = driver.submit(driver.order(job), job, 10n ** 9n);
    if (reply.is !== 'order') throw new Error(JSON.stringify(reply));
    const { id } = reply.view;
    driver.apply({ kind: 'bindingDue', request: 'q', order: id, binding: 1 });
    expect(driver.market.orders.get(id)?.work).toBe('leased');
    expect(urgentArray(driver).leases).toHaveLength(1);
    expect(driver.market.orders.get(id)).toMatchObject({ work: 'queued', preempted: 1, faults: 0 });
  });

  test('takes none of another level, none of tier B, and none that it could not use', () => {
    const other = busy('standard');
    expect(urgentArray(other.driver).leases).toEqual([]);
    const same = busy();
    expect(urgentArray(same.driver).leases).toHaveLength(1);
    expect(urgentArray(same.driver).leases).toEqual([]);
    // Nothing prepaid is left for it: the slot stays where it is.
    const poor = busy();
    const { account } = signerOf('ann');
    const { height } = poor.driver.market.meta;
    const id = submitUnplaced(poor.driver, TASKS, undefined, 1, undefined, { tier: 'B' });
    poor.driver.apply({ kind: 'balanceRead', account, balance: { amount: 0n, height } });
    expect(bindAll(poor.driver, id, 2)).toEqual([]);
    expect(poor.driver.market.batches.get(poor.lease.lease)?.state).toBe('working');
    expect(poor.driver.market.orders.get(id)?.work).toBe('paused');
    expect(poor.driver.market.places.waiting.has(id)).toBe(false);
  });

  test('of tier A takes none of the same account', () => {
    const { driver, lease } = busy();
    const id = submitUnplaced(driver, TASKS);
    expect(bindAll(driver, id, 2)).toEqual([]);
    expect(driver.market.batches.get(lease.lease)?.state).toBe('working');
  });
});

test('two orders of many tasks in one slot: the urgent one first, and every task once', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(200), { maxLength: 6 }), (parts) => {
      const { driver, id, lease } = busy();
      const held = new Map<string, LeaseUnits>([[lease.lease, lease]]);
      const take = (effects: readonly MarketEffect[]): void => {
        for (const { message } of only(effects, 'sendAgent'))
          if (message.kind === 'cancel' || message.kind === 'delivered') held.delete(message.lease);
        for (const one of leasesIn(effects)) held.set(one.lease, one);
      };
      for (const part of parts)
        for (const one of held.values()) {
          const units = unitsOf(one.units).slice(0, part);
          driver.say('p1', { kind: 'accept', lease: one.lease });
          if (units.length > 0)
            take(
              checkAll(driver, driver.say('p1', deliveryOf('p1', one, { units, isLast: false }))),
            );
        }
      const urgentId = submitUnplaced(driver, 250, undefined, 1, undefined, { tier: 'B' });
      const due = (order: string) =>
        take(
          checkAll(driver, driver.apply({ kind: 'bindingDue', request: 'q', order, binding: 1 })),
        );
      due(urgentId);
      for (let i = 0; i < 60 && driver.market.openOrders > 0; i++) {
        for (const one of [...held.values()]) take(deliver(driver, 'p1', one));
        take(checkAll(driver, executeAll(driver)));
        take(checkAll(driver, driver.wait(1_000)));
        for (const order of [urgentId, id]) due(order);
      }
      for (const [order, tasks] of [[id, TASKS] as const, [urgentId, 250] as const]) {
        expect(driver.market.orders.get(order)?.work).toBe('done');
        const paid = [...(driver.market.batchesOf.get(order)?.values() ?? [])]
          .filter(({ chain }) => chain === 'settled')
          .flatMap(({ delivery }) => unitsOf(delivery?.delivery.units ?? []));
        expect(paid.toSorted((a, b) => a - b)).toEqual(Array.from({ length: tasks }, (_, i) => i));
      }
    }),
    { numRuns: 8 },
  );
});

test('whatever is taken when, every task is done and paid once', () => {
  const moves = fc.array(
    fc.record({ part: fc.nat(200), isLast: fc.boolean(), blocks: fc.nat(2) }),
    {
      maxLength: 8,
    },
  );
  fc.assert(
    fc.property(moves, (steps) => {
      const { driver, id, lease } = busy();
      let held: LeaseUnits | undefined = lease;
      const take = (effects: readonly MarketEffect[]): void => {
        held = leasesIn(effects).at(-1) ?? held;
      };
      for (const { part, isLast, blocks } of steps) {
        if (held) {
          const units = unitsOf(held.units).slice(0, part);
          driver.say('p1', { kind: 'accept', lease: held.lease });
          if (units.length > 0)
            take(checkAll(driver, driver.say('p1', deliveryOf('p1', held, { units, isLast }))));
        }
        for (let i = 0; i < blocks; i++) take(executeAll(driver));
        const urgently = order(driver);
        if (driver.market.orders.get(urgently.id)?.work === 'leased') held = undefined;
        take(checkAll(driver, [...urgently.effects, ...driver.wait(0)]));
        take(cancel(driver, urgently.id));
        for (const one of bindAll(driver, id, 2)) held = one;
      }
      for (let i = 0; i < 40 && driver.market.orders.get(id)?.work === 'running'; i++) {
        if (held) take(deliver(driver, 'p1', held));
        take(driver.wait(1_000));
        for (const one of bindAll(driver, id, 1)) held = one;
        take(executeAll(driver));
      }
      for (let i = 0; i < 6; i++) executeAll(driver);
      expect(driver.market.orders.get(id)?.work).toBe('done');
      const paid = [...(driver.market.batchesOf.get(id)?.values() ?? [])]
        .filter(({ chain }) => chain === 'settled')
        .flatMap(({ delivery, withheld }) =>
          unitsOf(withoutUnits(delivery?.delivery.units ?? [], withheld?.units ?? [])),
        );
      expect(paid.toSorted((a, b) => a - b)).toEqual(Array.from({ length: TASKS }, (_, i) => i));
    }),
    { numRuns: 30 },
  );
});
