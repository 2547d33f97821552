import fc from 'fast-check';
import { needsOf } from './fitting.ts';
import { chargeFor, priceAtLimits } from './pricing.ts';
import { observeRun } from './placement/observe.ts';
import { quoteJob } from './quote.ts';
import { Driver, manifestWith } from './testing/driver.ts';

const GIB = 2 ** 30;

/** Three providers: cheap and slow, fast and dear, confidential. */
function market(): Driver {
  const driver = new Driver();
  driver.join('cheap', { benchmarkScore: 500 });
  driver.join('fast', {
    domain: 'vetted',
    level: 'fast',
    benchmarkScore: 3000,
    pricePerCoreSecond: 9000n,
  });
  driver.join('safe', {
    domain: 'confidential',
    level: 'assured',
    isolation: 'S3',
    pricePerCoreSecond: 5000n,
  });
  return driver;
}

const bestFor = (tier: 'A' | 'B' | 'C'): string | undefined =>
  quoteJob(market().market, needsOf(manifestWith({ tier }))).options[0]?.name;

describe('quotes', () => {
  test('tier A takes the cheapest, B the fastest, C only what is confidential', () => {
    expect(bestFor('A')).toBe('cheap');
    expect(bestFor('B')).toBe('fast');
    const quote = quoteJob(market().market, needsOf(manifestWith({ tier: 'C' })));
    expect(quote.options.map(({ name }) => name)).toEqual(['safe']);
    expect(quote.reasons).toEqual([expect.objectContaining({ code: 'domain', providers: 2 })]);
  });

  test('what could not be ordered has no price: fewer operators than must agree', () => {
    const array = { tasks: 1, replicas: 5, check: 'adaptive' } as const;
    const needs = needsOf(manifestWith({ tier: 'C', array }));
    const driver = market();
    const { options, reasons } = quoteJob(driver.market, needs);
    expect(options).toEqual([]);
    expect(reasons[0]).toEqual({
      ...{ code: 'operators', providers: 1 },
      text: 'that fit, where 2 operators must agree',
    });
    driver.join('safer', { domain: 'confidential', isolation: 'S3' });
    expect(quoteJob(driver.market, needs).options).not.toEqual([]);
  });

  test('when nothing fits, every provider is accounted for by a reason', () => {
    const driver = market();
    driver.apply({ kind: 'agentGone', session: 'cheap' });
    const manifest = manifestWith({
      minIsolation: 'S3',
      resources: { cores: 64, memoryBytes: GIB },
    });
    const quote = quoteJob(driver.market, needsOf(manifest));
    expect(quote.options).toEqual([]);
    expect(quote.reasons.reduce((sum, { providers }) => sum + providers, 0)).toBe(quote.considered);
    expect(quote.reasons.map(({ code }) => code)).toEqual(['offline', 'isolation', 'cores']);
  });

  test('a job goes only to those that run its kind, and others are counted in words', () => {
    const driver = market();
    driver.join('metered', { kinds: ['wasm', 'verifiable'], pricePerCoreSecond: 50_000n });
    const metering = { fuel: 1_000n };
    const verifiable = quoteJob(
      driver.market,
      needsOf(manifestWith({ kind: 'verifiable', metering })),
    );
    expect(verifiable.options.map(({ name }) => name)).toEqual(['metered']);
    expect(verifiable.reasons).toEqual([
      {
        ...{ code: 'kind', providers: 3 },
        text: expect.stringContaining(
          'without the metered engine that verifiable jobs need',
        ) as string,
      },
    ]);
    const fast = quoteJob(driver.market, needsOf(manifestWith()));
    expect(fast.options.map(({ name }) => name)).not.toContain('metered');
    expect(fast.reasons.map(({ code }) => code)).toContain('kind');
  });

  test('what was seen of a code makes the estimate, and the price expected from it', () => {
    const { market: state } = market();
    const needs = needsOf(manifestWith());
    const before = quoteJob(state, needs).options[0];
    const [cheap] = state.providers.values();
    if (!cheap) throw new Error('nobody');
    const usage = { cpuMs: 200, wallMs: 300, peakMemoryBytes: 1 };
    observeRun(state, cheap, { needs, usage, neighbours: [] });
    const after = quoteJob(state, needs).options[0];
    expect(after?.finishMs.likely).toBeLessThan(before?.finishMs.likely ?? 0);
    expect(after?.expectedPrice).toBeLessThan(before?.expectedPrice ?? 0n);
    expect(after?.priceCap).toBe(before?.priceCap);
    expect(after?.finishMs.latest).toBeGreaterThanOrEqual(needs.limits.wallMs);
  });

  test('no charge exceeds the price at the limits, and more use never costs less', () => {
    const amount = fc.bigInt({ min: 0n, max: 10n ** 12n });
    const used = fc.record({ cpuMs: fc.nat(10 ** 9), wallMs: fc.nat(10 ** 9) });
    fc.assert(
      fc.property(amount, amount, used, used, (core, gib, a, b) => {
        const prices = { pricePerCoreSecond: core, pricePerGibSecond: gib };
        const { limits } = manifestWith();
        const price = priceAtLimits(prices, limits);
        const charge = chargeFor(prices, limits, a, price);
        expect(charge).toBeLessThanOrEqual(price);
        expect(charge).toBeGreaterThanOrEqual(1n);
        const more = { cpuMs: a.cpuMs + b.cpuMs, wallMs: a.wallMs + b.wallMs };
        expect(chargeFor(prices, limits, more, price)).toBeGreaterThanOrEqual(charge);
      }),
      { numRuns: 100 },
    );
  });

  test('one core-second and one GiB-second cost what the offer says', () => {
    const prices = { pricePerCoreSecond: 1_000n, pricePerGibSecond: 10n };
    const limits = { ...manifestWith().limits, memoryBytes: GIB };
    expect(chargeFor(prices, limits, { cpuMs: 1000, wallMs: 2000 }, 10n ** 9n)).toBe(1_020n);
  });
});
