import { readSimMarketArguments } from './market/main.ts';
import { auditsOf, consumerOf, playTiers } from './market/tiers/run-tiers.ts';

/** A fortieth of the full length; `market-tiers.long-spec.ts` judges the figures of a whole run. */
const MINUTES = 1;

describe('tiers scenario of the market simulation', () => {
  test('each consumer gets its own domain and level, and a seed repeats', () => {
    const { world, done } = playTiers(5, 'independent', MINUTES);
    const [A, B, C] = [consumerOf(done, 'A'), consumerOf(done, 'B'), consumerOf(done, 'C')];
    expect(A.cost).toBeLessThan(Math.min(B.cost, C.cost));
    expect(B.finishMs).toBeLessThan(Math.min(A.finishMs, C.finishMs));
    expect(world.placements.outsideDomain).toBe(0);
    // Liars about work that one provider does are found out as often as the chances say, and lose by it.
    const { drawn, lies, caughtShare, expectedShare, cheatingBalance } = auditsOf(world.audits);
    expect(drawn).toBeGreaterThan(0);
    expect(lies).toBeGreaterThan(0);
    const spread = 4 * Math.sqrt((expectedShare * (1 - expectedShare)) / lies);
    expect(Math.abs(caughtShare - expectedShare)).toBeLessThan(spread);
    expect(cheatingBalance).toBeLessThan(0);
    const traceOf = (tasks: typeof done) =>
      tasks.map(({ id, accepted, acceptedMs, cost }) => `${id} ${accepted} ${acceptedMs} ${cost}`);
    const again = playTiers(5, 'independent', MINUTES);
    expect(traceOf(again.done)).toEqual(traceOf(done));
  });

  test('--seed plays the tiers, --seeds the faults', () => {
    expect(readSimMarketArguments(['--seed', '3', '--json'])).toEqual({
      ...{ scenario: 'tiers', seed: 3, json: true },
    });
    expect(readSimMarketArguments(['--seeds', '3-3'])).toMatchObject({
      ...{ scenario: 'faults', options: { from: 3, to: 3, repeatEvery: 1, mutants: false } },
    });
    expect(() => readSimMarketArguments(['--seed', '3', '--orders', '9'])).toThrow('--orders');
    expect(() => readSimMarketArguments(['--seed', 'x'])).toThrow('not "x"');
    expect(() => readSimMarketArguments(['--seeds', '5-3'])).toThrow('not "5-3"');
  });
});
