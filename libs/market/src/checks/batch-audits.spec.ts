import { unitsOf } from '#contracts';
import { MARKET_ENTRIES, eventBatch } from '#libs/audit';
import { decodeWith } from '#libs/kernel';
import type { MarketEffect } from '../model/effects.ts';
import { type Manifest } from '../manifest.ts';
import { decodeRow, unitsId } from '../model/rows.ts';
import {
  type Told,
  bindAll,
  deliver,
  executeAll,
  submitUnplaced,
} from '../testing/array-driver.ts';
import { Driver, configOf, only, signerOf } from '../testing/driver.ts';

const NAMES = ['p1', 'p2', 'p3', 'p4'];
const MARKET = signerOf('market').account;
const TASKS = 20;
const nameOf = (account = ''): string =>
  NAMES.find((name) => signerOf(name).account === account) ?? 'nobody';

/** The database answers what the market reads of it. */
function readLeaves(driver: Driver, effects: readonly MarketEffect[]): readonly MarketEffect[] {
  return only(effects, 'readLeaves').flatMap(({ order, fence }) => {
    const row = driver.rows.get(`leaves/${unitsId(order, fence)}`);
    if (!row) throw new Error('no leaves');
    const { leaves } = decodeRow('leaves', row.bytes);
    return driver.apply({ kind: 'leavesRead', order, fence, leaves });
  });
}

const fund = (driver: Driver): readonly MarketEffect[] =>
  driver.apply({
    ...{ kind: 'balanceRead', account: MARKET },
    balance: { amount: 10n ** 9n, height: driver.market.meta.height },
  });

interface Given {
  readonly told?: Told;
  readonly providers?: number;
  readonly share?: number;
  readonly manifest?: Partial<Manifest>;
}

/** An order of many tasks that one operator has done, and blocks settled. */
function settled({ told = {}, providers = 4, share = 1, manifest = {} }: Given = {}) {
  const driver = new Driver(configOf({ auditShare: share, slashedPerMille: 500n }));
  for (const name of NAMES.slice(0, providers)) driver.join(name);
  const id = submitUnplaced(driver, TASKS, undefined, 1, undefined, manifest);
  executeAll(driver);
  const [lease] = bindAll(driver, id, 1);
  if (!lease) throw new Error('no lease');
  const worker = nameOf(driver.market.batches.get(lease.lease)?.provider);
  deliver(driver, worker, lease, told);
  // Bound, paid, and the order closed.
  const effects = [executeAll(driver), executeAll(driver), executeAll(driver)].flat();
  const waiting = readLeaves(driver, effects);
  return { driver, id, worker, effects, waiting };
}

const auditOf = (driver: Driver, id: string) => driver.market.orders.get(id)?.audits?.[0];

/** The next audit is ordered and done by somebody who says this; blocks pay for it. */
function answer(driver: Driver, id: string, told: Told = {}): string {
  fund(driver);
  const order = auditOf(driver, id)?.audit.orders.at(-1) ?? '';
  executeAll(driver);
  const [lease] = bindAll(driver, order, 1);
  if (!lease) throw new Error('the audit is not handed out');
  expect(unitsOf(lease.units)).toEqual(auditOf(driver, id)?.tasks);
  const name = nameOf(driver.market.batches.get(lease.lease)?.provider);
  deliver(driver, name, lease, told);
  executeAll(driver);
  return name;
}

const checksOf = (driver: Driver, id: string): string[] =>
  [...driver.rows.values()]
    .filter(({ table, id: row }) => table === 'batch' && row.startsWith(id))
    .flatMap(({ bytes }) => decodeWith(eventBatch, bytes).entries)
    .filter(({ kind }) => kind === 'checked')
    .map(({ data }) => decodeWith(MARKET_ENTRIES.checked, data).code);
const trustOf = (driver: Driver, name: string) =>
  driver.market.providers.get(signerOf(name).account)?.row.trust;
const lying = (driver: Driver, id: string): Told => {
  const [wrong = -1] = auditOf(driver, id)?.tasks ?? [];
  return { saying: (unit) => (unit === wrong ? 7 : 0) };
};

