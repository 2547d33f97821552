import { DEFAULT_AGENT_TIMES } from './agent/index.ts';
import { needsOf } from './fitting.ts';
import { DEFAULT_MARKET_TIMES } from './model/config.ts';
import { quoteJob } from './quote.ts';
import { Driver, manifestWith, only } from './testing/driver.ts';
import { providerViews } from './views.ts';

const { returnMs } = DEFAULT_MARKET_TIMES;
const manifest = manifestWith();

const withOne = (): Driver => {
  const driver = new Driver();
  driver.join('p1');
  return driver;
};
const submit = (driver: Driver) => driver.submit(driver.order(manifest), manifest);
const isTaken = (driver: Driver): boolean => submit(driver).is === 'order';
const leasesIn = (effects: ReturnType<Driver['apply']>) =>
  only(effects, 'sendAgent').filter(({ message }) => message.kind === 'lease');

/** Hands the queued orders out, as the queue does. */
const bindAll = (driver: Driver) =>
  [...driver.market.orders.values()].flatMap(({ id, binding }) =>
    leasesIn(driver.apply({ kind: 'bindingDue', request: 'q', order: id, binding })),
  );

describe('a provider that is expected back', () => {
  test('is counted on by a market that has just started, for a while', () => {
    const driver = withOne();
    driver.restart();
    expect(quoteJob(driver.market, needsOf(manifest)).options).toHaveLength(1);
    expect(isTaken(driver)).toBe(true);
    driver.wait(returnMs);
    expect(submit(driver)).toMatchObject({
      ...{ is: 'refused', code: 'MARKET_NOTHING_FITS', message: '1 offline' },
    });
  });

  test('is counted on when its line broke, and not when it said that it goes', () => {
    const driver = withOne();
    driver.apply({ kind: 'agentGone', session: 'p1', isCut: true });
    expect(isTaken(driver)).toBe(true);
    driver.join('p1');
    driver.apply({ kind: 'agentGone', session: 'p1' });
    expect(isTaken(driver)).toBe(false);
  });

  test('gets no lease before it is back, and then what waited for it', () => {
    const driver = withOne();
    driver.restart();
    expect(isTaken(driver)).toBe(true);
    expect(bindAll(driver)).toEqual([]);
    expect(providerViews(driver.market)).toMatchObject([{ online: false }]);
    expect(leasesIn(driver.join('p1'))).toHaveLength(1);
  });

  test('once given up stays so when the market starts again', () => {
    const driver = withOne();
    driver.apply({ kind: 'agentGone', session: 'p1', isCut: true });
    driver.wait(returnMs);
    driver.restart();
    expect(isTaken(driver)).toBe(false);
    driver.join('p1');
    driver.restart();
    expect(isTaken(driver)).toBe(true);
  });

  test('that drains is not waited for', () => {
    const driver = withOne();
    driver.say('p1', { kind: 'heartbeat', freeSlots: 1, leases: [], draining: true });
    driver.apply({ kind: 'agentGone', session: 'p1', isCut: true });
    expect(isTaken(driver)).toBe(false);
  });

  test('is longer expected than agents rest between two attempts', () => {
    expect(returnMs).toBeGreaterThan(1.5 * DEFAULT_AGENT_TIMES.reconnectMaxMs);
  });
});
