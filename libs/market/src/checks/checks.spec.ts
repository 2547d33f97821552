import { type Delivery, unitsOf } from '#contracts';
import { MARKET_ENTRIES, eventBatch } from '#libs/audit';
import { decodeWith } from '#libs/kernel';
import type { Manifest } from '../manifest.ts';
import type { MarketEffect } from '../model/effects.ts';
import { quoteJob } from '../quote.ts';
import { needsOf } from '../fitting.ts';
import { bindAll, deliveryOf, executeAll, submitUnplaced } from '../testing/array-driver.ts';
import {
  blockHash,
  Driver,
  SOME_CID,
  configOf,
  fact,
  manifestWith,
  only,
  signerOf,
} from '../testing/driver.ts';
import { deliver } from '../testing/delivery.ts';

const RUN = {
  ...{ engine: 'ee'.repeat(32), fuel: 5n, checkpoints: 2, checkpointsRoot: 'ab'.repeat(32) },
  ...{ outputChain: 'cd'.repeat(32), outputBytes: 3 },
};
const { engine: _engine, ...CLAIM } = { ...RUN, exit: 'ok' as const };
const verifiable = manifestWith({ kind: 'verifiable', metering: { fuel: 5_000n } });

/** An order that p1 works on. */
function working(manifest: Manifest, config = configOf()) {
  const driver = new Driver(config);
  driver.join('p1', { kinds: ['js', 'wasm', 'verifiable'] });
  const reply = driver.submit(driver.order(manifest), manifest);
  if (reply.is !== 'order') throw new Error(JSON.stringify(reply));
  const { id } = reply.view;
  const binding = driver.market.orders.get(id)?.binding ?? 0;
  driver.apply({ kind: 'bindingDue', request: 'q', order: id, binding });
  return { driver, id };
}

/** It delivers, and storage has the result. */
const delivered = (driver: Driver, id: string, change: Partial<Delivery> = {}) =>
  deliver(driver, id, 'p1', change);

/** Blocks place the order and pay its provider. */
function settled(driver: Driver, id: string): readonly MarketEffect[] {
  driver.block([fact(id, 'placed')]);
  return driver.block([fact(id, 'settled', 1, { provider: signerOf('p1').account })]);
}

/** Codes of what the job's log says was checked. */
const checksOf = (driver: Driver): string[] =>
  [...driver.rows.values()]
    .filter(({ table }) => table === 'batch')
    .flatMap(({ bytes }) => decodeWith(eventBatch, bytes).entries)
    .filter(({ kind }) => kind === 'checked')
    .map(({ data }) => decodeWith(MARKET_ENTRIES.checked, data).code);

const trustOf = (driver: Driver) => driver.market.providers.get(signerOf('p1').account)?.row.trust;
const workOf = (driver: Driver, id: string) => driver.market.orders.get(id)?.work;

describe('metered results, run again at random by the market', () => {
  const always = configOf({ replayShare: 1 });

  function replayed(claim: Partial<typeof CLAIM>, result = SOME_CID) {
    const { driver, id } = working(verifiable, always);
    expect(only(delivered(driver, id, { metered: RUN }), 'replayJob')).toEqual([]);
    const effects = settled(driver, id);
    expect(only(effects, 'replayJob')).toMatchObject([{ order: id, manifest: expect.any(String) }]);
    const outcome = { is: 'run', claim: { ...CLAIM, ...claim }, result } as const;
    return { driver, id, effects: driver.apply({ kind: 'replayed', order: id, outcome }) };
  }

  test('drawn at the stated share, and the result counts meanwhile', () => {
    const never = working(verifiable, configOf({ replayShare: 0 }));
    delivered(never.driver, never.id, { metered: RUN });
    expect(only(settled(never.driver, never.id), 'replayJob')).toEqual([]);
    const { driver, id } = working(verifiable, always);
    delivered(driver, id, { metered: RUN });
    expect(workOf(driver, id)).toBe('done');
  });

  test('a run that bears it out is trust', () => {
    const { driver } = replayed({});
    expect(trustOf(driver)).toMatchObject({ consecutiveValid: 1, wrong: 0 });
    expect(checksOf(driver)).toEqual(['replay-right']);
  });

  test('another result costs trust, and is disputed on the chain, once', () => {
    const { driver, id, effects } = replayed({ fuel: 6n });
    expect(trustOf(driver)).toMatchObject({ consecutiveValid: 0, wrong: 1 });
    const disputes = (given: readonly MarketEffect[]) =>
      only(given, 'submitTransaction').filter(({ key }) => key === `dispute/${id}`);
    const opened = disputes(effects);
    expect(opened).toHaveLength(1);
    expect(opened[0]?.body.calls).toMatchObject([{ contract: 'disputes', method: 'open' }]);
    driver.block([]);
    expect(disputes(driver.wait(60_000))).toEqual([]);
    expect(checksOf(driver)).toEqual(['replay-wrong', 'disputed']);
  });

  test('another name for the same output costs trust; the chain does not judge it', () => {
    const { driver, id } = replayed({}, 'bafkreiother');
    expect(trustOf(driver)?.wrong).toBe(1);
    expect(driver.market.orders.get(id)?.replay).toEqual({ state: 'wrong' });
  });

  test('what is due survives a restart, also after the order has ended', () => {
    const { driver, id } = working(verifiable, always);
    delivered(driver, id, { metered: RUN });
    driver.block([fact(id, 'placed')]);
    driver.block([fact(id, 'settled', 1, { provider: signerOf('p1').account })]);
    expect(only(driver.restart(), 'replayJob')).toHaveLength(1);
    driver.wait(10_000_000);
    expect(driver.market.orders.has(id)).toBe(true);
    const outcome = { is: 'impossible', reason: 'gone' } as const;
    driver.apply({ kind: 'replayed', order: id, outcome });
    expect(driver.market.orders.get(id)?.replay).toEqual({ state: 'undone' });
  });
});

