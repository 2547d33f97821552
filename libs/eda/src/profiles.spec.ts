import fc from 'fast-check';
import { PROFILES, toleranceOf, toleranceWarning } from './profiles.ts';

describe('the table of profiles', () => {
  const sizes = [4, 5, 7, 10, 16];
  test.each([
    ['classic', '1/1/3 1/1/4 2/2/5 3/3/7 5/5/11'],
    ['seele-40', '1/1/3 2/0/3 2/2/5 4/1/6 6/3/10'],
    ['resilient-45', '1/1/3 2/0/3 3/0/4 4/1/6 7/1/9'],
    ['crash-only', '1/0/3 2/0/3 3/0/4 4/0/6 7/0/9'],
  ] as const)('%s at weights 4, 5, 7, 10, 16: %s', (profile, expected) => {
    const row = sizes.map((total) => {
      const { failed, lying, quorum } = toleranceOf(profile, total);
      return `${failed}/${lying}/${quorum}`;
    });
    expect(row.join(' ')).toBe(expected);
  });

  test('every weight and profile: W ≥ 2u + r + 1 and the three overlaps', () => {
    const anyTotal = fc.oneof(
      fc.integer({ min: 1, max: 200 }),
      fc.integer({ min: 1, max: 2 ** 40 }),
    );
    fc.assert(
      fc.property(fc.constantFrom(...PROFILES), anyTotal, (profile, total) => {
        const { failed: u, lying: r, quorum: q } = toleranceOf(profile, total);
        expect(r).toBeGreaterThanOrEqual(0);
        expect(r).toBeLessThanOrEqual(u);
        expect(total).toBeGreaterThanOrEqual(2 * u + r + 1);
        expect(2 * q - total).toBeGreaterThanOrEqual(r + 1);
        expect(q).toBeGreaterThanOrEqual(2 * r + 1);
        expect(q - u).toBeGreaterThanOrEqual(r + 1);
      }),
      { numRuns: 100 },
    );
  });
});

test('a chain that tolerates no liar is warned about', () => {
  const equal = (n: number) => Array.from({ length: n }, () => 1);
  expect(toleranceWarning('seele-40', equal(5))).toMatch(/tolerates no lying validator/);
  expect(toleranceWarning('seele-40', equal(4))).toBeUndefined();
  expect(toleranceWarning('crash-only', equal(9))).toMatch(/no lying/);
  expect(toleranceWarning('classic', [5, 1, 1, 1])).toMatch(/heaviest validator has 5/);
  expect(() => toleranceOf('classic', 0)).toThrow(/weight 0/);
});
