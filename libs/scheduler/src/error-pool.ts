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

  /** Largest error above what was foreseen; 0 where there was none. */
  get most(): number {
    return this.#errors.reduce((most, error) => Math.max(most, error), 0);
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
    const low = this.lower((1 - coverage) / 2);
    const high = this.upper((1 - coverage) / 2);
    return low === undefined || high === undefined ? undefined : { low, high };
  }

  // Ranks of n + 1, so that the ends hold for the next error and not only for the past ones.

  /** The next error is below this with probability `tail` at most. */
  lower(tail: number): number | undefined {
    const sorted = this.#inOrder();
    return sorted?.[Math.floor((sorted.length + 1) * tail) - 1];
  }

  /** The next error is above this with probability `tail` at most. */
  upper(tail: number): number | undefined {
    const sorted = this.#inOrder();
    return sorted?.[Math.ceil((sorted.length + 1) * (1 - tail)) - 1];
  }

  #inOrder(): readonly number[] | undefined {
    if (this.#errors.length < MIN_ERRORS) return undefined;
    return (this.#sorted ??= this.#errors.toSorted((a, b) => a - b));
  }
}
