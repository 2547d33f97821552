/**
 * What runs have taught: how long codes run, how wrong predictions were, how neighbours slow each
 * other, whose offers hold. Kept in memory, stored in small rows as it changes (a few seconds late:
 * losing the last of them costs accuracy, never correctness) and taken back from them at start.
 */
import { ErrorPool, Interference, RUN_DEPTHS, RunTimes } from '#libs/scheduler';
import { ROW_VERSION } from '../model/rows.ts';
import type { LearnedRow } from './terms.ts';

type What = LearnedRow['what'];
type WhatOf<K extends What['kind']> = Extract<What, { kind: K }>;

/** Means of what one code used. */
export interface CodeUse {
  readonly runs: number;
  readonly cpuMs: number;
  readonly wallMs: number;
  readonly peakBytes: number;
}

export interface QuoteCounts {
  /** Orders with a quote that came to an end, and those whose price and finish were kept. */
  readonly ended: number;
  readonly kept: number;
  /** Of the others: finished outside the interval, charged more, given up. */
  readonly late: number;
  readonly dear: number;
  readonly failed: number;
}

const NO_QUOTES: QuoteCounts = { ended: 0, kept: 0, late: 0, dear: 0, failed: 0 };

const CODES_MAX = 10_000;
const MEMORY_OF_RUNS = 20;
/**
 * So many deliveries may be later than promised, and how fast intervals are adapted to keep it so. Few,
 * because errors do not come one by one: what slows one order slows those beside it, whose quotes
 * were given before anything could be learned from it. So few that a hundred errors must be known first.
 */
const LATE_TAIL = 0.01;
const TAIL_STEP = 0.02;
const TRUST_LEAST = 0.1;
const MIB = 2 ** 20;
/** Classes of errors of finish times: how much of the run was known, and whether it had to wait. */
export const FINISH_CLASSES = 4;

export class Learned {
  /** In milliseconds at the reference score, as if alone. */
  readonly runTimes = new RunTimes();
  /** Logarithms of real over foreseen time from acceptance to the accepted delivery. */
  readonly finishErrors = Array.from({ length: FINISH_CLASSES }, () => new ErrorPool());
  readonly interference = new Interference();
  readonly #lateTails = Array.from({ length: FINISH_CLASSES }, () => LATE_TAIL);
  readonly #use = new Map<string, CodeUse>();
  readonly #trust = new Map<string, number>();
  #quotes: QuoteCounts = NO_QUOTES;
  readonly #changed = new Set<string>();

  get quotes(): QuoteCounts {
    return this.#quotes;
  }

  get hasChanges(): boolean {
    return this.#changed.size > 0;
  }

  useOf(code: string): CodeUse | undefined {
    return this.#use.get(code);
  }