describe('results under a validator', () => {
  const validator = { code: SOME_CID, params: '{}' };
  const job = manifestWith({ validator, limits: { ...manifestWith().limits, outputBytes: 1000 } });

  test('what it accepts counts, and what it rejects is not paid and done again elsewhere', () => {
    const { driver, id } = working(job);
    const [asked] = only(delivered(driver, id), 'validate');
    expect(asked).toMatchObject({ order: id, fence: 1, result: SOME_CID });
    expect(workOf(driver, id)).toBe('checking');
    const rejected = { is: 'rejected', reason: 'not sorted' } as const;
    driver.apply({ kind: 'validated', order: id, fence: 1, verdict: rejected });
    expect(driver.market.orders.get(id)).toMatchObject({ work: 'queued', faults: 1 });
    expect(checksOf(driver)).toEqual(['validator-rejected']);
    driver.wait(60_000);
    const binding = driver.market.orders.get(id)?.binding ?? 0;
    driver.apply({ kind: 'bindingDue', request: 'q', order: id, binding });
    const again = only(delivered(driver, id), 'validate');
    expect(again).toMatchObject([{ fence: 2 }]);
    driver.apply({ kind: 'validated', order: id, fence: 2, verdict: { is: 'accepted' } });
    expect(workOf(driver, id)).toBe('done');
  });

  test('one that ends without a verdict takes nobody’s pay; one that cannot be run is asked again', () => {
    const { driver, id } = working(job);
    delivered(driver, id);
    driver.apply({ kind: 'validated', order: id, fence: 1, verdict: { is: 'unavailable' } });
    expect(workOf(driver, id)).toBe('checking');
    const broken = { is: 'broken', reason: 'fuel-limit' } as const;
    driver.apply({ kind: 'validated', order: id, fence: 1, verdict: broken });
    expect(workOf(driver, id)).toBe('done');
    expect(checksOf(driver)).toEqual(['validator-broken']);
  });

  test('of many tasks each output is looked at: rejected ones go to others, the rest is paid', () => {
    const driver = new Driver();
    driver.join('p1');
    driver.join('p2');
    const limits = { ...manifestWith().limits, outputBytes: 1000 };
    const id = submitUnplaced(driver, 10, undefined, 1, undefined, { validator, limits });
    executeAll(driver);
    const [lease] = bindAll(driver, id);
    if (!lease) throw new Error('no lease');
    const first = driver.market.batches.get(lease.lease)?.provider === signerOf('p1').account;
    const [name, other] = first ? ['p1', 'p2'] : ['p2', 'p1'];
    driver.say(name, { kind: 'accept', lease: lease.lease });
    driver.say(name, deliveryOf(name, lease));
    const { root } = driver.market.batches.get(lease.lease)?.delivery?.delivery ?? { root: '' };
    const look = { kind: 'unitsChecked', lease: lease.lease, root, outcome: 'good' } as const;
    expect(only(driver.apply(look), 'validateUnits')).toMatchObject([{ results: SOME_CID }]);
    const rejected = [3, 4].map((unit) => ({ unit, reason: 'too small' }));
    const verdict = { is: 'judged', rejected } as const;
    driver.apply({ kind: 'unitsValidated', lease: lease.lease, root, verdict });
    const batch = driver.market.batchesOf.get(id)?.get(1);
    expect(batch?.state).toBe('delivered');
    expect(unitsOf(batch?.withheld?.units ?? [])).toEqual([3, 4]);
    expect(batch?.withheld?.charge).toBeGreaterThan(0n);
    expect(driver.market.orders.get(id)?.array).toMatchObject({ done: 8 });
    driver.wait(3_000);
    const again = bindAll(driver, id);
    expect(again.flatMap(({ units }) => unitsOf(units))).toEqual([3, 4]);
    const whose = driver.market.batches.get(again[0]?.lease ?? '')?.provider;
    expect(whose).toBe(signerOf(other).account);
    expect(checksOf(driver)).toEqual(['validator-rejected']);
  });
});

describe('work of level assured', () => {
  const config = configOf({ slashedPerMille: 500n });
  const job = manifestWith();
  const price = (driver: Driver) => quoteJob(driver.market, needsOf(job));

  test('goes to nobody whose bond makes lying pay, and the reason says so', () => {
    const driver = new Driver(config);
    const asked = driver.join('p1', { level: 'assured' });
    const { account } = signerOf('p1');
    expect(only(asked, 'readBond')).toEqual([{ kind: 'readBond', account }]);
    expect(price(driver)).toMatchObject({ options: [], reasons: [{ code: 'bond', providers: 1 }] });
    expect(driver.submit(driver.order(job), job)).toMatchObject({ code: 'MARKET_NOTHING_FITS' });
    // 12 500 at most for the job, found out once in twenty, half of the bond at stake: 500 000 and more.
    driver.apply({ kind: 'bondRead', account, bonded: 499_000n });
    expect(price(driver).options).toEqual([]);
    driver.apply({ kind: 'bondRead', account, bonded: 600_000n });
    expect(price(driver).options).toHaveLength(1);
    const { height } = driver.market.meta;
    const slashed = driver.apply({
      ...{
        kind: 'block',
        hash: blockHash(0),
        height: height + 1,
        timeUs: driver.nowUs,
        orders: [],
        own: [],
      },
      bonds: [account],
    });
    expect(only(slashed, 'readBond')).toHaveLength(1);
  });

  test('other levels need none', () => {
    const driver = new Driver(config);
    expect(only(driver.join('p1'), 'readBond')).toEqual([]);
    expect(price(driver).options).toHaveLength(1);
  });
});
