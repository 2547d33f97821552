import fc from 'fast-check';
import { lowerWeightedMedian, trimmed, valueAbove } from './weighted.ts';

const ones = (values: readonly unknown[]) => values.map(() => 1);

test('lower weighted median: the lower of two middles, missing weight is +∞', () => {
  expect(lowerWeightedMedian([5, 1, 9, 3], [1, 1, 1, 1])).toBe(3);
  expect(lowerWeightedMedian([5, 1, 9], [1, 1, 5])).toBe(9);
  expect(lowerWeightedMedian([5, 1], [1, 1], 5)).toBe(Number.POSITIVE_INFINITY);
  expect(lowerWeightedMedian([5, 1], [1, 1], 4)).toBe(5);
});

test('the (r + 1)-th smallest by weight', () => {
  expect(valueAbove([4, 2, 8], [1, 2, 1], 1)).toBe(2);
  expect(valueAbove([4, 2, 8], [1, 2, 1], 2)).toBe(4);
  expect(valueAbove([4, 2, 8], [1, 2, 1], 4)).toBeUndefined();
});

test('trimmed mean and centre by weight, floor, offsets beyond 2^32 stay exact', () => {
  expect(trimmed([0, 10, 20, 1000], [1, 1, 1, 1], 1)).toEqual({ mean: 15, centre: 15, spread: 10 });
  expect(trimmed([0, 10], [1, 1], 1)).toBeUndefined();
  expect(trimmed([0, 10, 20], [2, 2, 2], 1)).toEqual({ mean: 10, centre: 10, spread: 20 });
  const base = 1_900_000_000_000_000;
  expect(trimmed([base, base + 1, base + 2], [1, 1, 1], 0)?.mean).toBe(base + 1);
  expect(trimmed([0, 1, 1, 1, 10], [1, 1, 1, 1, 1], 0)?.centre).toBe(3);
  expect(trimmed([0, 2, 4, 10], [1, 1, 1, 1], 0)?.centre).toBe(4);
  expect(trimmed([7, 1, 4], [3, 1, 1], 1)).toEqual({ mean: 6, centre: 6, spread: 3 });
  expect(trimmed([base - 3, base - 2], [1, 1], 0)?.mean).toBe(base - 3);
});

test('with t liars trimmed per side, mean and centre lie within the honest values', () => {
  const value = fc.integer({ min: 0, max: 1e6 });
  fc.assert(
    fc.property(
      fc.array(value, { minLength: 3, maxLength: 30 }),
      fc.array(fc.constantFrom(-1e9, 1e9), { maxLength: 10 }),
      (honest, lies) => {
        fc.pre(honest.length > lies.length);
        const all = [...honest, ...lies];
        const kept = trimmed(all, ones(all), lies.length);
        for (const value of [kept?.mean, kept?.centre]) {
          expect(value).toBeGreaterThanOrEqual(Math.min(...honest));
          expect(value).toBeLessThanOrEqual(Math.max(...honest));
        }
      },
    ),
    { numRuns: 100 },
  );
});

test('two nodes told different lies come within a third of the spread (and rounding)', () => {
  const value = fc.integer({ min: 0, max: 1e6 });
  fc.assert(
    fc.property(
      fc.array(value, { minLength: 13, maxLength: 40 }),
      fc.array(fc.tuple(value, value), { minLength: 1, maxLength: 10 }),
      (honest, lies) => {
        // Kept: honest + lies - 2 lies; the lists differ by as many as there are liars.
        fc.pre(honest.length - lies.length >= 2 * lies.length + 1);
        const heard = (side: 0 | 1) => [...honest, ...lies.map((lie) => lie[side])];
        const [one, other] = [heard(0), heard(1)].map(
          (all) => trimmed(all, ones(all), lies.length)?.centre ?? Number.NaN,
        ) as [number, number];
        const spread = Math.max(...honest) - Math.min(...honest);
        expect(Math.abs(one - other)).toBeLessThanOrEqual(spread / 3 + 1);
      },
    ),
    { numRuns: 100 },
  );
});
