/**
 * How long a job will run: the median of what like jobs took, with an interval that covers the truth
 * as often as it says, whatever the distribution (split conformal prediction: the interval is read off
 * the errors that earlier predictions made). Like means the same code, input size and node class;
 * where too little is known, predictions lean on the same code anywhere, then on all jobs.
 */
import { schedulerError } from './errors.ts';

export interface RunKey {
  /** CID of the code. */
  readonly code: string;
  readonly inputBytes: number;
  /** Class of machine, as the cell names it. */
  readonly nodeClass: string;
}

export interface RunPrediction {
  readonly expectedMs: number;
  /** The run ends between these with the probability that was asked for. */
  readonly lowMs: number;
  readonly highMs: number;
  /** False while too few runs are known: the interval then is wide and a guess. */
  readonly isCalibrated: boolean;
}

/** Runs after which a group's own mean counts as much as its parent's. */
const SHRINKAGE = 4;
/** Errors kept; the oldest goes first. */
const MAX_ERRORS = 512;
const MAX_GROUPS = 10_000;
/** Errors needed before their quantiles are used. */
const MIN_ERRORS = 20;
/** Without any history: a minute, give or take a factor of 100. */
const DEFAULT_LOG_MS = Math.log(60_000);
const DEFAULT_LOG_SPREAD = Math.log(100);

interface Group {
  sum: number;
  count: number;
}

/** Learns from finished runs. Run times are compared as logarithms: they differ by factors. */
export class RunTimes {
  readonly #groups = new Map<string, Group>();
  readonly #errors: number[] = [];

  /** Names of the groups of a run, widest first. */
  #names({ code, inputBytes, nodeClass }: RunKey): string[] {
    if (!Number.isFinite(inputBytes) || inputBytes < 0)
      throw schedulerError('SCHEDULER_POLICY_INVALID', `input of ${inputBytes} bytes`);
    const size = Math.ceil(Math.log2(inputBytes + 1));
    return ['', code, `${code}/${size}`, `${code}/${size}/${nodeClass}`];
  }

  #expectedLog(names: readonly string[]): number {
    let expected = DEFAULT_LOG_MS;
    for (const [i, name] of names.entries()) {
      const group = this.#groups.get(name);
      if (!group) continue;
      // Nothing is known above the widest group but the default, which weighs nothing beside a run.
      const pull = i === 0 ? 0 : SHRINKAGE;
      expected = (group.sum + pull * expected) / (group.count + pull);
    }
    return expected;
  }

  /**
   * A run of this kind took so long.
   * @throws SeeleError SCHEDULER_POLICY_INVALID for times and sizes that make no sense
   */
  finished(key: RunKey, runMs: number): void {
    if (!Number.isFinite(runMs) || runMs < 0)
      throw schedulerError('SCHEDULER_POLICY_INVALID', `run time of ${runMs} ms`);
    const names = this.#names(key);
    const log = Math.log(Math.max(runMs, 0.001));
    // The error that a prediction made before this run would have had.
    if (this.#groups.has('')) this.#errors.push(log - this.#expectedLog(names));
    if (this.#errors.length > MAX_ERRORS) this.#errors.shift();
    for (const name of names) {
      const group = this.#groups.get(name) ?? { sum: 0, count: 0 };
      group.sum += log;
      group.count++;
      // Last used, last forgotten.
      this.#groups.delete(name);
      this.#groups.set(name, group);
    }
    for (const name of this.#groups.keys()) {
      if (this.#groups.size <= MAX_GROUPS) break;
      this.#groups.delete(name);
    }
  }

  /**
   * What a run of this kind will take, with an interval that covers it with probability `coverage`.
   * @throws SeeleError SCHEDULER_POLICY_INVALID
   */
  predict(key: RunKey, coverage = 0.9): RunPrediction {
    if (!(coverage > 0 && coverage < 1))
      throw schedulerError('SCHEDULER_POLICY_INVALID', `coverage ${coverage}`);
    const expected = this.#expectedLog(this.#names(key));
    const sorted = this.#errors.toSorted((a, b) => a - b);
    const count = sorted.length;
    // Ranks of n + 1, so that the interval covers the next run and not only the past ones.
    const low = Math.floor((count + 1) * ((1 - coverage) / 2)) - 1;
    const high = Math.ceil((count + 1) * ((1 + coverage) / 2)) - 1;
    const isCalibrated = count >= MIN_ERRORS && low >= 0 && high < count;
    const spread = Math.max(
      DEFAULT_LOG_SPREAD,
      ...(count === 0 ? [] : [-sorted[0]!, sorted[count - 1]!]),
    );
    return {
      expectedMs: Math.exp(expected),
      lowMs: Math.exp(expected + (isCalibrated ? sorted[low]! : -spread)),
      highMs: Math.exp(expected + (isCalibrated ? sorted[high]! : spread)),
      isCalibrated,
    };
  }
}

/** A deadline is admitted when even the late end of the interval meets it. */
export const meetsDeadline = (
  waitMs: number,
  prediction: RunPrediction,
  deadlineMs: number,
): boolean => waitMs + prediction.highMs <= deadlineMs;
