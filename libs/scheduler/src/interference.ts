/**
 * How much tasks slow each other down on one machine: a matrix of learned pairwise slowdowns between
 * classes of work. A level caps what its tasks may suffer, and a placement is refused that would push
 * anyone on the machine over its cap.
 */
import { schedulerError } from './errors.ts';

/** Classes of work told apart: memory-bound, cache-bound and so on, as the caller numbers them. */
export const WORK_CLASSES = 16;

/** One task on a machine: its class and the most slowdown its level accepts (1 is none). */
export interface Neighbour {
  readonly workClass: number;
  readonly slowdownCap: number;
}

/** Weight of one more observation; old ones fade. */
const LEARNING_RATE = 0.1;
/** A single observation counts as no more than this factor: one bad measurement must not ban a pair. */
const MAX_LOG_SLOWDOWN = Math.log(16);

/** Learned slowdown of one class beside another. Unknown pairs count as none. */
export class Interference {
  /** Logarithm of the slowdown of class `a` beside one task of class `b` at `a * WORK_CLASSES + b`. */
  readonly #logs = new Float64Array(WORK_CLASSES * WORK_CLASSES);
  #isQuiet = true;

  #at(victim: number, other: number): number {
    for (const workClass of [victim, other])
      if (!Number.isInteger(workClass) || workClass < 0 || workClass >= WORK_CLASSES)
        throw schedulerError('SCHEDULER_POLICY_INVALID', `work class ${workClass}`);
    return victim * WORK_CLASSES + other;
  }

  /** Slowdown of a task of one class beside these others: the product of the pairs, at least 1. */
  slowdown(workClass: number, others: readonly number[]): number {
    let log = 0;
    for (const other of others) log += this.#logs[this.#at(workClass, other)]!;
    return Math.exp(Math.max(0, log));
  }

  /**
   * A task ran `measured` times as long as alone beside these others: the difference to what was
   * expected is shared among the pairs.
   * @throws SeeleError SCHEDULER_POLICY_INVALID for a slowdown that is no positive number
   */
  observed(workClass: number, others: readonly number[], measured: number): void {
    if (!(measured > 0) || !Number.isFinite(measured))
      throw schedulerError('SCHEDULER_POLICY_INVALID', `slowdown ${measured}`);
    if (others.length === 0) return;
    const truth = Math.min(MAX_LOG_SLOWDOWN, Math.max(0, Math.log(measured)));
    const expected = Math.log(this.slowdown(workClass, others));
    const step = (LEARNING_RATE * (truth - expected)) / others.length;
    for (const other of others) {
      const at = this.#at(workClass, other);
      this.#logs[at] = Math.max(0, this.#logs[at]! + step);
      if (this.#logs[at]! > 0) this.#isQuiet = false;
    }
  }

  /** True while nobody was seen to slow anybody down. */
  get isQuiet(): boolean {
    return this.#isQuiet;
  }

  /**
   * Slowdown of a newcomer beside so many tasks of each class, on a machine whose level lets each of
   * them suffer `cap`; undefined when the newcomer or somebody there would suffer more.
   */
  slowdownWithin(newcomer: number, counts: readonly number[], cap: number): number | undefined {
    if (this.#isQuiet) return 1;
    const logCap = Math.log(cap);
    for (let victim = 0; victim < WORK_CLASSES; victim++) {
      if (counts[victim] === undefined || counts[victim] === 0) continue;
      // Beside all others there and the newcomer, not beside itself.
      let log = this.#logs[this.#at(victim, newcomer)]! - this.#logs[this.#at(victim, victim)]!;
      for (let other = 0; other < WORK_CLASSES; other++)
        log += (counts[other] ?? 0) * this.#logs[victim * WORK_CLASSES + other]!;
      if (log > logCap) return undefined;
    }
    let log = 0;
    for (let other = 0; other < WORK_CLASSES; other++)
      log += (counts[other] ?? 0) * this.#logs[this.#at(newcomer, other)]!;
    return log > logCap ? undefined : Math.exp(Math.max(0, log));
  }

  /** The learned logarithms, row by victim: what is stored. */
  get logs(): readonly number[] {
    return [...this.#logs];
  }

  /** Takes back what `logs` gave; what makes no sense counts as nothing learned. */
  restore(logs: readonly number[]): void {
    for (let i = 0; i < this.#logs.length; i++) {
      const log = logs[i] ?? 0;
      this.#logs[i] = log > 0 && log <= MAX_LOG_SLOWDOWN ? log : 0;
    }
    this.#isQuiet = this.#logs.every((log) => log === 0);
  }

  /** True when with the newcomer nobody on the machine, nor the newcomer, is slowed over its cap. */
  isTolerated(newcomer: Neighbour, present: readonly Neighbour[]): boolean {
    const all = [...present, newcomer];
    return all.every(({ workClass, slowdownCap }, i) => {
      const others = all.filter((_, j) => j !== i).map((other) => other.workClass);
      return this.slowdown(workClass, others) <= slowdownCap;
    });
  }
}
