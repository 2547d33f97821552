/**
 * A verifiable job: the same program on the same inputs gives the same output, fuel and checkpoints
 * on every machine, so a result can be checked by running it again, or only the stretch in dispute.
 */
import { type Bytes, isSeeleError } from '#libs/kernel';
import { vmError } from '../errors.ts';
import type { JsEngine } from '../js/js-engine.ts';
import { JsMachine } from '../js/js-machine.ts';
import type { ClockPosition, Checkpoint } from './checkpoints.ts';
import { JOB_PRELUDE } from './job-prelude.ts';
import { JsJob, checkJsSource } from './js-job.ts';
import {
  type JobExit,
  type JobSurroundings,
  NOTHING_RECORDED,
  type RecordedIo,
} from './recorder.ts';
import { WasiJob, checkWasiModule } from './wasi-job.ts';

export interface JobProgram {
  readonly kind: 'js' | 'wasm';
  /** Source text in UTF-8, or a WebAssembly module. */
  readonly code: Bytes;
}

export interface JobTerms {
  readonly fuelLimit: bigint;
  readonly checkpointFuel: bigint;
  /** Most that a WebAssembly job's memory grows to; 1 GiB unless given. */
  readonly memoryBytes?: number;
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
  /** Hears of each checkpoint as it is taken. */
  onCheckpoint?(checkpoint: Checkpoint): void;
  /** Receives each resumable state; keep those that a dispute may need. */
  onResumable?(point: ResumePoint): void;
}

/** Runs a job to its end, or over the stretch that `options` names. */
export function runVerifiableJob(
  engine: JsEngine | undefined,
  program: JobProgram,
  surroundings: JobSurroundings,
  terms: JobTerms,
  options: RunOptions = {},
): JobVerdict {
  if (terms.checkpointFuel <= 0n || terms.fuelLimit <= 0n)
    throw vmError('VM_PROGRAM_INVALID', 'fuel limit and checkpoint distance must be positive');
  if (program.kind === 'wasm') return new WasiJob(program.code, surroundings, terms, options).run();
  if (!engine) throw vmError('VM_ENGINE_MISMATCH', 'a JavaScript job needs the JavaScript engine');
  return new JsJob(engine, program.code, surroundings, terms, options).run();
}

/** Does now what the first script on an engine would have to wait for. */
export function bootJobEngine(engine: JsEngine): void {
  JsMachine.bootFuel(engine, JOB_PRELUDE);
}

/**
 * As `runVerifiableJob`, and a program that cannot be loaded is a verdict too: the same everywhere,
 * so it can be claimed and checked.
 *
 * @throws VM_HOST_FAULT, which is never a result
 */
export function judgeJob(...args: Parameters<typeof runVerifiableJob>): JobVerdict {
  try {
    return runVerifiableJob(...args);
  } catch (error) {
    if (!isSeeleError(error) || !REFUSALS.has(error.code)) throw error;
    const message = `${error.code}: ${error.message}`;
    return {
      ...{ exit: 'guest-error', message, fuelUsed: 0n },
      ...{ io: NOTHING_RECORDED, checkpoints: [] },
    };
  }
}

/** Refusals of a program by what it is. */
const REFUSALS = new Set([
  ...['VM_MODULE_MALFORMED', 'VM_MODULE_UNSUPPORTED', 'VM_MODULE_LIMIT'],
  ...['VM_SOURCE_LIMIT', 'VM_PROGRAM_INVALID'],
]);

const WASM_MAGIC = [0x00, 0x61, 0x73, 0x6d];

/** Says by its first bytes whether code is a WebAssembly module; anything else is a script. */
export function jobProgramOf(code: Bytes): JobProgram {
  return { kind: WASM_MAGIC.every((byte, i) => code[i] === byte) ? 'wasm' : 'js', code };
}

/**
 * Checks what can be checked of a program without running it.
 *
 * @throws VM_MODULE_MALFORMED, VM_MODULE_UNSUPPORTED, VM_MODULE_LIMIT, VM_SOURCE_LIMIT, VM_PROGRAM_INVALID
 */
export function checkJobProgram({ kind, code }: JobProgram): void {
  if (kind === 'wasm') checkWasiModule(code);
  else checkJsSource(code);
}
