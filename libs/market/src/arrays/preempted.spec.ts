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
