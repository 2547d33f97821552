import { createSeededRandomness } from '#libs/kernel';
import { quoteJob, signQuote } from '../index.ts';
import { needsOf } from '../fitting.ts';
import { Driver, manifestWith, replyIn, signerOf } from '../testing/driver.ts';
import { Shift } from '../testing/shift.ts';
import { marketStatus } from '../views.ts';

const manifest = manifestWith();
const ann = signerOf('ann');

/** Log-normal runs around 800 ms, with orders in between that make each other wait. */
function quotedOrders(count: number) {
  const driver = new Driver();
  driver.join('p1', { slots: 2 });
  const draws = createSeededRandomness(5);
  const lengths = new Map<string, number>();
  const runMs = (order: string): number => {
    const known = lengths.get(order);
    if (known !== undefined) return known;
    const normal = Array.from({ length: 12 }, () => draws.float()).reduce((a, b) => a + b, -6);
    const ms = Math.round(800 * Math.exp(0.25 * normal));
    lengths.set(order, ms);
    return ms;
  };
  const shift = new Shift({ driver, providers: ['p1'], runMs });
  for (let i = 0; i < count; i++) {
    const quote = quoteJob(driver.market, needsOf(manifest));
    const { signed } = signQuote(driver.market.config, manifest, quote, driver.nowUs);
    const order = driver.order(manifest, { completeByUs: driver.nowUs + 3.6e9 }, ann);
    const balance = { amount: 10n ** 15n, height: 0 };
    const reply = replyIn(
      driver.apply({ kind: 'submitOrder', request: 'r', order, manifest, balance, quote: signed }),
    );
    if (reply.is !== 'order') throw new Error(JSON.stringify(reply));
    shift.bind(reply.view.id);
    // Now and then nobody is there, else there is a queue.
    const few = i % 8 === 0 ? -1 : 2;
    while (driver.market.places.waiting.size > few && shift.next() !== undefined);
  }
  while (shift.next() !== undefined);
  return driver;
}

describe('what was foreseen', () => {
  test('is kept: price and finish of at least 95 of 100 quotes, with intervals that narrow', () => {
    const driver = quotedOrders(400);
    const { quotes } = marketStatus(driver.market);
    expect(quotes).toMatchObject({ ended: 400, dear: 0, failed: 0 });
    expect(quotes.kept / quotes.ended).toBeGreaterThanOrEqual(0.95);
    const [option] = quoteJob(driver.market, needsOf(manifest)).options;
    expect(option?.isCalibrated).toBe(true);
    expect(option?.finishMs.latest).toBeLessThan(manifest.limits.wallMs);
    expect(option?.finishMs.likely).toBeGreaterThan(500);
    expect(option?.finishMs.likely).toBeLessThan(1300);
  });

  test('is kept through a change of load: after each late one the next intervals are wider', () => {
    const { learned } = new Driver().market.places;
    const draws = createSeededRandomness(9);
    let late = 0;
    for (let i = 0; i < 1500; i++) {
      // The machines become three times as slow, and later quick again.
      const shift = i >= 500 && i < 1000 ? Math.log(3) : 0;
      const error = shift + 0.6 * (draws.float() + draws.float() - 1);
      const high = learned.finishErrors[2]?.upper(learned.lateTailOf(2)) ?? Math.log(20);
      const isLate = error > high;
      if (isLate) late += 1;
      learned.finishErrors[2]?.observe(error);
      learned.observeLate(2, isLate);
    }
    expect(late / 1500).toBeLessThan(0.03);
  });

  test('is kept from the first order on, when what slows one order slows those beside it', () => {
    // Four at a time are quoted before any of them ends; one in fifty fours meets a busy machine.
    const keptBy = (seed: number): number => {
      const { learned } = new Driver().market.places;
      const draws = createSeededRandomness(seed);
      let kept = 0;
      for (let i = 0; i < 60; i += 4) {
        const high = learned.finishErrors[2]?.upper(learned.lateTailOf(2)) ?? Math.log(50);
        const busy = draws.float() < 0.02 ? 0.8 + 0.8 * draws.float() : 0;
        for (let k = 0; k < 4; k++) {
          const error = busy + 0.5 * (draws.float() + draws.float() + draws.float() - 1.5);
          if (error <= high) kept += 1;
          learned.finishErrors[2]?.observe(error);
          learned.observeLate(2, error > high);
        }
      }
      return kept / 60;
    };
    const runs = Array.from({ length: 100 }, (_, seed) => keptBy(seed + 1));
    expect(runs.filter((share) => share >= 0.95).length).toBeGreaterThanOrEqual(95);
  });

  test('a guess is never narrower than twice the worst that was seen', () => {
    const driver = new Driver();
    driver.join('p1');
    const latest = () =>
      quoteJob(driver.market, needsOf(manifest)).options[0]?.finishMs.latest ?? 0;
    const guess = latest();
    expect(guess).toBeGreaterThan(manifest.limits.wallMs);
    driver.market.places.learned.finishErrors[0]?.observe(Math.log(30));
    expect(latest()).toBeGreaterThan(2 * guess);
  });

  test('what was learned is stored and taken back', () => {
    const driver = quotedOrders(30);
    const before = quoteJob(driver.market, needsOf(manifest)).options[0];
    driver.wait(10_000);
    expect(
      [...driver.rows.keys()].filter((key) => key.startsWith('learned/')).length,
    ).toBeGreaterThan(4);
    driver.restart();
    driver.join('p1', { slots: 2 });
    const after = quoteJob(driver.market, needsOf(manifest)).options[0];
    expect(after?.finishMs).toEqual(before?.finishMs);
    expect(after?.expectedPrice).toBe(before?.expectedPrice);
    expect(marketStatus(driver.market).quotes.ended).toBe(30);
  });

  test('a deadline that nobody can make is refused at once, with the nearest that could', () => {
    const driver = new Driver();
    driver.join('p1');
    const data = manifestWith({
      limits: { ...manifest.limits, wallMs: 1000 },
      inputs: [{ name: 'in', cid: manifest.code, sizeBytes: 1_000_000_000 }],
    });
    const late = driver.order(data, {
      placeByUs: driver.nowUs + 1e6,
      completeByUs: driver.nowUs + 2e6,
    });
    const reply = driver.submit(late, data);
    expect(reply).toMatchObject({ is: 'refused', code: 'MARKET_DEADLINE' });
    expect(reply.is === 'refused' && reply.message).toMatch(
      /^with 9 in 10 .* completeBy leaves 2000 ms; it would be taken with completeBy \d+ ms later$/,
    );
    driver.market.places.sawContent(signerOf('p1').account, [manifest.code]);
    const again = driver.order(data, {
      placeByUs: driver.nowUs + 1e6,
      completeByUs: driver.nowUs + 2e6,
    });
    expect(driver.submit(again, data).is).toBe('order');
  });

  test('names the price at which it would be in time', () => {
    const driver = new Driver();
    driver.join('p1', { benchmarkScore: 10 });
    driver.join('p2', { level: 'fast', benchmarkScore: 1000, pricePerCoreSecond: 50_000n });
    const shift = new Shift({ driver, providers: ['p1', 'p2'], runMs: () => 1000 });
    for (let i = 0; i < 40; i++) {
      shift.order(ann, manifestWith({ tier: 'B' }), 10n ** 9n);
      shift.next();
    }
    const short = manifestWith({ limits: { ...manifest.limits, wallMs: 9000 } });
    const order = driver.order(short, {
      ...{
        priceCap: 100_000n,
        placeByUs: driver.nowUs + 1e6,
        completeByUs: driver.nowUs + 9_020_000,
      },
    });
    const reply = driver.submit(order, short, 10n ** 12n);
    expect(reply).toMatchObject({ is: 'refused', code: 'MARKET_DEADLINE' });
    expect(reply.is === 'refused' && reply.message).toMatch(
      /or priceCap → [0-9.]+ in public\.fast$/,
    );
  });
});

