/**
 * Does the work of a lease: fetches manifest and code, runs them in a slot, stores the result. Says
 * what happened as agent events. What the provider is to blame for is `failed` (the market binds the
 * order elsewhere); everything else is an outcome that can be delivered.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type Bytes, hasCode, isSeeleError } from '#libs/kernel';
import {
  type AgentEvent,
  CHECKPOINTS_PER_ENTRY,
  ISOLATION_LEVELS,
  type Manifest,
  type StoredLease,
  type WorkOutcome,
  decodeManifest,
  DEFAULT_JOB_LIMITS,
  manifestProblem,
  meteredTermsOf,
} from '#libs/market';
import { declareFailpoints, failpoint, type Logger } from '#libs/platform';
import { type BlobStore, readBlob } from '#libs/storage';
import type { Checkpoint } from '#libs/vm';
import type { SlotPool, TaskInput } from '#sandbox';
import type { ContentCache } from './content-cache.ts';
import { providerError } from './errors.ts';

declareFailpoints(
  'provider.run.before',
  'provider.run.started',
  'provider.upload.before',
  'provider.upload.after',
);

export interface JobRunnerOptions {
  readonly pool: SlotPool;
  readonly blobs: BlobStore;
  readonly cache: ContentCache;
  readonly logger: Logger;
  readonly maxCodeBytes: number;
  readonly maxOutputBytes: number;
  readonly emit: (event: AgentEvent) => void;
}

export interface JobRunner {
  prepare(lease: StoredLease): void;
  run(lease: StoredLease): void;
  kill(lease: string): void;
  killAll(): void;
}

/** The provider cannot; carries what to tell the market. */
class HandBack extends Error {
  readonly code: string;
  constructor(code: string, reason: string, cause?: unknown) {
    super(reason, { cause });
    this.code = code;
  }
}

/** The order itself cannot be run by anybody. */
class Unrunnable extends Error {}

const CHECKPOINT_HELD_MS = 500;
const UPLOAD_DELAYS_MS = [100, 300, 1_000, 3_000, 5_000];
const NO_USAGE = { cpuMs: 0, wallMs: 0, peakMemoryBytes: 0, inputBytes: 0, outputBytes: 0 };

const messageOf = (error: unknown): string =>
  isSeeleError(error) ? `${error.code}: ${error.message}` : String(error);

