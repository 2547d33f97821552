import fc from 'fast-check';
import { QUOTE_VALID_MS, quoteJob, signQuote } from '../index.ts';
import { needsOf } from '../fitting.ts';
import type { Manifest } from '../manifest.ts';
import { Driver, configOf, manifestWith, replyIn, signerOf } from '../testing/driver.ts';
import { readQuote } from './promise.ts';

const manifest = manifestWith();

function quoted(driver: Driver, job: Manifest = manifest) {
  const quote = quoteJob(driver.market, needsOf(job));
  return signQuote(driver.market.config, job, quote, driver.nowUs);
}

function submit(driver: Driver, quote: Uint8Array, priceCap: bigint, job = manifest) {
  const order = driver.order(job, { priceCap });
  const balance = { amount: 10n ** 12n, height: 0 };
  const event = {
    kind: 'submitOrder',
    request: 'r',
    order,
    manifest: job,
    balance,
    quote,
  } as const;
  return replyIn(driver.apply(event));
}

const rowOf = (driver: Driver) => [...driver.market.orders.values()][0];

describe('a binding quote', () => {
  test('gives each cell a price, an interval and a risk, best first, and says until when', () => {
    const driver = new Driver();
    driver.join('p1');
    driver.join('p2', { domain: 'vetted', level: 'fast', pricePerCoreSecond: 4000n });
    const quote = quoted(driver);
    expect(quote.options.map(({ cell }) => cell)).toEqual(['public.eco', 'vetted.fast']);
    const [eco] = quote.options;
    expect(eco).toMatchObject({ providers: 1, free: 1, isCalibrated: false });
    expect(eco?.finishMs.earliest).toBeLessThanOrEqual(eco?.finishMs.likely ?? 0);
    expect(eco?.finishMs.latest).toBeGreaterThanOrEqual(manifest.limits.wallMs);
    expect(eco?.risk).toEqual({
      ...{ wrong: 0.2, colluders: 0.2, check: 'single', replicas: 1 },
      ...{ isAdaptive: false, checkChance: 0 },
    });
    expect(quote.validUntilUs).toBe(driver.nowUs + QUOTE_VALID_MS * 1000);
    expect(quote.id).toMatch(/^[0-9a-f]{64}$/);
  });

  test('is the cap of the order that passes it, even after the provider asks more', () => {
    const driver = new Driver();
    driver.join('p1');
    const quote = quoted(driver);
    const price = quote.options[0]?.priceCap ?? 0n;
    driver.join('p1', { pricePerCoreSecond: 90_000n });
    driver.join('p2', { pricePerCoreSecond: 900n });
    expect(submit(driver, quote.signed, 100n * price)).toMatchObject({ is: 'order' });
    const id = rowOf(driver)?.id ?? '';
    driver.apply({ kind: 'bindingDue', request: 'q', order: id, binding: 1 });
    expect(rowOf(driver)?.lease?.provider).toBe(signerOf('p2').account);
    expect(rowOf(driver)?.lease?.price).toBeLessThanOrEqual(price);
    expect(rowOf(driver)?.forecast).toMatchObject({ quote: quote.id, price });
  });

  test('outlives the market that gave it', () => {
    const driver = new Driver();
    driver.join('p1');
    const quote = quoted(driver);
    driver.restart();
    driver.join('p1');
    expect(submit(driver, quote.signed, 10n ** 9n)).toMatchObject({ is: 'order' });
  });

  test('is refused when late, for another job, of another market, changed, or above the cap', () => {
    const driver = new Driver();
    driver.join('p1');
    const { signed, options } = quoted(driver);
    const code = (...args: [Uint8Array, bigint, Manifest?]) => {
      const reply = submit(driver, ...args);
      return reply.is === 'refused' ? reply.code : reply.is;
    };
    const other = manifestWith({ name: 'other' });
    expect(code(signed, 10n ** 9n, other)).toBe('MARKET_QUOTE_INVALID');
    const changed = Uint8Array.from(signed, (byte, i) =>
      i === signed.length - 1 ? byte ^ 1 : byte,
    );
    expect(code(changed, 10n ** 9n)).toBe('MARKET_QUOTE_INVALID');
    const foreign = signQuote(
      configOf({ signer: signerOf('another market') }),
      manifest,
      quoteJob(driver.market, needsOf(manifest)),
      driver.nowUs,
    );
    expect(code(foreign.signed, 10n ** 9n)).toBe('MARKET_QUOTE_INVALID');
    expect(code(signed, (options[0]?.priceCap ?? 0n) - 1n)).toBe('MARKET_CAP_TOO_LOW');
    driver.wait(QUOTE_VALID_MS + 1);
    expect(code(signed, 10n ** 9n)).toBe('MARKET_QUOTE_EXPIRED');
    expect(driver.market.orders.size).toBe(0);
  });

  test('anything else than a quote is refused, never thrown', () => {
    const config = configOf();
    const driver = new Driver();
    driver.join('p1');
    const { signed } = quoted(driver);
    const mutated = fc
      .tuple(fc.nat(signed.length - 1), fc.integer({ min: 1, max: 255 }))
      .map(([at, by]) => Uint8Array.from(signed, (byte, i) => (i === at ? byte ^ by : byte)));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated), (bytes) => {
        const asked = { manifest: 'x', priceCap: 1n };
        expect(readQuote(config, bytes, asked, 0)).toMatchObject({ code: 'MARKET_QUOTE_INVALID' });
      }),
      { numRuns: 100 },
    );
  });
});
