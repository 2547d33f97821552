import { type UnitSet, countUnits, unitsOf } from '#contracts';
import { bindAll, deliver, executeAll } from '../testing/array-driver.ts';
import { signerOf } from '../testing/driver.ts';
import {
  NAMES,
  type Saying,
  TASKS,
  batchesOf,
  honest,
  nameOf,
  orderOf,
  play,
  rowOf,
  started,
  trusts,
} from '../testing/replicas.ts';

describe('an order whose tasks are done by several providers', () => {
  test('two that agree decide each task: both are paid, the result holds each task once', () => {
    const { driver, id } = started();
    const result = play(driver, id, honest);
    expect(orderOf(driver, id)).toMatchObject({ work: 'done', done: TASKS, failed: 0 });
    const batches = batchesOf(driver, id);
    expect(batches.every(({ state }) => state === 'delivered')).toBe(true);
    expect(batches.reduce((sum, { units }) => sum + countUnits(units), 0)).toBe(2 * TASKS);
    const tasks = result?.batches.flatMap(({ units }) =>
      unitsOf(units).map((unit) => unit % TASKS),
    );
    expect(tasks?.toSorted((a, b) => a - b)).toEqual(Array.from({ length: TASKS }, (_, i) => i));
    for (let i = 0; i < 5; i++) executeAll(driver);
    const { chain, array } = orderOf(driver, id).row;
    expect(chain).toMatchObject({ state: 'settled', paid: array?.charged });
  });

  test('no provider gets two replicas of one task', () => {
    const { driver, id } = started(['p1', 'p2']);
    driver.apply({ kind: 'agentGone', session: 'p2' });
    play(driver, id, honest);
    expect(orderOf(driver, id).done).toBe(0);
    const given = batchesOf(driver, id).flatMap(({ units }) => unitsOf(units));
    expect(new Set(given.map((unit) => unit % TASKS)).size).toBe(given.length);
  });

  test.each([-1, 0, 1, 2])(
    'the odd one is not paid for what it lied in, and that is remembered (restart after %d)',
    (restartAfter) => {
      const { driver, id } = started(NAMES.slice(0, 3));
      let liar: string | undefined;
      const saying: Saying = (name, task) => {
        liar ??= name; // whoever is asked first
        return name === liar && task < 5 ? 9 : 0;
      };
      const result = play(driver, id, saying, restartAfter);
      expect(orderOf(driver, id)).toMatchObject({ work: 'done', done: TASKS, failed: 0 });
      const lied = batchesOf(driver, id).filter(({ withheld }) => withheld !== undefined);
      expect(new Set(lied.map(({ provider }) => provider))).toEqual(
        new Set([signerOf(liar as string).account]),
      );
      const odd = lied.flatMap(({ withheld }) => unitsOf(withheld?.units as UnitSet));
      expect(odd.map((unit) => unit % TASKS)).toEqual([0, 1, 2, 3, 4]);
      for (const name of NAMES.slice(0, 3))
        expect(rowOf(driver, name)?.trust?.wrong ?? 0).toBe(name === liar ? 1 : 0);
      if (restartAfter < 0) {
        const kept = result?.batches.flatMap(({ units }) => unitsOf(units)) ?? [];
        expect(kept.some((unit) => odd.includes(unit))).toBe(false);
        expect(kept).toHaveLength(TASKS);
      }
      for (let i = 0; i < 6; i++) executeAll(driver);
      expect(orderOf(driver, id).row.chain.state).toBe('settled');
    },
  );

  test('liars who contradict each other decide nothing: the task is given up and nobody is paid for it', () => {
    const { driver, id } = started(NAMES.slice(0, 3));
    const alone: Saying = (name, task) => (task === 7 ? NAMES.indexOf(name) + 1 : 0);
    play(driver, id, alone);
    expect(orderOf(driver, id)).toMatchObject({
      ...{ work: 'done', done: TASKS - 1, failed: 1, given: [{ from: 7, count: 1 }] },
    });
    const odd = batchesOf(driver, id).flatMap(({ withheld }) => unitsOf(withheld?.units ?? []));
    expect(odd.map((unit) => unit % TASKS)).toEqual([7, 7, 7]);
  });

  test('two that collude win against one, as docs/limits.md says', () => {
    const { driver, id } = started(NAMES.slice(0, 3));
    const colluding: Saying = (name) => (name === 'p3' ? 0 : 5);
    play(driver, id, colluding);
    expect(orderOf(driver, id)).toMatchObject({ work: 'done', done: TASKS });
  });

  test('who was found wrong three times gets no replicas any more', () => {
    const { driver, id } = started(['p1', 'p2']);
    driver.apply({ kind: 'agentGone', session: 'p2' });
    trusts(driver, 'p1', { consecutiveValid: 0, wrong: 3 });
    expect(bindAll(driver, id)).toHaveLength(0);
    trusts(driver, 'p1', { consecutiveValid: 0, wrong: 2 });
    expect(bindAll(driver, id)).toHaveLength(1);
  });

  test('cancelled before it is decided, what was delivered and not contradicted is paid', () => {
    const { driver, id } = started();
    const [lease] = bindAll(driver, id, 1);
    executeAll(driver);
    executeAll(driver);
    if (lease) deliver(driver, nameOf(driver, lease.lease), lease);
    expect(batchesOf(driver, id)[0]?.state).toBe('judging');
    const by = orderOf(driver, id).row.signed.order.consumer;
    driver.apply({ kind: 'cancelOrder', request: 'c', order: id, by });
    for (let i = 0; i < 8; i++) executeAll(driver);
    const { row } = orderOf(driver, id);
    expect(row).toMatchObject({ work: 'cancelled', chain: { state: 'settled' } });
    expect(row.chain.paid).toBe(row.array?.charged);
    expect(row.chain.paid).toBeGreaterThan(0n);
  });
});
