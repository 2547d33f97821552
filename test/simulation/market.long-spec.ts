import { MUTANTS } from './market/mutants.ts';
import { SOMETIMES, catchMutant, simulateMarket } from './market/simulate.ts';

const SEEDS = 50;
const ORDERS = 8;

describe('simulation of the market: real ledger, contracts, market and agents under faults', () => {
  test('50 seeds keep every invariant, and every fault and branch happens in them', async () => {
    const report = await simulateMarket({ from: 1, to: SEEDS, orders: ORDERS });
    expect(report.failures).toEqual([]);
    expect(report.seedsTried).toBe(SEEDS);
    // The rarest faults need more seeds than these.
    expect(report.neverHappened.length).toBeLessThanOrEqual(SOMETIMES.length / 25);
  }, 300_000);

  test.each(MUTANTS.map(({ name }) => name))(
    'the invariants notice a system that is broken: %s',
    async (name) => {
      const mutant = MUTANTS.find((one) => one.name === name);
      const caught = mutant && (await catchMutant(mutant, 1));
      expect(caught?.caughtBySeed).toBeGreaterThan(0);
    },
    600_000,
  );
});
