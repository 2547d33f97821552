import fc from 'fast-check';
import { type Delivery } from '#contracts';
import { MARKET_ENTRIES, eventBatch } from '#libs/audit';
import { decodeWith } from '#libs/kernel';
import type { MarketConfig } from '../model/config.ts';
import type { MarketEffect } from '../model/effects.ts';
import {
  Driver,
  SOME_CID,
  blockHash,
  configOf,
  fact,
  manifestWith,
  only,
  signerOf,
} from '../testing/driver.ts';
import { deliver as deliverBy } from '../testing/delivery.ts';
import { deliveryHash } from '../delivery-hash.ts';
import { auditChance, drawOf, foundInSample, judgeStake, sampleOf } from '../verification/index.ts';

const OTHER = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy';
const NAMES = ['p1', 'p2', 'p3', 'p4'];
const MARKET = signerOf('market').account;
const nameOf = (account = ''): string =>
  NAMES.find((name) => signerOf(name).account === account) ?? 'nobody';

/** What its holder says of the order, and storage has it. */
const deliver = (driver: Driver, id: string, change: Partial<Delivery> = {}) =>
  deliverBy(driver, id, nameOf(driver.market.orders.get(id)?.lease?.provider), change);

function bind(driver: Driver, id: string): string {
  const binding = driver.market.orders.get(id)?.binding ?? 0;
  driver.apply({ kind: 'bindingDue', request: 'q', order: id, binding });
  return nameOf(driver.market.orders.get(id)?.lease?.provider);
}

/** An order that somebody has delivered and a block settled, in a market that audits all. */
function audited(said: Partial<Delivery>, change: Partial<MarketConfig> = {}, count = 4) {
  const driver = new Driver(configOf({ auditShare: 1, slashedPerMille: 500n, ...change }));
  for (const name of NAMES.slice(0, count)) driver.join(name);
  const job = manifestWith({ tier: 'B' });
  const reply = driver.submit(driver.order(job), job);
  if (reply.is !== 'order') throw new Error(JSON.stringify(reply));
  const { id } = reply.view;
  const worker = bind(driver, id);
  const before = deliver(driver, id, said);
  expect(only(before, 'readBalance')).toEqual([]);
  const effects = settle(driver, [id]);
  return { driver, id, worker, effects };
}

/** The market's balance is read, so whatever waits for it is ordered. */
const fund = (driver: Driver, amount = 0n): readonly MarketEffect[] =>
  driver.apply({
    ...{ kind: 'balanceRead', account: MARKET },
    balance: { amount, height: driver.market.meta.height },
  });

const auditOf = (driver: Driver, id: string) => driver.market.orders.get(id)?.audit;
const lastOf = (driver: Driver, id: string): string => auditOf(driver, id)?.orders.at(-1) ?? '';

/** The next audit is done by somebody who says this. */
function answer(driver: Driver, id: string, said: Partial<Delivery>): string {
  fund(driver);
  const order = lastOf(driver, id);
  const name = bind(driver, order);
  deliver(driver, order, said);
  return name;
}

/** Final blocks settle these orders. */
function settle(driver: Driver, ids: readonly string[]): readonly MarketEffect[] {
  driver.block(ids.map((one) => fact(one, 'placed')));
  const settled = driver.block(
    ids.map((one) => {
      const provider = driver.market.orders.get(one)?.delivery?.delivery.provider ?? '';
      return fact(one, 'settled', 1, { provider });
    }),
  );
  return [...settled, ...driver.wait(4_000)];
}

const entriesOf = (driver: Driver, wanted: string) =>
  [...driver.rows.values()]
    .filter(({ table }) => table === 'batch')
    .flatMap(({ bytes }) => decodeWith(eventBatch, bytes).entries)
    .filter(({ kind }) => kind === wanted)
    .map(({ data }) => data);
const checksOf = (driver: Driver): string[] =>
  entriesOf(driver, 'checked').map((data) => decodeWith(MARKET_ENTRIES.checked, data).code);
const trustOf = (driver: Driver, name: string) =>
  driver.market.providers.get(signerOf(name).account)?.row.trust;

