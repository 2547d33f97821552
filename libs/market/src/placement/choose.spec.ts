import fc from 'fast-check';
import { createSeededRandomness } from '#libs/kernel';
import { DOMAIN_BITS } from '#libs/scheduler';
import type { ProviderOffer } from '../agent-protocol.ts';
import { domainsOf, needsOf } from '../fitting.ts';
import type { Manifest } from '../manifest.ts';
import { quoteJob } from '../quote.ts';
import { Driver, SOME_CID, manifestWith, signerOf } from '../testing/driver.ts';
import { type Choice, type Job, choosePlace } from './choose.ts';
import { observeRun } from './observe.ts';

const domain = fc.constantFrom('public', 'vetted', 'confidential', 'private');
const level = fc.constantFrom('eco', 'standard', 'fast', 'assured');
const offer: fc.Arbitrary<Partial<ProviderOffer>> = fc.record(
  {
    domain,
    level,
    benchmarkScore: fc.integer({ min: 1, max: 4000 }),
    pricePerCoreSecond: fc.bigInt({ min: 1n, max: 100_000n }),
    pricePerGibSecond: fc.bigInt({ min: 0n, max: 10_000n }),
    cores: fc.integer({ min: 0, max: 8 }),
    isolation: fc.constantFrom('S0', 'S1', 'S2', 'S3'),
    region: fc.constantFrom('eu', 'cn'),
    slots: fc.integer({ min: 0, max: 3 }),
  },
  { requiredKeys: ['domain', 'level', 'benchmarkScore', 'pricePerCoreSecond'] },
);
const manifest: fc.Arbitrary<Partial<Manifest>> = fc.record({
  tier: fc.constantFrom('A', 'B', 'C'),
  minIsolation: fc.constantFrom('S0', 'S1', 'S2'),
  resources: fc.record({ cores: fc.integer({ min: 1, max: 6 }), memoryBytes: fc.constant(1) }),
  placement: fc.record(
    {
      weights: fc.record({
        cost: fc.nat(9),
        time: fc.nat(9),
        risk: fc.integer({ min: 1, max: 9 }),
      }),
      domains: fc.subarray(['public', 'vetted', 'confidential'] as const, { minLength: 1 }),
      levels: fc.subarray(['eco', 'standard', 'fast'] as const, { minLength: 1 }),
      regions: fc.constant(['eu']),
    },
    { requiredKeys: [] },
  ),
});
const floors = fc.record({
  priceCap: fc.option(fc.bigInt({ min: 1n, max: 2_000_000n }), { nil: undefined }),
  deadlineMs: fc.constantFrom(400, 1500, 60_000, Infinity),
});

const nameOf = (i: number): string => `p${i}`;

function marketOf(offers: readonly Partial<ProviderOffer>[]): Driver {
  const driver = new Driver();
  for (const [i, change] of offers.entries()) driver.join(nameOf(i), change);
  return driver;
}

const options = (seed = 1) => ({
  ...{ mustHaveRoom: true, nowMs: 0, draws: createSeededRandomness(seed) },
});
const winner = (choice: Choice | undefined) => choice?.offer.provider.row.provider;

/** Each provider's own score, asked for by pushing all others away; the least of them. */
function flatArgmin(driver: Driver, job: Job, count: number) {
  const accounts = Array.from({ length: count }, (_, i) => signerOf(nameOf(i)).account);
  const scores = accounts.flatMap((account) => {
    const tried = accounts.filter((other) => other !== account);
    const choice = choosePlace(driver.market, { ...job, tried }, options());
    return winner(choice) === account && choice ? [{ account, total: choice.score.total }] : [];
  });
  return scores.toSorted((a, b) => a.total - b.total || (a.account < b.account ? -1 : 1))[0];
}

