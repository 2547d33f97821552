/**
 * How long a job will run: the median of what like jobs took, with an interval that covers the truth
 * as often as it says, whatever the distribution (split conformal prediction: the interval is read off
 * the errors that earlier predictions made). Like means the same code, input size and node class;
 * where too little is known, predictions lean on the same code anywhere, then on all jobs. Errors are
 * kept apart by how much was known: a code seen often has a narrow interval beside new ones.
 */
import { ErrorPool } from './error-pool.ts';
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
  /** How much was known: 0 nothing, 1 other jobs, 2 the code, 3 and its input size, 4 and the class. */
  readonly depth: number;
}

/** What is known of one group of runs: what is stored of it, and read back. */
export interface RunGroup {
  readonly name: string;
  readonly count: number;
  /** Of the natural logarithms of milliseconds. */
  readonly sum: number;
  readonly squares: number;
}

/** Runs after which a group's own mean counts as much as its parent's. */
const SHRINKAGE = 4;
const MAX_GROUPS = 10_000;
/** Groups of a run, and with them the classes of errors. */
export const RUN_DEPTHS = 5;
/** Without any history: a minute, give or take a factor of 100. */
const DEFAULT_LOG_MS = Math.log(60_000);
const DEFAULT_LOG_SPREAD = Math.log(100);
/** A group never counts as steadier than this, and not as wilder than that. */
const LEAST_SIGMA = 0.02;
const PRIOR_SIGMA = 1;

interface Group {
  sum: number;
  squares: number;
  count: number;
}

interface Expected {
  readonly log: number;
  readonly sigma: number;
  readonly depth: number;
}

/** Learns from finished runs. Run times are compared as logarithms: they differ by factors. */
export class RunTimes {
  readonly #groups = new Map<string, Group>();
  readonly #errors = Array.from({ length: RUN_DEPTHS }, () => new ErrorPool());

  /** Names of the groups of a run, widest first. */
  #names({ code, inputBytes, nodeClass }: RunKey): string[] {
    if (!Number.isFinite(inputBytes) || inputBytes < 0)
      throw schedulerError('SCHEDULER_POLICY_INVALID', `input of ${inputBytes} bytes`);
    const size = Math.ceil(Math.log2(inputBytes + 1));
    return ['', code, `${code}/${size}`, `${code}/${size}/${nodeClass}`];
  }

  #expected(names: readonly string[]): Expected {
    let log = DEFAULT_LOG_MS;
    let sigma = PRIOR_SIGMA;
    let depth = 0;
    for (const [i, name] of names.entries()) {
      const group = this.#groups.get(name);
      if (!group) continue;
      depth = i + 1;
      // Nothing is known above the widest group but the default, which weighs nothing beside a run.
      const pull = i === 0 ? 0 : SHRINKAGE;
      const { sum, squares, count } = group;
      const mean = sum / count;
      const variance = Math.max(0, squares / count - mean * mean);
      sigma = Math.sqrt((count * variance + SHRINKAGE * sigma * sigma) / (count + SHRINKAGE));
      log = (sum + pull * log) / (count + pull);
    }
    return { log, sigma: Math.max(LEAST_SIGMA, sigma), depth };
  }

  /**
   * A run of this kind took so long. Gives the groups it changed, for whoever stores them.
   * @throws SeeleError SCHEDULER_POLICY_INVALID for times and sizes that make no sense
   */
  finished(key: RunKey, runMs: number): readonly string[] {
    if (!Number.isFinite(runMs) || runMs < 0)
      throw schedulerError('SCHEDULER_POLICY_INVALID', `run time of ${runMs} ms`);
    const names = this.#names(key);
    const log = Math.log(Math.max(runMs, 0.001));
    const expected = this.#expected(names);
    // The error that a prediction made before this run would have had, in its own measure.
    if (expected.depth > 0)
      this.#errors[expected.depth]!.observe((log - expected.log) / expected.sigma);
    for (const name of names) {
      const group = this.#groups.get(name) ?? { sum: 0, squares: 0, count: 0 };
      group.sum += log;
      group.squares += log * log;
      group.count++;
      // Last used, last forgotten.
      this.#groups.delete(name);
      this.#groups.set(name, group);
    }
    for (const name of this.#groups.keys()) {
      if (this.#groups.size <= MAX_GROUPS) break;
      this.#groups.delete(name);
    }
    return names;
  }

  /**
   * What a run of this kind will take, with an interval that covers it with probability `coverage`.
   * @throws SeeleError SCHEDULER_POLICY_INVALID
   */
  predict(key: RunKey, coverage = 0.9): RunPrediction {
    const { log, sigma, depth } = this.#expected(this.#names(key));
    const pool = this.#errors[depth]!;
    const known = pool.interval(coverage);
    const spread = Math.max(DEFAULT_LOG_SPREAD, pool.largest * sigma);
    return {
      expectedMs: Math.exp(log),
      lowMs: Math.exp(log + (known ? known.low * sigma : -spread)),
      highMs: Math.exp(log + (known ? known.high * sigma : spread)),
      isCalibrated: known !== undefined,
      depth,
    };
  }

  /** A group as it is to be stored; undefined once it was forgotten. */
  group(name: string): RunGroup | undefined {
    const group = this.#groups.get(name);
    return group && { name, ...group };
  }

  /** Errors of predictions at one depth, oldest first. */
  errors(depth: number): readonly number[] {
    return this.#errors[depth]?.errors ?? [];
  }

  /** Takes back what `group` gave. Figures that make no sense are left out. */
  restoreGroup({ name, count, sum, squares }: RunGroup): void {
    if (count > 0 && Number.isFinite(sum) && Number.isFinite(squares))
      this.#groups.set(name, { sum, squares, count });
  }

  /** Takes back what `errors` gave. */
  restoreErrors(depth: number, errors: readonly number[]): void {
    for (const error of errors) this.#errors[depth]?.observe(error);
  }
}

/** A deadline is admitted when even the late end of the interval meets it. */
export const meetsDeadline = (
  waitMs: number,
  prediction: Pick<RunPrediction, 'highMs'>,
  deadlineMs: number,
): boolean => waitMs + prediction.highMs <= deadlineMs;
