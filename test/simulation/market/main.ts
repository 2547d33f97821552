/**
 * `seele sim market`: many seeds of the market simulation, each a small world with faults. A failing
 * seed is printed with the command that replays it.
 */
import { MUTANTS, type Mutant } from './mutants.ts';
import { type SeedResult, runSeed } from './run-seed.ts';

export interface SimulationOptions {
  /** First and last seed. */
  readonly from: number;
  readonly to: number;
  /** Runs every how many-th seed a second time and compares the traces; 0: none. */
  readonly repeatEvery?: number;
  /** Also tries the broken systems that must be noticed. */
  readonly mutants?: boolean;
  readonly orders?: number;
  readonly onSeed?: (result: SeedResult) => void;
}

export interface SimulationReport {
  readonly seedsTried: number;
  readonly violations: number;
  readonly failures: readonly { readonly seed: number; readonly what: string; readonly replay: string }[];
  readonly seedsRepeated: number;
  readonly tracesDiffering: number;
  /** Over all seeds, in order: equal when the same seeds run again. */
  readonly traceHash: string;
  readonly events: number;
  readonly eventsPerSecond: number;
  readonly virtualSeconds: number;
  /** How often each fault and each branch happened. */
  readonly sometimes: Readonly<Record<string, number>>;
  /** Of those that must happen, what never did. */
  readonly neverHappened: readonly string[];
  readonly mutantsTried: number;
  readonly mutantsCaught: number;
  readonly mutants: readonly { readonly name: string; readonly caughtBySeed: number | null; readonly invariant: string | null }[];
}

/** Seeds within which every mutant must be noticed. */
export const MUTANT_SEEDS = 200;
