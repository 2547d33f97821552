import { jainIndex } from '#libs/scheduler';
import { needsOf } from '../fitting.ts';
import { Driver, configOf, manifestWith, offerOf, signerOf } from '../testing/driver.ts';
import { Shift } from '../testing/shift.ts';
import { Tenants } from './tenants.ts';
import { WaitingOrders } from './waiting.ts';

const consumerOf = (row: { signed: { order: { consumer: string } } } | undefined) =>
  row?.signed.order.consumer ?? '';

/** Virtual machine time that each account got, while all of them still wanted more. */
function serve(shift: Shift, driver: Driver, runs: number, runMs: (order: string) => number) {
  const got = new Map<string, number>();
  for (let i = 0; i < runs; i++) {
    const order = shift.next();
    if (order === undefined) break;
    const account = consumerOf(driver.market.orders.get(order));
    got.set(account, (got.get(account) ?? 0) + runMs(order));
  }
  return got;
}

describe('whose turn it is', () => {
  test('20 accounts share alike, although one of them floods the market first', () => {
    const driver = new Driver();
    driver.join('p1', { slots: 10, cores: 10 });
    driver.join('p2', { slots: 10, cores: 10 });
    const runMs = () => 1000;
    const shift = new Shift({ driver, providers: ['p1', 'p2'], runMs });
    const accounts = Array.from({ length: 20 }, (_, i) => signerOf(`consumer ${i}`));
    const [flooder] = accounts;
    if (!flooder) throw new Error('nobody');
    for (let i = 0; i < 150; i++) shift.order(flooder, manifestWith());
    for (let i = 0; i < 10; i++)
      for (const account of accounts.slice(1)) shift.order(account, manifestWith());
    // The first 20 runs were the flooder's alone: nobody else was there.
    serve(shift, driver, 20, runMs);
    const got = serve(shift, driver, 180, runMs);
    expect(got.size).toBe(20);
    const shares = accounts.map(({ account }) => got.get(account) ?? 0);
    expect(jainIndex(shares)).toBeGreaterThanOrEqual(0.98);
  });

  test('twice the weight gets twice as much; whoever is below its quota goes first', () => {
    const [ann, bob] = [signerOf('ann'), signerOf('bob')];
    const served = (tenants: NonNullable<ReturnType<typeof configOf>['tenants']>) => {
      const driver = new Driver(configOf({ tenants }));
      driver.join('p1', { slots: 12, cores: 12 });
      const shift = new Shift({ driver, providers: ['p1'], runMs: () => 1000 });
      for (let i = 0; i < 60; i++) shift.order(bob, manifestWith());
      for (let i = 0; i < 60; i++) shift.order(ann, manifestWith());
      serve(shift, driver, 12, () => 1);
      const got = serve(shift, driver, 48, () => 1);
      return (got.get(ann.account) ?? 0) / (got.get(bob.account) ?? 1);
    };
    expect(served([{ account: ann.account, weight: 2, quota: 0 }])).toBeCloseTo(2, 0);
    const most = served([{ account: ann.account, weight: 1, quota: 0.75 }]);
    expect(most).toBeGreaterThan(2.4);
  });

  test('of one account the higher priority goes first, then the older', () => {
    const driver = new Driver();
    driver.join('p1');
    const shift = new Shift({ driver, providers: ['p1'], runMs: () => 10 });
    const ann = signerOf('ann');
    const placed = [undefined, 5, 9, 0, 9].map((priority) =>
      shift.order(ann, manifestWith(priority === undefined ? {} : { placement: { priority } })),
    );
    const done = [0, 1, 2, 3, 4].map(() => placed.indexOf(shift.next() ?? ''));
    expect(done).toEqual([0, 2, 4, 1, 3]);
  });

  test('what is held is counted once and given back once', () => {
    const tenants = new Tenants([]);
    tenants.offered(undefined, offerOf('p1', { slots: 4, cores: 4 }));
    const needs = needsOf(manifestWith());
    tenants.take('a', 'ann', needs);
    tenants.take('a', 'ann', needs);
    expect(tenants.shareOf('ann')).toBe(0.25);
    tenants.giveBack('a');
    tenants.giveBack('a');
    expect(tenants.shareOf('ann')).toBe(0);
    // An offer that shrank below what is held loses nothing.
    tenants.take('b', 'ann', needs);
    tenants.offered(offerOf('p1', { slots: 4, cores: 4 }), offerOf('p1', { slots: 0, cores: 0 }));
    tenants.giveBack('b');
    expect(tenants.shareOf('ann')).toBe(0);
  });

  test('a list of waiting orders forgets whoever has none left', () => {
    const waiting = new WaitingOrders();
    waiting.add('1', 'ann', 5);
    waiting.add('1', 'ann', 9);
    waiting.add('2', 'bob', 0);
    expect([waiting.size, waiting.accountCount, waiting.countOf('ann')]).toEqual([2, 2, 1]);
    expect(waiting.delete('1')).toBe(true);
    expect(waiting.delete('1')).toBe(false);
    expect([...waiting.accounts]).toEqual(['bob']);
  });
});
