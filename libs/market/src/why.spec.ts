import { MARKET_ENTRIES } from '#libs/audit';
import { decodeWith } from '#libs/kernel';
import { Driver, fact, manifestWith, only, signerOf } from './testing/driver.ts';
import type { MarketEffect } from './model/effects.ts';
import { decisionsOf, relaxationText, relaxationsOf, waitingOf } from './why.ts';
import { needsOf } from './fitting.ts';

const manifest = manifestWith();

const rowOf = (driver: Driver, id: string) => {
  const row = driver.market.orders.get(id);
  if (!row) throw new Error('no row');
  return row;
};
const why = (driver: Driver, id: string) =>
  waitingOf(driver.market, rowOf(driver, id), driver.nowMs);
const submit = (driver: Driver, job = manifest, priceCap = 1_000_000n): string => {
  const reply = driver.submit(driver.order(job, { priceCap }), job);
  if (reply.is !== 'order') throw new Error(JSON.stringify(reply));
  return reply.view.id;
};
const bind = (driver: Driver, id: string): readonly MarketEffect[] => {
  const { binding } = rowOf(driver, id);
  return driver.apply({ kind: 'bindingDue', request: 'q', order: id, binding });
};

describe('why an order waits', () => {
  test('counts each provider under the first filter that leaves it out', () => {
    const driver = new Driver();
    driver.join('p1');
    const strict = manifestWith({ minIsolation: 'S2', resources: { cores: 4, memoryBytes: 1 } });
    const id = submit(driver, strict);
    driver.join('weak', { isolation: 'S1' });
    driver.join('small', { cores: 1 });
    driver.join('dear', { pricePerCoreSecond: 10n ** 9n });
    driver.join('gone');
    driver.apply({ kind: 'agentGone', session: 'gone' });
    driver.say('p1', { kind: 'heartbeat', freeSlots: 0, leases: [] });
    bind(driver, id);
    expect(why(driver, id)).toMatchObject({
      text: 'all of the 1 that fit are busy; it takes the next slot that falls free in its turn',
      ...{ considered: 5, fitting: 1, free: 0, relaxations: [] },
      filters: [
        { code: 'offline', providers: 1 },
        { code: 'isolation', providers: 1 },
        { code: 'cores', providers: 1 },
        { code: 'price', providers: 1 },
        { code: 'busy', providers: 1 },
      ],
    });
  });

  test('names the smallest changes with which it would run, fewest and cheapest first', () => {
    const driver = new Driver();
    driver.join('p1');
    const strict = manifestWith({ minIsolation: 'S2' });
    const id = submit(driver, strict);
    driver.apply({ kind: 'agentGone', session: 'p1' });
    driver.join('dear', { pricePerCoreSecond: 10n ** 6n });
    driver.join('weak', { isolation: 'S1' });
    driver.join('worst', { isolation: 'S0', cores: 0 });
    const waiting = why(driver, id);
    expect(waiting?.fitting).toBe(0);
    expect(waiting?.text).toContain('no provider that is there fits');
    expect(waiting?.relaxations.map(({ changes }) => changes)).toEqual([
      [{ field: 'minIsolation', from: 'S2', to: 'S1' }],
      [{ field: 'priceCap', from: '0.001', to: expect.any(String) }],
      [
        { field: 'minIsolation', from: 'S2', to: 'S0' },
        { field: 'resources.cores', from: '1', to: '0' },
      ],
    ]);
    const [, dear] = waiting?.relaxations ?? [];
    expect(dear?.changes[0]?.to).toBe('0.0100025');
    expect(dear?.price).toBe(10_002_500n);
  });

  test('says how long a back-off lasts after which failures', () => {
    const driver = new Driver();
    driver.join('p1');
    const id = submit(driver);
    bind(driver, id);
    const lease = rowOf(driver, id).lease?.lease ?? '';
    driver.say('p1', { kind: 'accept', lease });
    driver.say('p1', { kind: 'decline', lease, code: 'PROVIDER_STORAGE', reason: 'gone' });
    expect(why(driver, id)?.text).toMatch(
      /^the next attempt comes in at most \d+ ms after 1 failed/,
    );
  });

  test('a job that nobody can take is refused at once, with the nearest that could', () => {
    const driver = new Driver();
    driver.join('p1', { isolation: 'S1' });
    const strict = manifestWith({ minIsolation: 'S4' });
    expect(driver.submit(driver.order(strict), strict)).toMatchObject({
      code: 'MARKET_NOTHING_FITS',
      message: expect.stringMatching(
        /^1 with weaker isolation.*; it would run with minIsolation S4 → S1: [0-9.]+ in public\.eco$/,
      ),
    });
    const [nearest] = relaxationsOf(driver.market, needsOf(strict), undefined);
    expect(nearest && relaxationText(nearest)).toContain('S4 → S1');
  });
});

describe('decisions about an order', () => {
  test('stand in its log with what went into them, and read as sentences', () => {
    const driver = new Driver();
    driver.join('p1');
    driver.join('p2', { pricePerCoreSecond: 2000n });
    driver.join('weak', { isolation: 'S0' });
    const id = submit(driver);
    const effects = [...bind(driver, id), ...driver.block([fact(id, 'placed')])];
    const ann = signerOf('ann').account;
    effects.push(...driver.apply({ kind: 'cancelOrder', request: 'c', order: id, by: ann }));
    const entries = only(effects, 'jobEvent').map(({ event }) => event);
    const decisions = decisionsOf(entries);
    expect(decisions.map(({ kind }) => kind)).toEqual(['leased', 'placed', 'cancelled']);
    expect(decisions[0]?.text).toMatch(
      /^given to a provider for at most [0-9.]+, attempt 1: cheapest of 2/,
    );
    expect(decisions[2]?.text).toContain('MARKET_CANCELLED');
    const { inputs } = decodeWith(MARKET_ENTRIES.leased, decisions[0]?.data ?? new Uint8Array());
    expect(inputs).toMatchObject({
      ...{ considered: 3, candidates: 2, left: [{ code: 'isolation', providers: 1 }] },
      because: expect.stringContaining('the next best asks'),
    });
  });
});
