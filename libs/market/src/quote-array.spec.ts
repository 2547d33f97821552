import { needsOf } from './fitting.ts';
import { signQuote } from './placement/promise.ts';
import { quoteJob } from './quote.ts';
import { type LeaseUnits, bindAll, deliver, executeAll } from './testing/array-driver.ts';
import { Driver, configOf, manifestWith, replyIn } from './testing/driver.ts';

const ROOMY = { slots: 4, cores: 64, memoryBytes: 2 ** 38 };

/** Three providers of one cell at rising prices. */
function market(): Driver {
  const driver = new Driver();
  for (const [i, name] of ['p1', 'p2', 'p3'].entries())
    driver.join(name, { ...ROOMY, pricePerCoreSecond: 1000n * BigInt(i + 1) });
  return driver;
}

const PRICES = [12_500n, 22_500n, 32_500n] as const;

describe('a quote of an order of many tasks', () => {
  it('is of all tasks, and its unit price reaches as many distinct providers as must agree', () => {
    const { market: state } = market();
    const quoted = (array: object) =>
      quoteJob(state, needsOf(manifestWith({ array: { tasks: 100, replicas: 1, ...array } })))
        .options[0];
    expect(quoted({})).toMatchObject({
      unitPrice: PRICES[0],
      units: 100,
      priceCap: PRICES[0] * 100n,
    });
    const thrice = { replicas: 3, check: 'majority' };
    expect(quoted(thrice)).toMatchObject({ unitPrice: PRICES[2], priceCap: PRICES[2] * 300n });
    const adaptive = { replicas: 3, check: 'adaptive' };
    expect(quoted(adaptive)).toMatchObject({ unitPrice: PRICES[1], units: 300 });
    const [few, many] = [quoted({ tasks: 1 }), quoted({ tasks: 10_000 })];
    expect(many?.finishMs.likely).toBeGreaterThan(100 * (few?.finishMs.likely ?? 0));
  });

  it('binds: nobody above its unit price gets a batch, whatever the order would have paid', () => {
    const driver = market();
    const manifest = manifestWith({ array: { tasks: 10, replicas: 1 } });
    const offer = quoteJob(driver.market, needsOf(manifest));
    const quote = signQuote(configOf(), manifest, offer, driver.nowUs).signed;
    // Prices rise after the quote was given.
    for (const name of ['p1', 'p2', 'p3']) driver.apply({ kind: 'agentGone', session: name });
    driver.join('p2', { ...ROOMY, pricePerCoreSecond: 2000n });
    driver.join('p1', { ...ROOMY, slots: 1, pricePerCoreSecond: 1000n });
    const array = { tasks: 10, replicas: 1, unitPrice: 50_000n };
    const order = driver.order(manifest, { array, priceCap: 500_000n });
    const balance = { amount: 10n ** 9n, height: 0 };
    const effects = driver.apply({
      ...{ kind: 'submitOrder', request: 'r', order, manifest, balance, quote },
    });
    const reply = replyIn(effects);
    if (reply.is !== 'order') throw new Error(JSON.stringify(reply));
    const { id } = reply.view;
    executeAll(driver);
    const [lease, ...others] = bindAll(driver, id) as [LeaseUnits, ...LeaseUnits[]];
    expect(others).toEqual([]);
    expect(lease.unitPrice).toBe(PRICES[0]);
    deliver(driver, 'p1', lease);
    const row = driver.market.orders.get(id);
    expect(row).toMatchObject({ work: 'done', forecast: { price: PRICES[0] } });
    expect(row?.array?.charged).toBeLessThanOrEqual(offer.options[0]?.priceCap ?? 0n);
    expect(driver.market.places.learned.quotes).toMatchObject({ ended: 1, kept: 1 });
  });
});
