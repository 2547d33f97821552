import { VICTIMS, runKills } from './kill-run.ts';

describe('killing each process in turn while jobs run', () => {
  it('every job ends once, value is conserved, receipts verify', async () => {
    const report = await runKills({ rounds: 1, seed: 7, note: () => {} });
    process.stdout.write(`${JSON.stringify(report)}\n`);
    expect(Object.keys(report.killsByVictim).toSorted()).toEqual([...VICTIMS].toSorted());
    expect(report).toMatchObject({ jobsLost: 0, paidTwice: 0, unbalanced: 0, receiptsFailed: 0 });
    expect(report.receiptsTried).toBeGreaterThan(0);
  }, 300_000);
});