  observeUse(code: string, used: Omit<CodeUse, 'runs'>): void {
    const seen = this.#use.get(code) ?? { runs: 0, cpuMs: 0, wallMs: 0, peakBytes: 0 };
    const weight = 1 / Math.min(seen.runs + 1, MEMORY_OF_RUNS);
    const mean = (key: 'cpuMs' | 'wallMs' | 'peakBytes') =>
      seen[key] + weight * (used[key] - seen[key]);
    this.#use.delete(code);
    this.#use.set(code, {
      runs: seen.runs + 1,
      ...{ cpuMs: mean('cpuMs'), wallMs: mean('wallMs'), peakBytes: mean('peakBytes') },
    });
    // Last used, last forgotten.
    if (this.#use.size > CODES_MAX) this.#use.delete(this.#use.keys().next().value as string);
    this.touch(`use ${code}`);
  }

  /** One of 16 classes of work: how busy a code keeps its core, and how much memory it takes. */
  workClassOf(code: string): number {
    const use = this.#use.get(code);
    if (!use) return 0;
    const busy = Math.min(3, Math.floor((4 * use.cpuMs) / Math.max(1, use.wallMs)));
    const size = Math.min(3, Math.max(0, Math.floor(Math.log2(use.peakBytes / (32 * MIB) + 1))));
    return 4 * busy + size;
  }

  /** Share of its offered slots that a provider is believed to have. */
  trustOf(provider: string): number {
    return this.#trust.get(provider) ?? 1;
  }

  /** It declined for want of room, or could not do what it offers: it has less than it says. */
  offerBroken(provider: string): void {
    this.#trust.set(provider, Math.max(TRUST_LEAST, this.trustOf(provider) * 0.7));
    this.touch(`trust ${provider}`);
  }

  offerHeld(provider: string): void {
    const trust = this.trustOf(provider);
    if (trust === 1) return;
    const next = trust + 0.1;
    if (next >= 1) this.#trust.delete(provider);
    else this.#trust.set(provider, next);
    this.touch(`trust ${provider}`);
  }

  /**
   * How many of a class may be later than foreseen. Each that is makes the next intervals wider at once,
   * each that is not a little narrower: so the share of late ones comes out even when the load changes
   * (adaptive conformal inference, Gibbs & Candès, NeurIPS 2021).
   */
  lateTailOf(errorClass: number): number {
    return this.#lateTails[errorClass] ?? LATE_TAIL;
  }

  /** The largest error of any class: what happened to known codes can happen to unknown ones. */
  get worstFinishError(): number {
    return Math.max(...this.finishErrors.map(({ most }) => most));
  }

  /** A delivery came, later than its interval or not. */
  observeLate(errorClass: number, isLate: boolean): void {
    const next = this.lateTailOf(errorClass) + TAIL_STEP * (LATE_TAIL - (isLate ? 1 : 0));
    this.#lateTails[errorClass] = Math.min(2 * LATE_TAIL, Math.max(0, next));
  }

  quoteEnded(how: 'kept' | 'late' | 'dear' | 'failed'): void {
    const { ended } = this.#quotes;
    this.#quotes = { ...this.#quotes, ended: ended + 1, [how]: this.#quotes[how] + 1 };
    this.touch('quotes');
  }

  /** Marks something as changed, by the id of its row. */
  touch(id: string): void {
    this.#changed.add(id);
  }

  /** Rows to store now, at most so many; the rest stays marked. */
  takeChanges(most: number): readonly (readonly [string, LearnedRow])[] {
    const rows: (readonly [string, LearnedRow])[] = [];
    for (const id of this.#changed) {
      if (rows.length >= most) break;
      this.#changed.delete(id);
      const what = this.#read(id);
      if (what) rows.push([id, { version: ROW_VERSION, what }]);
    }
    return rows;
  }

  #read(id: string): What | undefined {
    const space = id.indexOf(' ');
    const name = space < 0 ? '' : id.slice(space + 1);
    switch (space < 0 ? id : id.slice(0, space)) {
      case 'runs': {
        const group = this.runTimes.group(name);
        return group && { kind: 'runs', ...group };
      }
      case 'errors':
        return { kind: 'errors', pool: name, errors: [...this.#errorsOf(name)] };
      case 'use': {
        const use = this.#use.get(name);
        return use && { kind: 'use', code: name, ...use };
      }
      case 'slowdowns':
        return { kind: 'slowdowns', logs: [...this.interference.logs] };
      case 'quotes':
        return { kind: 'quotes', ...this.#quotes };
      case 'trust':
        return { kind: 'trust', provider: name, share: this.trustOf(name) };
      default:
        return undefined;
    }
  }

  #errorsOf(pool: string): readonly number[] {
    const at = Number(pool.slice(1));
    return (pool[0] === 'r' ? this.runTimes.errors(at) : this.finishErrors[at]?.errors) ?? [];
  }

  restore({ what }: LearnedRow): void {
    switch (what.kind) {
      case 'runs':
        return this.runTimes.restoreGroup(what);
      case 'errors':
        return this.#restoreErrors(what);
      case 'use':
        return void this.#use.set(what.code, what);
      case 'slowdowns':
        return this.interference.restore(what.logs);
      case 'quotes':
        this.#quotes = countsOf(what);
        return;
      case 'trust':
        if (what.share < 1) this.#trust.set(what.provider, Math.max(TRUST_LEAST, what.share));
    }
  }

  #restoreErrors({ pool, errors }: WhatOf<'errors'>): void {
    const at = Number(pool.slice(1));
    if (pool[0] === 'r' && at < RUN_DEPTHS) this.runTimes.restoreErrors(at, errors);
    else for (const error of errors) this.finishErrors[at]?.observe(error);
  }
}

function countsOf({ ended, kept, late, dear, failed }: WhatOf<'quotes'>): QuoteCounts {
  return { ended, kept, late, dear, failed };
}
