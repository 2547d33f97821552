import fc from 'fast-check';
import { lowerWeightedMedian, trimmedMean, valueAbove } from './weighted.ts';

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

test('trimmed mean by weight, floor, offsets beyond 2^32 stay exact', () => {
  expect(trimmedMean([0, 10, 20, 1000], [1, 1, 1, 1], 1)).toEqual({ mean: 15, spread: 10 });
  expect(trimmedMean([0, 10], [1, 1], 1)).toBeUndefined();
  expect(trimmedMean([0, 10, 20], [2, 2, 2], 1)).toEqual({ mean: 10, spread: 20 });
  const base = 1_900_000_000_000_000;
  expect(trimmedMean([base, base + 1, base + 2], [1, 1, 1], 0)?.mean).toBe(base + 1);
  expect(trimmedMean([base - 3, base - 2], [1, 1], 0)?.mean).toBe(base - 3);
});

test('with t liars trimmed per side, the mean lies within the honest values', () => {
  const value = fc.integer({ min: 0, max: 1e6 });
  fc.assert(
    fc.property(
      fc.array(value, { minLength: 3, maxLength: 30 }),
      fc.array(fc.constantFrom(-1e9, 1e9), { maxLength: 10 }),
      (honest, lies) => {
        fc.pre(honest.length > lies.length);
        const all = [...honest, ...lies];
        const { mean } = trimmedMean(all, ones(all), lies.length) ?? { mean: Number.NaN };
        expect(mean).toBeGreaterThanOrEqual(Math.min(...honest));
        expect(mean).toBeLessThanOrEqual(Math.max(...honest));
      },
    ),
    { numRuns: 100 },
  );
});