export function createJobRunner(options: JobRunnerOptions): JobRunner {
  const { blobs, cache, emit, logger, pool } = options;
  const running = new Map<string, AbortController>();

  const fetchManifest = async (cid: string): Promise<Manifest> => {
    const bytes = await cache.get(cid, () => blobs.getBlock(cid));
    try {
      return decodeManifest(bytes);
    } catch (error) {
      throw new Unrunnable(`the manifest cannot be read: ${messageOf(error)}`);
    }
  };

  const fetchCode = ({ code }: Manifest): Promise<Bytes> =>
    cache.get(code, async () => {
      try {
        return await readBlob(blobs, code, { maxBytes: options.maxCodeBytes });
      } catch (error) {
        if (!hasCode(error, 'STORAGE_TOO_LARGE')) throw error;
        throw new Unrunnable(`the code is longer than ${options.maxCodeBytes} bytes`);
      }
    });

  const checkFits = (manifest: Manifest): void => {
    const { kind, limits, minIsolation } = manifest;
    const problem = manifestProblem(manifest);
    if (problem !== undefined) throw new Unrunnable(`the manifest contradicts itself: ${problem}`);
    if (!pool.kinds.includes(kind))
      throw new HandBack('PROVIDER_KIND', `runs ${pool.kinds.join(', ')} here, not ${kind}`);
    const reached = ISOLATION_LEVELS.indexOf(pool.isolation.level);
    if (reached < ISOLATION_LEVELS.indexOf(minIsolation))
      throw new HandBack(
        'PROVIDER_ISOLATION',
        `${minIsolation} wanted, ${pool.isolation.level} reached`,
      );
    if (limits.outputBytes > options.maxOutputBytes)
      throw new HandBack(
        'PROVIDER_LIMITS',
        `takes at most ${options.maxOutputBytes} bytes of output`,
      );
  };

  const runInSlot = async (lease: StoredLease, manifest: Manifest, signal: AbortSignal) => {
    const code = await fetchCode(manifest);
    const inputs = watchedInputs(blobs, manifest, signal);
    signal.throwIfAborted();
    failpoint('provider.run.before');
    const log = checkpointLog(lease.lease, emit);
    const { kind } = manifest;
    const terms = meteredTermsOf(manifest, lease.manifest);
    const outcome = await pool.run(
      {
        code,
        inputs: inputs.byName,
        params: manifest.params,
        limits: manifest.limits,
        seed: lease.manifest,
        ...(kind !== 'js' && { metered: { kind, terms } }),
      },
      {
        signal,
        onStarted: () => {
          emit({
            ...{ kind: 'started', lease: lease.lease, code: manifest.code },
            inputs: manifest.inputs.map(({ name, cid }) => ({ name, cid })),
            isolation: pool.isolation.level,
          });
          failpoint('provider.run.started');
        },
        onCheckpoint: log.add,
        onLog: ({ level, text }) => emit({ kind: 'line', lease: lease.lease, level, text }),
        onProgress: (share, note) => emit({ kind: 'progress', lease: lease.lease, share, note }),
      },
    );
    log.flush();
    if (outcome.exit === 'refused' && inputs.failure() !== undefined)
      throw new HandBack('PROVIDER_STORAGE', outcome.error ?? 'an input could not be read');
    return outcome;
  };

  const upload = async (output: Bytes, signal: AbortSignal): Promise<string> => {
    for (let attempt = 0; ; attempt++) {
      try {
        failpoint('provider.upload.before');
        const { cid } = await blobs.put(output, { pin: true, signal });
        failpoint('provider.upload.after');
        return cid;
      } catch (error) {
        signal.throwIfAborted();
        const wait = UPLOAD_DELAYS_MS[attempt];
        if (wait === undefined)
          throw new HandBack(
            'PROVIDER_STORAGE',
            `the result could not be stored: ${messageOf(error)}`,
          );
        logger.warn({ err: error, attempt }, 'the result could not be stored; trying again');
        await delay(wait, undefined, { signal });
      }
    }
  };

  const work = async (lease: StoredLease, signal: AbortSignal): Promise<WorkOutcome> => {
    let limits = DEFAULT_JOB_LIMITS;
    try {
      const manifest = await fetchManifest(lease.manifest);
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

  const start = async (lease: StoredLease, controller: AbortController): Promise<void> => {
    const id = lease.lease;
    try {
      const outcome = await work(lease, controller.signal);
      if (!controller.signal.aborted) emit({ kind: 'finished', lease: id, outcome });
    } catch (error) {
      if (controller.signal.aborted) return;
      logger.warn({ err: error, lease: id }, 'the work could not be done here');
      const code = error instanceof HandBack ? error.code : codeOf(error);
      emit({ kind: 'failed', lease: id, code, reason: messageOf(error) });
    } finally {
      if (running.get(id) === controller) running.delete(id);
    }
  };

  return {
    prepare: (lease) => {
      // Only to warm the cache; `run` meets the same failure and reports it.
      fetchManifest(lease.manifest)
        .then(fetchCode)
        .catch(() => {});
    },
    run: (lease) => {
      running.get(lease.lease)?.abort();
      const controller = new AbortController();
      running.set(lease.lease, controller);
      void start(lease, controller);
    },
    kill: (lease) => {
      running.get(lease)?.abort();
      running.delete(lease);
    },
    killAll: () => {
      for (const controller of running.values()) controller.abort();
      running.clear();
    },
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

function codeOf(error: unknown): string {
  if (!isSeeleError(error)) return 'PROVIDER_FAILED';
  if (error.code.startsWith('STORAGE_')) return 'PROVIDER_STORAGE';
  return error.code === 'SANDBOX_BUSY' ? 'PROVIDER_BUSY' : 'PROVIDER_SLOT';
}

/** Inputs that remember when reading failed by the storage's fault rather than the manifest's. */
function watchedInputs(blobs: BlobStore, { inputs }: Manifest, signal: AbortSignal) {
  let failed: unknown;
  const byName = Object.create(null) as Record<string, TaskInput>;
  for (const { name, cid, sizeBytes } of inputs) {
    byName[name] = {
      sizeBytes,
      async *read(offset = 0) {
        let seen = offset;
        try {
          for await (const bytes of blobs.get(cid, { maxBytes: sizeBytes, offset, signal })) {
            seen += bytes.length;
            yield bytes;
          }
        } catch (error) {
          if (!hasCode(error, 'STORAGE_TOO_LARGE')) failed = error;
          throw error;
        }
        if (seen !== sizeBytes)
          throw providerError(
            'PROVIDER_INPUT_SIZE',
            `input ${JSON.stringify(name)} has ${seen} bytes, its manifest says ${sizeBytes}`,
          );
      },
    };
  }
  return { byName, failure: () => failed };
}
