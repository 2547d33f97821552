import fc from 'fast-check';
import { countUnits, unitsOf } from '#contracts';
import { executeAll, submitArray } from '../testing/array-driver.ts';
import { Driver, manifestWith, signerOf } from '../testing/driver.ts';
import {
  NAMES,
  type Saying,
  TASKS,
  batchesOf,
  honest,
  orderOf,
  play,
  rowOf,
  started,
  trusts,
} from '../testing/replicas.ts';

const TRUSTED = { consecutiveValid: 40, wrong: 0 };
const unitsDone = (driver: Driver, id: string): number =>
  batchesOf(driver, id).reduce((sum, { units }) => sum + countUnits(units), 0);

/** Tasks whose accepted result is not the truth. */
function wrongTasks(driver: Driver, id: string, saying: Saying): number[] {
  const accepted = new Map<number, Set<number>>();
  for (const { units, withheld, provider, state } of batchesOf(driver, id)) {
    if (state !== 'delivered') continue;
    const odd = new Set(unitsOf(withheld?.units ?? []));
    const name = NAMES.find((one) => signerOf(one).account === provider) as string;
    for (const unit of unitsOf(units).filter((one) => !odd.has(one))) {
      const task = unit % TASKS;
      accepted.set(task, (accepted.get(task) ?? new Set()).add(saying(name, task)));
    }
  }
  return [...accepted].filter(([, said]) => said.size > 1 || !said.has(0)).map(([task]) => task);
}

describe('replicas as the trust of the first provider demands', () => {
  test('nobody is trusted: two that agree decide each task, and both are paid', () => {
    const { driver, id } = started(NAMES, 5, 'adaptive');
    const result = play(driver, id, honest);
    expect(orderOf(driver, id)).toMatchObject({ work: 'done', done: TASKS, failed: 0 });
    expect(unitsDone(driver, id)).toBe(2 * TASKS);
    const tasks = result?.batches.flatMap(({ units }) =>
      unitsOf(units).map((unit) => unit % TASKS),
    );
    expect(tasks?.toSorted((a, b) => a - b)).toEqual(Array.from({ length: TASKS }, (_, i) => i));
    for (let i = 0; i < 6; i++) executeAll(driver);
    const { chain, array, signed } = orderOf(driver, id).row;
    expect(chain).toMatchObject({ state: 'settled', paid: array?.charged });
    expect(chain.paid).toBeLessThan(signed.order.priceCap);
  });

  test('trusted ones work alone but for random checks, and the log says of which units', () => {
    const { driver, id } = started(NAMES, 5, 'adaptive');
    for (const name of NAMES) trusts(driver, name, TRUSTED);
    play(driver, id, honest);
    expect(orderOf(driver, id)).toMatchObject({ work: 'done', done: TASKS });
    const done = unitsDone(driver, id);
    expect(done).toBeGreaterThanOrEqual(TASKS);
    expect(done).toBeLessThan(1.3 * TASKS);
    const entries = [...driver.rows.values()].filter(({ table }) => table === 'batch');
    expect(entries.length).toBeGreaterThan(0);
  });

  test('one that differs brings further operators in, up to the cap, and is not paid', () => {
    const { driver, id } = started(NAMES, 5, 'adaptive');
    const saying: Saying = (name, task) => (name === 'p1' && task < 5 ? 9 : 0);
    play(driver, id, saying);
    expect(orderOf(driver, id)).toMatchObject({ work: 'done', done: TASKS, failed: 0 });
    expect(wrongTasks(driver, id, saying)).toEqual([]);
    const odd = batchesOf(driver, id).filter(({ withheld }) => withheld);
    expect(odd.every(({ provider }) => provider === signerOf('p1').account)).toBe(true);
  });

  test('a trusted liar found out in a comparison: what it delivered alone is compared, before it is paid', () => {
    for (const restartAfter of [-1, 0, 1, 2]) {
      const { driver, id } = started(NAMES, 5, 'adaptive');
      trusts(driver, 'p1', { consecutiveValid: 10, wrong: 0 });
      const saying: Saying = (name) => (name === 'p1' ? 9 : 0);
      play(driver, id, saying, restartAfter);
      expect(orderOf(driver, id)).toMatchObject({ work: 'done', done: TASKS, failed: 0 });
      expect(wrongTasks(driver, id, saying)).toEqual([]);
      const liar = rowOf(driver, 'p1');
      if (batchesOf(driver, id).some(({ provider }) => provider === liar?.provider))
        expect(liar?.trust).toMatchObject({ consecutiveValid: 0, wrong: 1 });
    }
  });

  test('of liars who contradict each other nothing wrong is accepted, whatever the seed and the order of restarts', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 5, maxLength: 5 }),
        fc.integer({ min: -1, max: 4 }),
        (lies, restartAfter) => {
          const { driver, id } = started(NAMES, 5, 'adaptive');
          // Each liar has lies of its own; at least two tell the truth.
          const saying: Saying = (name, task) => {
            const who = NAMES.indexOf(name);
            return who > 1 && task % 4 < (lies[who] ?? 0) ? 10 + who : 0;
          };
          play(driver, id, saying, restartAfter);
          expect(orderOf(driver, id)).toMatchObject({ work: 'done', done: TASKS, failed: 0 });
          expect(wrongTasks(driver, id, saying)).toEqual([]);
        },
      ),
      // The last operator left, who lost a batch before, must get the next one.
      { numRuns: 12, examples: [[[0, 0, 1, 1, 1], 3]] },
    );
  });
});

describe('orders that ask for safety', () => {
  const safe = manifestWith({ tier: 'C' });

  test('one that does not say how it is checked is refused, with what to say', () => {
    const driver = new Driver();
    driver.join('p1', { domain: 'confidential', level: 'assured' });
    expect(driver.submit(driver.order(safe), safe)).toMatchObject({
      is: 'refused',
      code: 'MARKET_CHECK_UNSAID',
    });
  });

  test('fewer operators than must agree: said at once', () => {
    const driver = new Driver();
    driver.join('p1');
    expect(() => submitArray(driver, 1, undefined, 5, 'adaptive')).toThrow(
      'MARKET_TOO_FEW_OPERATORS',
    );
    driver.join('p2');
    expect(submitArray(driver, 1, undefined, 5, 'adaptive')).toHaveLength(64);
  });
});
