import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { runMatrix, sampleCases } from './crash-matrix.ts';
import { CONSENSUS_PLACES, PLACES } from './failpoint-list.ts';

describe('killing processes at named failpoints while jobs run', () => {
  it('knows every failpoint that the processes have', () => {
    const files = readdirSync('apps', { recursive: true, encoding: 'utf8' });
    const declared = files
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.spec.ts'))
      .flatMap((file) => {
        const text = readFileSync(join('apps', file), 'utf8');
        const calls = text.matchAll(/declareFailpoints\(([^)]*)\)/g);
        return [...calls].flatMap(([, names = '']) => [...names.matchAll(/'([^']+)'/g)]);
      })
      .map(([, name]) => String(name));
    const known = [...PLACES.map(({ name }) => name), ...CONSENSUS_PLACES];
    expect(known.toSorted()).toEqual(declared.toSorted());
  });

  it('every job ends once, value is conserved, receipts verify', async () => {
    const seed = 11;
    const report = await runMatrix({
      cases: sampleCases(seed, 2, 1),
      seed,
      receipts: 2,
      note: () => {},
    });
    process.stdout.write(`${JSON.stringify(report)}\n`);
    expect(report).toMatchObject({
      ...{ killsTried: 2, stopsTried: 1, notReached: [] },
      ...{ jobsLost: 0, paidTwice: 0, unbalanced: 0, receiptsFailed: 0, blobsLost: 0 },
    });
    expect(report.receiptsTried).toBeGreaterThan(0);
  }, 180_000);
});