describe('offers that do not hold', () => {
  const decline = (driver: Driver, code: string) => {
    const id = driver.submit(driver.order(manifest), manifest);
    if (id.is !== 'order') throw new Error(JSON.stringify(id));
    driver.apply({ kind: 'bindingDue', request: 'q', order: id.view.id, binding: 1 });
    const lease = driver.market.orders.get(id.view.id)?.lease?.lease ?? '';
    driver.say('p1', { kind: 'accept', lease });
    driver.say('p1', { kind: 'decline', lease, code, reason: 'no' });
    driver.apply({ kind: 'cancelOrder', request: 'c', order: id.view.id, by: ann.account });
  };
  const providerOf = (driver: Driver) => driver.market.providers.get(signerOf('p1').account);

  test('whoever cannot do what it offers is given less of it, until it can again', () => {
    const driver = new Driver();
    driver.join('p1', { slots: 10, cores: 10 });
    for (let i = 0; i < 3; i++) decline(driver, 'PROVIDER_LIMITS');
    expect(providerOf(driver)?.trust).toBeCloseTo(0.343);
    driver.wait(6000);
    driver.restart();
    driver.join('p1', { slots: 10, cores: 10 });
    expect(providerOf(driver)?.trust).toBeCloseTo(0.343);
    const shift = new Shift({ driver, providers: ['p1'], runMs: () => 10 });
    for (let i = 0; i < 6; i++) shift.order(ann, manifest);
    expect([...shift.running].length).toBe(4);
    while (shift.next() !== undefined);
    for (let i = 0; i < 3; i++) {
      shift.order(ann, manifest);
      shift.next();
    }
    expect(providerOf(driver)?.trust).toBe(1);
  });

  test('whoever comes and goes with work rests for a moment, and is asked again after it', () => {
    const driver = new Driver();
    driver.join('p1');
    for (let i = 0; i < 4; i++) decline(driver, 'PROVIDER_RESTARTED');
    const reply = driver.submit(driver.order(manifest), manifest);
    if (reply.is !== 'order') throw new Error(JSON.stringify(reply));
    const { id } = reply.view;
    driver.apply({ kind: 'bindingDue', request: 'q', order: id, binding: 1 });
    expect(driver.market.orders.get(id)?.work).toBe('queued');
    driver.wait(5_001);
    expect(driver.market.orders.get(id)?.work).toBe('leased');
  });
});