describe('batches of many tasks that one operator answers for', () => {
  test('a few tasks of a drawn one are done again by another; equal results are trust for both', () => {
    const { driver, id, worker } = settled();
    expect(driver.market.orders.get(id)?.endedAtUs).toBeDefined();
    expect(auditOf(driver, id)?.tasks).toHaveLength(4);
    const auditor = answer(driver, id);
    expect(auditor).not.toBe(worker);
    expect(auditOf(driver, id)?.audit.state).toBe('right');
    for (const name of [worker, auditor])
      expect(trustOf(driver, name)).toMatchObject({ consecutiveValid: 1, wrong: 0 });
    expect(checksOf(driver, id)).toEqual(['audit-right']);
    // Nothing else of the manifest is bought, and the rest of the money is not held.
    const [order = ''] = auditOf(driver, id)?.audit.orders ?? [];
    expect(driver.market.orders.get(order)).toMatchObject({ work: 'done', array: { done: 4 } });
    executeAll(driver);
    executeAll(driver);
    expect(driver.market.orders.get(order)?.chain.state).toBe('settled');
    expect(driver.market.openByConsumer.get(MARKET)).toBeUndefined();
  });

  test('who lied in one of the tasks is alone against two, and convicted with all three leaves', () => {
    const { driver, id, worker } = settled({ told: { saying: () => 7 } });
    const first = answer(driver, id);
    expect(auditOf(driver, id)?.audit.state).toBe('due');
    const second = answer(driver, id);
    expect(new Set([worker, first, second]).size).toBe(3);
    expect(auditOf(driver, id)?.audit).toMatchObject({ state: 'wrong', odd: id, isOpened: true });
    expect(driver.market.auditLeaves.size).toBe(0);
    expect(trustOf(driver, worker)).toMatchObject({ consecutiveValid: 0, wrong: 1 });
    expect(checksOf(driver, id)).toEqual(['audit-wrong', 'convicted']);
  });

  test('an auditor that lies in one task is the odd one', () => {
    const { driver, id, worker } = settled();
    const liar = answer(driver, id, lying(driver, id));
    answer(driver, id);
    const { orders = [], odd } = auditOf(driver, id)?.audit ?? {};
    expect(odd).toBe(orders[0]);
    expect(trustOf(driver, liar)?.wrong).toBe(1);
    expect(trustOf(driver, worker)).toMatchObject({ consecutiveValid: 1, wrong: 0 });
  });

  test('three that differ blame nobody, nor does a limit, nor the want of another operator', () => {
    const three = settled({ told: { saying: () => 7 } });
    answer(three.driver, three.id, { saying: () => 8 });
    answer(three.driver, three.id);
    expect(auditOf(three.driver, three.id)?.audit.state).toBe('undone');
    const slow = settled({ told: { saying: () => 7 } });
    answer(slow.driver, slow.id, { exit: 'wall-limit' });
    expect(auditOf(slow.driver, slow.id)?.audit.state).toBe('undone');
    const limited = settled({ told: { exit: 'wall-limit' } });
    expect(auditOf(limited.driver, limited.id)).toMatchObject({ tasks: [] });
    expect(checksOf(limited.driver, limited.id)).toEqual(['audit-undone']);
    const lonely = settled({ providers: 1 });
    fund(lonely.driver);
    expect(auditOf(lonely.driver, lonely.id)?.audit.state).toBe('undone');
    for (const name of NAMES) expect(trustOf(slow.driver, name)).toBeUndefined();
  });

  test('goes on after a restart at any point, orders nothing twice and convicts once', () => {
    const { driver, id } = settled({ told: { saying: () => 7 } });
    const again = (): void => {
      readLeaves(driver, driver.restart());
      driver.apply({ kind: 'nonceRead', nonce: 99, height: driver.market.meta.height });
      for (const name of NAMES) driver.join(name);
    };
    again();
    fund(driver);
    const { orders = [] } = auditOf(driver, id)?.audit ?? {};
    again();
    fund(driver);
    expect(auditOf(driver, id)?.audit.orders).toEqual(orders);
    answer(driver, id);
    again();
    answer(driver, id);
    again();
    readLeaves(driver, driver.wait(4_000));
    expect(auditOf(driver, id)?.audit).toMatchObject({ state: 'wrong', odd: id, isOpened: true });
  });

  test('is rare where nothing else is asked, and never of tier C or of what replicas compare', () => {
    const drawn = settled({ share: 1e-9 });
    expect(drawn.driver.market.orders.get(drawn.id)?.audits).toBeUndefined();
    const driver = new Driver(configOf({ auditShare: 1 }));
    for (const name of NAMES) driver.join(name);
    const id = submitUnplaced(driver, TASKS, undefined, 3);
    executeAll(driver);
    for (const lease of bindAll(driver, id))
      deliver(driver, nameOf(driver.market.batches.get(lease.lease)?.provider), lease);
    executeAll(driver);
    executeAll(driver);
    expect(driver.market.orders.get(id)?.chain.paid).toBeGreaterThan(0n);
    expect(driver.market.orders.get(id)?.audits).toBeUndefined();
  });
});