describe('results of js orders of the tiers A and B, done again at random', () => {
  test('an equal result of another operator is trust for both; the market pays for it', () => {
    const { driver, id, worker, effects } = audited({});
    expect(only(effects, 'readBalance')).toEqual([{ kind: 'readBalance', account: MARKET }]);
    expect(driver.market.orders.get(id)?.work).toBe('done');
    const placed = only(fund(driver), 'submitTransaction').flatMap(({ body }) => body.calls);
    expect(placed.map(({ method }) => method)).toEqual(['deposit', 'place']);
    const order = driver.market.orders.get(lastOf(driver, id));
    expect(order?.signed.order).toMatchObject({
      ...{ consumer: MARKET, manifest: driver.market.orders.get(id)?.signed.order.manifest },
    });
    const auditor = bind(driver, lastOf(driver, id));
    expect(auditor).not.toBe(worker);
    deliver(driver, lastOf(driver, id));
    expect(auditOf(driver, id)?.state).toBe('right');
    for (const name of [worker, auditor])
      expect(trustOf(driver, name)).toMatchObject({ consecutiveValid: 1, wrong: 0 });
    expect(checksOf(driver)).toEqual(['audit-right']);
  });

  test('a purse that is full is not filled', () => {
    const { driver } = audited({});
    const calls = only(fund(driver, 10n ** 9n), 'submitTransaction').flatMap(
      ({ body }) => body.calls,
    );
    expect(calls.map(({ method }) => method)).toEqual(['place']);
  });

  test('a liar is alone against two others, loses trust and is convicted on the chain, once', () => {
    const { driver, id, worker } = audited({ result: OTHER });
    const first = answer(driver, id, {});
    expect(auditOf(driver, id)).toMatchObject({ state: 'due' });
    const second = answer(driver, id, {});
    expect(new Set([worker, first, second]).size).toBe(3);
    expect(auditOf(driver, id)).toMatchObject({ state: 'wrong', odd: id });
    expect(trustOf(driver, worker)).toMatchObject({ consecutiveValid: 0, wrong: 1 });
    expect(trustOf(driver, first)).toMatchObject({ consecutiveValid: 1, wrong: 0 });
    const convictions = (given: readonly MarketEffect[]) =>
      only(given, 'submitTransaction').filter(({ key }) => key === `convict/${id}`);
    const orders = auditOf(driver, id)?.orders ?? [];
    const sent = convictions(settle(driver, orders));
    expect(sent[0]?.body.calls).toMatchObject([{ contract: 'disputes', method: 'convict' }]);
    driver.block([]);
    expect(convictions(driver.wait(60_000))).toEqual([]);
    expect(checksOf(driver)).toEqual(['audit-wrong', 'convicted']);
  });

  test('an auditor that lies is the odd one', () => {
    const { driver, id, worker } = audited({});
    const liar = answer(driver, id, { result: OTHER });
    answer(driver, id, {});
    expect(auditOf(driver, id)).toMatchObject({ odd: auditOf(driver, id)?.orders[0] });
    expect(trustOf(driver, liar)?.wrong).toBe(1);
    expect(trustOf(driver, worker)).toMatchObject({ consecutiveValid: 1, wrong: 0 });
    expect(checksOf(driver)).toEqual(['audit-right']);
  });

  test('three results of three operators blame nobody; nor does a run that a limit ends', () => {
    const { driver, id } = audited({ result: OTHER });
    answer(driver, id, { exit: 'guest-error', result: undefined });
    answer(driver, id, {});
    expect(auditOf(driver, id)?.state).toBe('undone');
    const other = audited({ result: OTHER });
    answer(other.driver, other.id, { exit: 'wall-limit', result: undefined });
    expect(auditOf(other.driver, other.id)?.state).toBe('undone');
    for (const name of NAMES) expect(trustOf(other.driver, name)).toBeUndefined();
  });

  test('without another operator nothing is ordered, and the log says so', () => {
    const { driver, id } = audited({}, {}, 1);
    fund(driver);
    expect(auditOf(driver, id)).toEqual({ state: 'undone', orders: [] });
    expect(checksOf(driver)).toEqual(['audit-undone']);
  });

  test('audits go on after a restart, and none is ordered twice', () => {
    const { driver, id } = audited({ result: OTHER });
    const again = driver.restart();
    expect(only(again, 'readBalance')).toHaveLength(1);
    for (const name of NAMES) driver.join(name);
    fund(driver);
    const [order] = auditOf(driver, id)?.orders ?? [];
    driver.restart();
    for (const name of NAMES) driver.join(name);
    fund(driver);
    expect(auditOf(driver, id)?.orders).toEqual([order]);
    bind(driver, order ?? '');
    deliver(driver, order ?? '');
    answer(driver, id, {});
    expect(auditOf(driver, id)).toMatchObject({ state: 'wrong', odd: id });
    driver.restart();
    const { orders = [] } = auditOf(driver, id) ?? {};
    driver.apply({ kind: 'nonceRead', nonce: 0, height: 0 });
    const sent = only(settle(driver, orders), 'submitTransaction');
    expect(sent.some(({ key }) => key === `convict/${id}`)).toBe(true);
  });

  test('who was found wrong three times gets no more work, and the reason says so', () => {
    const driver = new Driver(configOf({ auditShare: 1 }));
    driver.join('p1');
    const provider = driver.market.providers.get(signerOf('p1').account);
    if (!provider) throw new Error('no provider');
    provider.row = { ...provider.row, trust: { consecutiveValid: 0, wrong: 3 } };
    const job = manifestWith();
    expect(driver.submit(driver.order(job), job)).toMatchObject({
      ...{ code: 'MARKET_NOTHING_FITS', reasons: [{ code: 'barred', providers: 1 }] },
    });
  });

  test('what a validator has let pass is done again like anything else', () => {
    const driver = new Driver(configOf({ auditShare: 1 }));
    for (const name of NAMES) driver.join(name);
    const limits = { ...manifestWith().limits, outputBytes: 1000 };
    const job = manifestWith({ limits, validator: { code: SOME_CID, params: '{}' } });
    const reply = driver.submit(driver.order(job), job);
    if (reply.is !== 'order') throw new Error(JSON.stringify(reply));
    const { id } = reply.view;
    bind(driver, id);
    deliver(driver, id);
    const accept = (order: string) =>
      driver.apply({ kind: 'validated', order, fence: 1, verdict: { is: 'accepted' } });
    accept(id);
    settle(driver, [id]);
    answer(driver, id, {});
    expect(auditOf(driver, id)?.state).toBe('due');
    accept(lastOf(driver, id));
    expect(auditOf(driver, id)?.state).toBe('right');
  });

  test('the block that settles decides, and anyone comes to the same with chain and log', () => {
    const known = new Map<string, boolean>();
    for (const salt of Array(40).keys()) {
      const driver = new Driver(configOf({ auditShare: 0.04 }));
      for (const name of NAMES) driver.join(name);
      const job = manifestWith();
      const reply = driver.submit(
        driver.order(job, { placeByUs: driver.nowUs + 60e6 + salt }),
        job,
      );
      if (reply.is !== 'order') throw new Error(JSON.stringify(reply));
      const { id } = reply.view;
      bind(driver, id);
      deliver(driver, id);
      const signed = driver.market.orders.get(id)?.delivery?.delivery as Delivery;
      settle(driver, [id]);
      const [entry] = entriesOf(driver, 'settled').map((data) =>
        decodeWith(MARKET_ENTRIES.settled, data),
      );
      const { height = 0, checkPerMillion = 0 } = entry ?? {};
      // Of who is not trusted yet five times as many.
      expect(checkPerMillion).toBe(200_000);
      const draw = drawOf('audit', { block: blockHash(height), delivery: deliveryHash(signed) });
      expect(auditOf(driver, id) !== undefined).toBe(draw * 1e6 < checkPerMillion);
      known.set(id, auditOf(driver, id) !== undefined);
    }
    const drawn = [...known.values()].filter(Boolean).length;
    expect(drawn).toBeGreaterThan(0);
    expect(drawn).toBeLessThan(20);
  });
});

