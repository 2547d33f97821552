/**
 * A verifiable job: the same program on the same inputs gives the same output, fuel and checkpoints
 * on every machine, so a result can be checked by running it again, or only the stretch in dispute.
 */
import type { Bytes } from '#libs/kernel';
import { vmError } from '../errors.ts';
import type { JsEngine } from '../js/js-engine.ts';
import type { ClockPosition, Checkpoint } from './checkpoints.ts';
import { JsJob } from './js-job.ts';
import type { JobExit, JobSurroundings, RecordedIo } from './recorder.ts';
import { WasiJob } from './wasi-job.ts';

export interface JobProgram {
  readonly kind: 'js' | 'wasm';
  /** Source text in UTF-8, or a WebAssembly module. */
  readonly code: Bytes;
}

export interface JobTerms {
  readonly fuelLimit: bigint;
  readonly checkpointFuel: bigint;
}

export interface JobVerdict {
  readonly exit: JobExit;
  /** In words; guest text where the guest failed. */
  readonly message?: string;
  readonly fuelUsed: bigint;
  readonly io: RecordedIo;
  readonly checkpoints: readonly Checkpoint[];
}

/** Enough to go on with a job from a checkpoint at which the guest did not run. */
export interface ResumePoint {
  readonly index: number;
  readonly memory: Bytes;
  readonly stackPointer: number;
  readonly clock: ClockPosition;
  readonly io: RecordedIo;
}

export interface RunOptions {
  /** Start here instead of at the beginning. */
  readonly from?: ResumePoint;
  /** Stop once this checkpoint has been taken. */
  readonly until?: number;
  /** Receives each resumable state; keep those that a dispute may need. */
  onResumable?(point: ResumePoint): void;
}

/** Runs a job to its end, or over the stretch that `options` names. */
export function runVerifiableJob(
  engine: JsEngine,
  program: JobProgram,
  surroundings: JobSurroundings,
  terms: JobTerms,
  options: RunOptions = {},
): JobVerdict {
  if (terms.checkpointFuel <= 0n || terms.fuelLimit <= 0n)
    throw vmError('VM_PROGRAM_INVALID', 'fuel limit and checkpoint distance must be positive');
  return program.kind === 'js'
    ? new JsJob(engine, program.code, surroundings, terms, options).run()
    : new WasiJob(program.code, surroundings, terms, options).run();
}
