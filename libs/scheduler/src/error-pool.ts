/**
 * Errors that predictions made, and the interval that the next error falls into: split conformal
 * prediction. The interval covers as often as it says if the next case is like the earlier ones; of
 * their distribution nothing is assumed.
 */
import { schedulerError } from './errors.ts';

/** Errors kept; the oldest goes first. */
const MAX_ERRORS = 512;
/** Errors needed before their quantiles are used. */
const MIN_ERRORS = 20;

export interface ErrorInterval {
  readonly low: number;
  readonly high: number;
}

export class ErrorPool {
  readonly #errors: number[] = [];
  #sorted: number[] | undefined;

  /** Oldest first. */
  get errors(): readonly number[] {
    return this.#errors;
  }

  /** Largest error seen either way. */
  get largest(): number {
    return this.#errors.reduce((most, error) => Math.max(most, Math.abs(error)), 0);
  }

  observe(error: number): void {
    if (!Number.isFinite(error)) return;
    this.#errors.push(error);
    if (this.#errors.length > MAX_ERRORS) this.#errors.shift();
    this.#sorted = undefined;
  }

  /**
   * The next error is between these with probability `coverage`; undefined while too few are known.
   * @throws SeeleError SCHEDULER_POLICY_INVALID
   */
  interval(coverage: number): ErrorInterval | undefined {
    if (!(coverage > 0 && coverage < 1))
      throw schedulerError('SCHEDULER_POLICY_INVALID', `coverage ${coverage}`);
    const sorted = (this.#sorted ??= this.#errors.toSorted((a, b) => a - b));
    const count = sorted.length;
    if (count < MIN_ERRORS) return undefined;
    // Ranks of n + 1, so that the interval covers the next error and not only the past ones.
    const low = Math.floor((count + 1) * ((1 - coverage) / 2)) - 1;
    const high = Math.ceil((count + 1) * ((1 + coverage) / 2)) - 1;
    if (low < 0 || high >= count) return undefined;
    return { low: sorted[low]!, high: sorted[high]! };
  }
}