describe('the choice of a provider', () => {
  test('is the flat argmin over all that are permitted, the same for the same seed', () => {
    fc.assert(
      fc.property(
        fc.array(offer, { minLength: 1, maxLength: 8 }),
        manifest,
        floors,
        (offers, change, limits) => {
          const driver = marketOf(offers);
          const job = { needs: needsOf(manifestWith(change)), tried: [], ...limits };
          const choice = choosePlace(driver.market, job, options());
          expect(winner(choice)).toBe(flatArgmin(driver, job, offers.length)?.account);
          expect(winner(choosePlace(driver.market, job, options()))).toBe(winner(choice));
        },
      ),
      { numRuns: 60 },
    );
  });

  test('crosses no floor, whatever the weights', () => {
    fc.assert(
      fc.property(
        fc.array(offer, { minLength: 1, maxLength: 12 }),
        manifest,
        floors,
        fc.boolean(),
        (offers, change, limits, mustHaveRoom) => {
          const driver = marketOf(offers);
          const needs = needsOf(manifestWith(change));
          const job = { needs, tried: [], ...limits };
          const choice = choosePlace(driver.market, job, { ...options(), mustHaveRoom });
          if (!choice) return;
          const chosen = choice.offer.provider.row.offer;
          expect(DOMAIN_BITS[chosen.domain] & domainsOf(needs)).not.toBe(0);
          if (needs.tier === 'C') expect(['confidential', 'private']).toContain(chosen.domain);
          expect(needs.placement?.levels ?? [chosen.level]).toContain(chosen.level);
          expect(needs.placement?.regions ?? [chosen.region]).toContain(chosen.region);
          expect(chosen.isolation >= needs.minIsolation).toBe(true);
          expect(chosen.cores).toBeGreaterThanOrEqual(needs.cores);
          expect(choice.offer.exactPrice <= (limits.priceCap ?? choice.offer.exactPrice)).toBe(
            true,
          );
          expect(choice.offer.finishMs).toBeLessThanOrEqual(limits.deadlineMs);
        },
      ),
      { numRuns: 100 },
    );
  });

  const job = (change: Partial<Manifest> = {}): Job => ({
    ...{ needs: needsOf(manifestWith(change)), priceCap: undefined, deadlineMs: 1e6, tried: [] },
  });
  const place = (driver: Driver, wanted: Job, seed = 1) =>
    choosePlace(driver.market, wanted, options(seed));

  test('looks at a bounded number of machines in a large cell, from a start by the seed', () => {
    const driver = marketOf(Array.from({ length: 400 }, (_, i) => ({ benchmarkScore: 1000 + i })));
    const choice = place(driver, job());
    expect(choice?.looked).toBe(64);
    expect(winner(place(driver, job()))).toBe(winner(choice));
    const others = new Set([1, 2, 3, 4].map((seed) => winner(place(driver, job(), seed))));
    expect(others.size).toBeGreaterThan(1);
  });

  test('prefers who holds the inputs, and whoever failed the job comes last', () => {
    const driver = marketOf([{}, {}]);
    const inputs = [{ name: 'data', cid: SOME_CID, sizeBytes: 10 ** 9 }];
    const [p0, p1] = [signerOf('p0').account, signerOf('p1').account];
    for (const [far, near] of [
      [p0, p1],
      [p1, p0],
    ] as const) {
      driver.market.places.sawContent(near, [SOME_CID]);
      const wanted = job({ tier: 'B', inputs });
      expect(winner(place(driver, { ...wanted, tried: [far] }))).toBe(near);
      expect(winner(place(driver, { ...wanted, tried: [near] }))).toBe(far);
    }
    const fresh = marketOf([{}, {}]);
    fresh.market.places.sawContent(p1, [SOME_CID]);
    expect(winner(place(fresh, job({ tier: 'B', inputs })))).toBe(p1);
  });

  test('weighs what runs have taught of a machine against its price', () => {
    const driver = marketOf([{ benchmarkScore: 1000 }, { benchmarkScore: 8000 }]);
    const [slow, quick] = [signerOf('p0').account, signerOf('p1').account];
    const provider = driver.market.providers.get(quick);
    if (!provider) throw new Error('nobody');
    const wanted = job({ tier: 'B' });
    expect(winner(place(driver, wanted))).toBe(quick);
    // The code does not run faster there at all, whatever the benchmark says.
    for (const [account, wallMs] of [
      [slow, 500],
      [quick, 4000],
    ] as const)
      for (let i = 0; i < 20; i++) {
        const ran = driver.market.providers.get(account) ?? provider;
        const usage = { cpuMs: wallMs, wallMs, peakMemoryBytes: 1 };
        observeRun(driver.market, ran, { needs: wanted.needs, usage, neighbours: [] });
      }
    expect(winner(place(driver, wanted))).toBe(slow);
  });

  test('leaves machines alone where somebody would suffer beyond the level', () => {
    const driver = marketOf([
      { level: 'fast', slots: 2 },
      { level: 'eco', slots: 2 },
    ]);
    const { learned } = driver.market.places;
    const fast = driver.market.providers.get(signerOf('p0').account);
    const order = driver.order(manifestWith({ tier: 'B' }));
    const reply = driver.submit(order, manifestWith({ tier: 'B' }));
    if (reply.is !== 'order' || !fast) throw new Error(JSON.stringify(reply));
    driver.apply({ kind: 'bindingDue', request: 'q', order: reply.view.id, binding: 1 });
    expect([...fast.holding]).toEqual([reply.view.id]);
    expect(winner(place(driver, job({ tier: 'B' })))).toBe(fast.row.provider);
    for (let i = 0; i < 40; i++) learned.interference.observed(0, [0], 1.8);
    expect(winner(place(driver, job({ tier: 'B' })))).not.toBe(fast.row.provider);
  });

  test('says what made it so', () => {
    const driver = marketOf([{}, { level: 'fast', pricePerCoreSecond: 50_000n }]);
    const choice = place(driver, job());
    expect(choice).toMatchObject({ cells: 2, visited: 1, looked: 1 });
    const { cost, time, risk, packing, total } = choice?.score ?? {
      ...{ cost: 0, time: 0, risk: 0, packing: 0, total: 0 },
    };
    expect(cost + time + risk + packing).toBeCloseTo(total, 12);
  });

  test('makes sense of any numbers that documents can hold', () => {
    const any = fc.constantFrom(0, 1, 2 ** 31, Number.MAX_SAFE_INTEGER);
    const money = fc.constantFrom(0n, 1n, 2n ** 64n - 1n);
    const extreme = fc.record({
      ...{ slots: fc.constantFrom(0, 4096), cores: fc.constantFrom(0, 4096) },
      ...{ memoryBytes: any, diskBytes: any, benchmarkScore: any },
      ...{ pricePerCoreSecond: money, pricePerGibSecond: money },
    });
    const limits = fc.record({ wallMs: any, cpuMs: any, memoryBytes: any });
    fc.assert(
      fc.property(
        fc.array(extreme, { minLength: 1, maxLength: 4 }),
        limits,
        any,
        fc.option(money, { nil: undefined }),
        (offers, most, sizeBytes, priceCap) => {
          const driver = marketOf(offers);
          const { limits: preset } = manifestWith();
          const inputs = [{ name: 'in', cid: SOME_CID, sizeBytes }];
          const change = { limits: { ...preset, ...most }, inputs };
          const wanted = { ...job(change), priceCap, deadlineMs: Infinity };
          for (const mustHaveRoom of [true, false]) {
            const choice = choosePlace(driver.market, wanted, { ...options(), mustHaveRoom });
            if (choice) expect(choice.score.total).toBeGreaterThanOrEqual(0);
          }
          for (const { finishMs, expectedPrice, priceCap: cap } of quoteJob(
            driver.market,
            wanted.needs,
          ).options) {
            expect(Number.isFinite(finishMs.latest)).toBe(true);
            expect(expectedPrice <= cap).toBe(true);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test.each([Number.NaN, -1, 0])('has no place for a job with %d ms left', (deadlineMs) => {
    expect(place(marketOf([{}]), { ...job(), deadlineMs })).toBeUndefined();
  });
});
