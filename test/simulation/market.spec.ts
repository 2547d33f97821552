import { MUTANTS } from './market/mutants.ts';
import { SOMETIMES, catchMutant, simulateMarket } from './market/simulate.ts';
import { runSeed } from './market/run-seed.ts';

/** Few seeds, few orders per world, so that the whole file stays within seconds: market.long-spec.ts. */
const SEEDS = 50;
const ORDERS = 8;

describe('simulation of the market: real ledger, contracts, market and agents under faults', () => {
  test('50 seeds keep every invariant, and every fault and branch happens in them', async () => {
    const report = await simulateMarket({ from: 1, to: SEEDS, orders: ORDERS, repeatEvery: 0 });
    expect(report.failures).toEqual([]);
    expect(report.seedsTried).toBe(SEEDS);
    // The rarest faults need more seeds than these; the frequent ones may not be missing.
    expect(report.neverHappened.length).toBeLessThanOrEqual(SOMETIMES.length / 5);
    for (const name of ['fault market crash', 'fault node crash', 'fault agent crash'])
      expect(report.sometimes[name]).toBeGreaterThan(0);
  }, 300_000);

  test('a seed run twice leaves the same trace', async () => {
    const first = await runSeed({ seed: 7, orders: ORDERS });
    const second = await runSeed({ seed: 7, orders: ORDERS });
    expect(second.traceHash).toBe(first.traceHash);
    const other = await runSeed({ seed: 8, orders: ORDERS });
    expect(other.traceHash).not.toBe(first.traceHash);
  }, 120_000);

  // The others need more seeds: `seele sim market` tries all of them.
  test.each([
    'refund twice',
    'settle before finality',
    'settle twice',
    'no idempotency key',
    'drops log batches of its own',
    'never pays',
    'believes every signature',
  ])(
    'the invariants notice a system that is broken: %s',
    async (name) => {
      const mutant = MUTANTS.find((one) => one.name === name);
      const caught = mutant && (await catchMutant(mutant, 1, ORDERS, SEEDS));
      expect(caught?.caughtBySeed).toBeGreaterThan(0);
    },
    120_000,
  );
});