test('cheating loses money wherever the bond is worth more than three prices', () => {
  const trust = fc.record({ consecutiveValid: fc.nat(60), wrong: fc.nat(4) });
  fc.assert(
    fc.property(
      trust,
      fc.bigInt(1n, 10n ** 12n),
      fc.bigInt(0n, 10n ** 14n),
      (known, gain, more) => {
        const atStake = 3n * gain + more;
        const chance = auditChance(known, { gain, atStake });
        expect(judgeStake({ checkChance: chance, atStake, gain }).isDeterred).toBe(true);
        // Never more than half of the work is done twice, and never none of it.
        expect(chance).toBeLessThanOrEqual(0.5);
        expect(auditChance(known, { gain, atStake: 0n })).toBeGreaterThanOrEqual(0.02);
      },
    ),
  );
});

test('lying in some tasks of a batch loses money as well: the sample finds at least its share of them', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 200 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.bigInt(1n, 10n ** 9n),
      fc.bigInt(0n, 10n ** 12n),
      (units, share, each, more) => {
        const wrong = Math.max(1, Math.round(share * units));
        const batch = each * BigInt(units);
        const atStake = 3n * batch + more;
        const trust = { consecutiveValid: 60, wrong: 0 };
        const found = foundInSample(units, wrong);
        expect(found).toBeGreaterThanOrEqual(wrong / units - 1e-9);
        const checkChance = Math.min(1, auditChance(trust, { gain: batch, atStake }) * found);
        const gain = each * BigInt(wrong);
        expect(judgeStake({ checkChance, atStake, gain }).isDeterred).toBe(true);
      },
    ),
  );
});

test('a draw is even and fixed by block and delivery; the sample is of the batch, each unit once', () => {
  const seeds = Array.from({ length: 400 }, (_, i) => ({
    ...{ block: blockHash(i), delivery: blockHash(1_000 + (i % 7)) },
  }));
  const draws = seeds.map((seed) => drawOf('audit', seed));
  expect(seeds.map((seed) => drawOf('audit', seed))).toEqual(draws);
  expect(draws.filter((draw) => draw < 0.1).length).toBeGreaterThan(15);
  expect(draws.filter((draw) => draw < 0.1).length).toBeLessThan(80);
  const units = [3, 4, 5, 90, 91, 199];
  const samples = seeds.slice(0, 50).map((seed) => sampleOf(seed, units));
  for (const sample of samples) {
    expect(new Set(sample).size).toBe(4);
    expect(sample.every((unit) => units.includes(unit))).toBe(true);
  }
  expect(new Set(samples.flat()).size).toBe(units.length);
  expect(sampleOf(seeds[0] as (typeof seeds)[0], [8])).toEqual([8]);
});
