/**
 * Does the work of a lease: fetches manifest and code, runs them in a slot, stores the result. Says
 * what happened as agent events. What the provider is to blame for is `failed` (the market binds the
 * order elsewhere); everything else is an outcome that can be delivered.
 */
import { hasCode } from '#libs/kernel';
import {
  type AgentEvent,
  CHECKPOINTS_PER_ENTRY,
  type Manifest,
  type StoredLease,
  type WorkOutcome,
  DEFAULT_JOB_LIMITS,
  meteredTermsOf,
} from '#libs/market';
import { declareFailpoints, failpoint, type Logger } from '#libs/platform';
import type { BlobStore } from '#libs/storage';
import type { Checkpoint } from '#libs/vm';
import type { SlotPool } from '#sandbox';
import { type JobContent, Unrunnable, watchedInputs, withMadeInputs } from './job-content.ts';
import { createWorkUnderWay } from './work-under-way.ts';
import { fetchSavePoint, keepSavePoints } from './save-points.ts';

declareFailpoints('provider.run.before', 'provider.run.started');

export interface JobRunnerOptions {
  readonly pool: SlotPool;
  readonly blobs: BlobStore;
  readonly content: JobContent;
  readonly logger: Logger;
  readonly emit: (event: AgentEvent) => void;
}

export interface JobRunner {
  prepare(lease: StoredLease): void;
  run(lease: StoredLease): void;
  kill(lease: string): void;
  killAll(): void;
}

const CHECKPOINT_HELD_MS = 500;
const NO_USAGE = { cpuMs: 0, wallMs: 0, peakMemoryBytes: 0, inputBytes: 0, outputBytes: 0 };

export function createJobRunner(options: JobRunnerOptions): JobRunner {
  const { blobs, content, emit, pool } = options;
  const { checkFits, fetchCode, fetchManifest, upload } = content;
  const underWay = createWorkUnderWay(options);

  const runInSlot = async (lease: StoredLease, manifest: Manifest, signal: AbortSignal) => {
    const code = await fetchCode(manifest);
    const inputs = watchedInputs(blobs, manifest, signal);
    signal.throwIfAborted();
    failpoint('provider.run.before');
    const log = checkpointLog(lease.lease, emit);
    const { kind } = manifest;
    const terms = meteredTermsOf(manifest, lease.manifest);
    const resumed = kind === 'js' ? await fetchSavePoint(options, lease, signal) : undefined;
    const outcome = await pool.run(
      {
        code,
        inputs: inputs.byName,
        params: manifest.params,
        limits: manifest.limits,
        seed: lease.manifest,
        ...(kind !== 'js' && { metered: { kind, terms } }),
        ...(resumed && { saved: resumed.saved }),
      },
      {
        signal,
        onStarted: () => {
          emit({
            ...{ kind: 'started', lease: lease.lease, code: manifest.code },
            inputs: manifest.inputs.map(({ name, cid }) => ({ name, cid })),
            isolation: pool.isolation.level,
            ...(resumed && { resumed: resumed.ref.cid }),
          });
          failpoint('provider.run.started');
        },
        onCheckpoint: log.add,
        onSavePoint: keepSavePoints(options, lease.lease, signal),
        onLog: ({ level, text }) => emit({ kind: 'line', lease: lease.lease, level, text }),
        onProgress: (share, note) => emit({ kind: 'progress', lease: lease.lease, share, note }),
      },
    );
    log.flush();
    inputs.check(outcome);
    return outcome;
  };

  const work = async (lease: StoredLease, signal: AbortSignal): Promise<WorkOutcome> => {
    let limits = DEFAULT_JOB_LIMITS;
    try {
      const manifest = withMadeInputs(await fetchManifest(lease.manifest), lease.inputs);
      ({ limits } = manifest);
      checkFits(manifest);
      const { exit, usage, output, error, metered } = await runInSlot(lease, manifest, signal);
      const because = error === undefined || error === '' ? {} : { error };
      const ended = { exit, usage, limits, ...(metered && { metered }) };
      if (exit !== 'ok' || output === undefined) return { ...ended, ...because };
      return { ...ended, result: await upload(output, signal) };
    } catch (error) {
      const isOrdersFault = error instanceof Unrunnable || hasCode(error, 'SANDBOX_TASK');
      if (!(error instanceof Error) || !isOrdersFault) throw error;
      return { exit: 'refused', usage: NO_USAGE, limits, error: error.message };
    }
  };

  return {
    prepare: (lease) => {
      // Only to warm the cache; `run` meets the same failure and reports it.
      fetchManifest(lease.manifest)
        .then(fetchCode)
        .catch(() => {});
    },
    run: (lease) =>
      underWay.begin(lease.lease, async (signal) => {
        const outcome = await work(lease, signal);
        if (!signal.aborted) emit({ kind: 'finished', lease: lease.lease, outcome });
      }),
    kill: underWay.kill,
    killAll: underWay.killAll,
  };
}

/** Puts checkpoints into log entries: many in one, none held back for long. */
function checkpointLog(lease: string, emit: (event: AgentEvent) => void) {
  let first = 0;
  let items: Checkpoint[] = [];
  let heldSinceMs = 0;
  const flush = (): void => {
    if (items.length === 0) return;
    emit({ kind: 'checkpoints', lease, first, items });
    first += items.length;
    items = [];
  };
  const add = (checkpoint: Checkpoint): void => {
    const nowMs = performance.now();
    if (items.length === 0) heldSinceMs = nowMs;
    items.push(checkpoint);
    if (items.length >= CHECKPOINTS_PER_ENTRY || nowMs - heldSinceMs >= CHECKPOINT_HELD_MS) flush();
  };
  return { add, flush };
}
