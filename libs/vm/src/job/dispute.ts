/**
 * Deciding between two claimed results of one verifiable job: find the first checkpoint on which
 * they differ, then run only the stretch that leads to it.
 */
import type { JsEngine } from '../js/js-engine.ts';
import { type Checkpoint, checkpointRoot } from './checkpoints.ts';
import type { JobSurroundings } from './recorder.ts';
import {
  type JobProgram,
  type JobTerms,
  type JobVerdict,
  type ResumePoint,
  runVerifiableJob,
} from './verifiable-job.ts';

/** What a provider states about a finished job. */
export type JobClaim = Pick<JobVerdict, 'exit' | 'fuelUsed' | 'io' | 'checkpoints'>;

/** The stretch on which two claims part. */
export type Disagreement =
  | { readonly kind: 'none' }
  /** They part at this checkpoint; both agree on the one before. */
  | { readonly kind: 'checkpoint'; readonly index: number }
  /** Every checkpoint is the same; they part between the last one and the end. */
  | { readonly kind: 'end' };

function sameCheckpoint(a: Checkpoint | undefined, b: Checkpoint | undefined): boolean {
  return a?.root === b?.root && a?.fuel === b?.fuel && a?.resumable === b?.resumable;
}

/**
 * First difference of two claims, by bisection: a checkpoint commits to everything before it, so
 * agreement at one means agreement at all earlier ones.
 */
export function bisect(a: JobClaim, b: JobClaim): Disagreement {
  const length = Math.max(a.checkpoints.length, b.checkpoints.length);
  let agreed = 0; // checkpoints below this index agree
  let open = length; // the first difference is at or below this index
  while (agreed < open) {
    const middle = (agreed + open) >>> 1;
    if (sameCheckpoint(a.checkpoints[middle], b.checkpoints[middle])) agreed = middle + 1;
    else open = middle;
  }
  if (agreed < length) return { kind: 'checkpoint', index: agreed };
  const sameEnd =
    a.exit === b.exit &&
    a.fuelUsed === b.fuelUsed &&
    a.io.outputChain === b.io.outputChain &&
    a.io.outputLength === b.io.outputLength;
  return sameEnd ? { kind: 'none' } : { kind: 'end' };
}

/** A resume point is only as good as the agreed checkpoint whose root it reproduces. */
export function matchesCheckpoint(point: ResumePoint, agreed: Checkpoint | undefined): boolean {
  const { clock, index } = point;
  if (!agreed?.resumable || clock.used !== agreed.fuel) return false;
  if (clock.checkpoints !== index + 1 || clock.crossed) return false;
  const globals = [BigInt(point.stackPointer)];
  return checkpointRoot({ memory: point.memory, globals }, point.io, agreed.fuel) === agreed.root;
}

export type Ruling = 'first' | 'second' | 'neither';

export interface DisputedJob {
  /** Needed for JavaScript. */
  readonly engine: JsEngine | undefined;
  readonly program: JobProgram;
  readonly surroundings: JobSurroundings;
  readonly terms: JobTerms;
}

/**
 * Runs the stretch in dispute and says which claim it bears out. `offered` are resume points from
 * either side; one that does not reproduce an agreed checkpoint is not used.
 */
export function settleDispute(
  job: DisputedJob,
  first: JobClaim,
  second: JobClaim,
  offered: readonly ResumePoint[] = [],
): { readonly ruling: Ruling; readonly from: number; readonly until: number | undefined } {
  const where = bisect(first, second);
  const until = where.kind === 'checkpoint' ? where.index : undefined;
  const agreedUpTo = until ?? first.checkpoints.length;
  const from = offered
    .filter((point) => point.index < agreedUpTo)
    .sort((a, b) => b.index - a.index)
    .find((point) => matchesCheckpoint(point, first.checkpoints[point.index]));
  const verdict = runVerifiableJob(job.engine, job.program, job.surroundings, job.terms, {
    ...(from && { from }),
    ...(until !== undefined && { until }),
  });
  const bears = (claim: JobClaim): boolean => {
    if (until === undefined)
      return bisect(claim, { ...verdict, checkpoints: claim.checkpoints }).kind === 'none';
    const index = until - (from ? from.index + 1 : 0);
    return sameCheckpoint(verdict.checkpoints[index], claim.checkpoints[until]);
  };
  const ruling = bears(first) ? 'first' : bears(second) ? 'second' : 'neither';
  return { ruling, from: from ? from.index + 1 : 0, until };
}
