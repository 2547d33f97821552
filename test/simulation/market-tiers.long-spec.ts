import { runTiers } from './market/tiers/run-tiers.ts';

describe('tiers scenario of the market simulation, whole', () => {
  test.each([1, 2])(
    'seed %d keeps the published bounds',
    (seed) => {
      const report = runTiers(seed);
      expect(report.outsideDomain).toBe(0);
      expect(report.costVsLp).toBeLessThanOrEqual(1.05);
      expect(report.jain).toBeGreaterThanOrEqual(0.98);
      expect(report.wrongAccepted.independent20).toBeLessThanOrEqual(0.001);
      expect(report.replicasPerTask).toBeLessThanOrEqual(1.15);
    },
    300_000,
  );
});
