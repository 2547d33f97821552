/** What goes into a slot and what comes out of it. */
import type { ExitClass, MeteredRun, Usage } from '#contracts';
import type { Bytes } from '#libs/kernel';
import type { IsolationLevel, JobKind, JobLimits, MeteredTerms } from '#libs/market';
import type { Checkpoint } from '#libs/vm';

/** One named input. `read` yields bytes whose hash has been verified already; it may be called again and reuses no buffer it has yielded. */
export interface TaskInput {
  readonly sizeBytes: number;
  /** From `offset` on, 0 unless given. */
  read(offset?: number): AsyncIterable<Bytes>;
}

/** One guest program with everything it may see. */
export interface SandboxTask {
  /** UTF-8 source of an ES module: `export default async ({ inputs, params, output, log, progress, save, saved }) => …`. */
  readonly code: Bytes;
  readonly inputs: Readonly<Record<string, TaskInput>>;
  /** JSON text, parsed inside the isolate and handed over as `params`. */
  readonly params: string;
  readonly limits: JobLimits;
  /** Seeds the guest's `Math.random`, so that replicas agree; same text, same numbers. */
  readonly seed?: string;
  /** Which of how many tasks of its order it is; the guest gets it as `task`. */
  readonly task?: { readonly index: number; readonly count: number };
  /** What an earlier attempt of the same work saved last; the guest reads it as `saved`. Not for metered tasks. */
  readonly saved?: TaskInput;
  /** Runs it in the metered engine, in a slot made for that; `seed` is then not used. */
  readonly metered?: MeteredTask;
}

/** A job of kind `wasm` (a WASI preview1 command) or `verifiable` (that, or a script on QuickJS). */
export interface MeteredTask {
  readonly kind: Exclude<JobKind, 'js'>;
  readonly terms: MeteredTerms;
}

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** One line of the guest's log, control characters escaped. */
export interface LogLine {
  readonly level: LogLevel;
  readonly text: string;
}

/** What the host hears while a task runs. A callback that throws ends the task as `crash`. */
export interface TaskHost {
  /** The first guest statement is about to run. */
  onStarted?(): void;
  onLog?(line: LogLine): void;
  /** `share` is between 0 and 1. */
  onProgress?(share: number, note: string): void;
  /** The guest saved where it stands, so that the work can go on from there. At most `SAVE_POINT_MAX_BYTES`. */
  onSavePoint?(state: Bytes): void;
  /** A verifiable job passed a checkpoint. */
  onCheckpoint?(checkpoint: Checkpoint): void;
  /** Kills the slot; `run` then rejects with SANDBOX_CANCELLED. */
  readonly signal?: AbortSignal;
}

/** One layer of defence as found on this machine, never as intended. */
export interface LayerReport {
  readonly name: string;
  readonly holds: boolean;
  /** What was checked and seen. */
  readonly evidence: string;
}

/** Something that must fail inside a slot, tried there. */
export interface Verdict {
  readonly attempt: string;
  readonly refused: boolean;
  /** The error code met, or what happened instead. */
  readonly seen: string;
}

/** `J`: slots run without V8's compilers and without WebAssembly. `M`: metered engine only. */
export type IsolationFlag = 'J' | 'M';

/** How strong the sandbox really is here; probed inside a slot, self-reported, not attested. */
export interface SlotIsolation {
  readonly level: IsolationLevel;
  readonly flags: readonly IsolationFlag[];
  /** The lowest layer that does not hold: what stands between this level and the next. */
  readonly failing?: LayerReport;
  /** True when a slot has a network namespace of its own with nothing in it. */
  readonly networkClosed: boolean;
  readonly layers: readonly LayerReport[];
  readonly attempts: readonly Verdict[];
  readonly kernel: string;
  readonly node: string;
  readonly v8: string;
  /** SHA-256 over Node, the addon and the slot's main file. */
  readonly codeHash: string;
}

/** How a task ended, from host facts only. */
export interface SlotOutcome {
  readonly exit: ExitClass;
  /** Present exactly when `exit` is `ok`. */
  readonly output?: Bytes;
  readonly usage: Usage;
  /** What a metered job came to; absent when it was ended from outside. */
  readonly metered?: MeteredRun;
  /** For people: why it did not end well. May quote the guest's own message, marked as such. */
  readonly error?: string;
}
