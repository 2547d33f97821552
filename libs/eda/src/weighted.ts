/**
 * Weighted medians and means over whole numbers. All integer: every machine gets the same result.
 * Inputs are parallel lists, so that hot paths build no objects.
 */

/** Indices of `values` in ascending order of value; ties keep their order. */
export function ascending(values: readonly number[]): number[] {
  const order = values.map((_, i) => i);
  return order.sort((a, b) => (values[a] as number) - (values[b] as number) || a - b);
}

/**
 * The smallest value whose weight, with all below it, reaches half of `total` (default: the sum of the
 * weights). Weight missing from the list counts as +∞.
 */
export function lowerWeightedMedian(
  values: readonly number[],
  weights: readonly number[],
  total?: number,
): number {
  const whole = total ?? weights.reduce((sum, weight) => sum + weight, 0);
  let below = 0;
  for (const i of ascending(values)) {
    below += weights[i] as number;
    if (2 * below >= whole) return values[i] as number;
  }
  return Number.POSITIVE_INFINITY;
}

/** The value at which the weight counted from below first exceeds `skipped`; undefined when none does. */
export function valueAbove(
  values: readonly number[],
  weights: readonly number[],
  skipped: number,
  order: readonly number[] = ascending(values),
): number | undefined {
  let below = 0;
  for (const i of order) {
    below += weights[i] as number;
    if (below > skipped) return values[i] as number;
  }
  return undefined;
}

export interface Trimmed {
  /** Floor of the weighted mean of what is left. */
  readonly mean: number;
  /** Floor of the mean of its smallest, middle and largest value. */
  readonly centre: number;
  /** Largest minus smallest value left. */
  readonly spread: number;
}

/**
 * What is left after weight `trim` is cut off at each side; undefined when nothing is.
 *
 * `centre` is the convergence function of positions. Two nodes whose lists differ by weight d of what
 * remains (m) come out at most 1/3 of the spread apart while d ≤ m/2; for the mean it is d/m. It is
 * the selection of Dolev, Lynch, Pinter, Stark and Weihl (1986) with three values.
 */
export function trimmed(
  values: readonly number[],
  weights: readonly number[],
  trim: number,
): Trimmed | undefined {
  const order = ascending(values);
  let whole = 0;
  for (const weight of weights) whole += weight;
  const end = whole - trim;
  if (end <= trim) return undefined;
  // Sums stay small and exact as offsets from one of the values.
  const base = values[order[order.length >> 1] as number] as number;
  let sum = 0;
  let seen = 0;
  let low = Number.NaN;
  let high = Number.NaN;
  let lowerMiddle = Number.NaN;
  let upperMiddle = Number.NaN;
  for (const i of order) {
    const weight = weights[i] as number;
    const kept = Math.min(seen + weight, end) - Math.max(seen, trim);
    seen += weight;
    const offset = (values[i] as number) - base;
    // Trimming both sides alike leaves the middle where it was.
    if (Number.isNaN(lowerMiddle) && 2 * seen >= whole) lowerMiddle = offset;
    if (Number.isNaN(upperMiddle) && 2 * seen > whole) upperMiddle = offset;
    if (kept <= 0) continue;
    sum += offset * kept;
    if (Number.isNaN(low)) low = offset;
    high = offset;
  }
  return {
    mean: base + Math.floor(sum / (end - trim)),
    centre: base + Math.floor((2 * (low + high) + lowerMiddle + upperMiddle) / 6),
    spread: high - low,
  };
}
