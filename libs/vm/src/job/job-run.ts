/** What both kinds of verifiable job share: clock, recorder, and how an ending becomes a verdict. */
import type { CallOutcome } from '../wasm/metered-instance.ts';
import {
  type Checkpoint,
  CheckpointClock,
  CLOCK_START,
  type ClockedGuest,
  type GuestState,
} from './checkpoints.ts';
import { type JobExit, JobRecorder, JobStop, type JobSurroundings } from './recorder.ts';
import type { JobTerms, JobVerdict, RunOptions } from './verifiable-job.ts';

/** The wanted checkpoint has been taken; the rest of the run is of no interest. */
export class ReachedCheckpoint extends JobStop {
  constructor() {
    super('ok', 'reached the wanted checkpoint');
  }
}

/** The running guest as checkpoints see it. */
export interface JobGuest {
  fuel: bigint;
  state(): GuestState;
}

export class JobRun {
  readonly recorder: JobRecorder;
  readonly clock: CheckpointClock;
  readonly checkpoints: Checkpoint[] = [];

  constructor(
    guest: JobGuest,
    surroundings: JobSurroundings,
    terms: JobTerms,
    options: RunOptions,
    onResumable: (index: number) => void,
  ) {
    this.recorder = new JobRecorder(surroundings, options.from?.io);
    const clocked: ClockedGuest = {
      get fuel() {
        return guest.fuel;
      },
      set fuel(value: bigint) {
        guest.fuel = value;
      },
      state: () => guest.state(),
      io: () => this.recorder.io,
    };
    this.clock = new CheckpointClock(
      clocked,
      { limit: terms.fuelLimit, interval: terms.checkpointFuel },
      (checkpoint, index) => {
        this.checkpoints.push(checkpoint);
        options.onCheckpoint?.(checkpoint);
        if (checkpoint.resumable) onResumable(index);
        if (index === options.until) throw new ReachedCheckpoint();
      },
      options.from?.clock ?? CLOCK_START,
    );
  }

  verdict(exit: JobExit, message?: string): JobVerdict {
    return {
      exit,
      ...(message === undefined ? {} : { message }),
      fuelUsed: this.clock.used,
      io: this.recorder.io,
      checkpoints: this.checkpoints,
    };
  }

  /** The verdict of a call that did not return. */
  stopped(outcome: Exclude<CallOutcome, { kind: 'returned' }>): JobVerdict {
    if (outcome.kind === 'trapped')
      return this.verdict(
        outcome.cause === 'out-of-fuel' ? 'fuel-limit' : 'guest-error',
        outcome.detail,
      );
    const { reason } = outcome;
    if (reason instanceof ReachedCheckpoint) return this.verdict('ok');
    if (reason instanceof JobStop) return this.verdict(reason.exit, reason.message);
    return this.verdict('guest-error', reason.message);
  }
}
