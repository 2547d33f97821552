import { runMatrix, sampleCases } from './crash-matrix.ts';

describe('killing processes at named failpoints while jobs run', () => {
  it('every job ends once, value is conserved, receipts verify', async () => {
    const seed = 11;
    const report = await runMatrix({
      cases: sampleCases(seed, 4, 1),
      seed,
      receipts: 3,
      note: () => {},
    });
    process.stdout.write(`${JSON.stringify(report)}\n`);
    expect(report).toMatchObject({
      ...{ killsTried: 4, stopsTried: 1, notReached: [] },
      ...{
        jobsLost: 0,
        tasksLost: 0,
        tasksPaidTwice: 0,
        paidTwice: 0,
        unbalanced: 0,
        receiptsFailed: 0,
        blobsLost: 0,
      },
    });
    expect(report.receiptsTried).toBeGreaterThan(0);
  }, 180_000);
});
