/** Looks into results: runs metered jobs again, and consumers' validators on what was delivered. */
import type { Bytes } from '#libs/kernel';
import { isSeeleError } from '#libs/kernel';
import {
  type MarketEffect,
  type MarketEvent,
  decodeBatchResults,
  decodeManifest,
} from '#libs/market';
import { type Logger, declareFailpoints, failpoint, replayJob } from '#libs/platform';
import { type BlobStore, readBlob } from '#libs/storage';
import { fetchValidator, judgeResult } from './validator.ts';

declareFailpoints(
  'market.replay.before',
  'market.replay.after',
  'market.validate.before',
  'market.validate.after',
);

type Effect<K extends MarketEffect['kind']> = Extract<MarketEffect, { kind: K }>;
type Replayed = Extract<MarketEvent, { kind: 'replayed' }>['outcome'];
type UnitsVerdict = Extract<MarketEvent, { kind: 'unitsValidated' }>['verdict'];

/** Each is a thread of its own that computes: no more than these at once, the others wait. */
const CONCURRENCY = 2;
/** What one replay may burn; dearer results are not run again. */
const REPLAY_FUEL_MAX = 500_000_000_000n;
/** Storage is asked so often for what a replay needs. */
const TRIES_MAX = 10;
const RESULT_MAX_BYTES = 16 * 2 ** 20;
const BATCH_MAX_BYTES = 4 * 2 ** 20;

export interface JobChecker {
  replay(effect: Effect<'replayJob'>): void;
  validate(effect: Effect<'validate'>): void;
  validateUnits(effect: Effect<'validateUnits'>): void;
  stop(): void;
}

interface CheckerOptions {
  readonly blobs: BlobStore;
  readonly logger: Logger;
  dispatch(event: MarketEvent): void;
}

export function createJobChecker(options: CheckerOptions): JobChecker {
  const { blobs, logger, dispatch } = options;
  const stopped = new AbortController();
  const { signal } = stopped;
  const once = createQueue((error, key) => {
    if (!signal.aborted) logger.warn({ err: error, key }, 'a result was not looked into');
  });
  const tries = new Map<string, number>();
  const manifestOf = async (cid: string) => decodeManifest(await blobs.getBlock(cid, { signal }));

  const replay = async ({ order, manifest, delivery }: Effect<'replayJob'>): Promise<Replayed> => {
    if ((delivery.metered?.fuel ?? 0n) > REPLAY_FUEL_MAX)
      return { is: 'impossible', reason: `more fuel than ${REPLAY_FUEL_MAX}` };
    try {
      const { claim, result } = await replayJob(
        blobs,
        await manifestOf(manifest),
        manifest,
        signal,
      );
      return { is: 'run', claim, ...(result !== undefined && { result }) };
    } catch (error) {
      const tried = (tries.get(order) ?? 0) + 1;
      tries.set(order, tried);
      const isForGood = isSeeleError(error) && error.code === 'PLATFORM_REPLAY';
      logger.warn({ err: error, order, tried }, 'a job could not be run again');
      if (!isForGood && tried < TRIES_MAX) return { is: 'unavailable' };
      tries.delete(order);
      const reason = error instanceof Error ? error.message : String(error);
      return { is: 'impossible', reason: reason.slice(0, 300) };
    }
  };

  const validateBatch = async ({ manifest: cid, results }: Effect<'validateUnits'>) => {
    const manifest = await manifestOf(cid);
    const ground = await fetchValidator(blobs, manifest, cid);
    const tasks = manifest.array?.tasks ?? 1;
    const rejected: { unit: number; reason: string }[] = [];
    let broken: string | undefined;
    const bytes = await readBlob(blobs, results, { maxBytes: BATCH_MAX_BYTES });
    for (const { unit, cid: output, inline } of decodeBatchResults(bytes)) {
      if (output === undefined) continue;
      const result = inline ?? (await readBlob(blobs, output, { maxBytes: RESULT_MAX_BYTES }));
      const verdict = await judgeResult(ground, result, signal, unit % tasks);
      if (verdict.is === 'rejected') rejected.push({ unit, reason: verdict.reason });
      if (verdict.is === 'broken') broken ??= verdict.reason;
    }
    return { is: 'judged', rejected, ...(broken !== undefined && { broken }) } as const;
  };

  return {
    replay: (effect) =>
      once(`replay/${effect.order}`, async () => {
        failpoint('market.replay.before');
        const outcome = await replay(effect);
        failpoint('market.replay.after');
        if (!signal.aborted) dispatch({ kind: 'replayed', order: effect.order, outcome });
      }),
    validate: ({ order, fence, manifest: cid, result }) =>
      once(`validate/${order}/${fence}`, async () => {
        failpoint('market.validate.before');
        const ground = await fetchValidator(blobs, await manifestOf(cid), cid);
        const bytes: Bytes = await readBlob(blobs, result, { maxBytes: RESULT_MAX_BYTES });
        const verdict = await judgeResult(ground, bytes, signal);
        failpoint('market.validate.after');
        dispatch({ kind: 'validated', order, fence, verdict });
      }),
    validateUnits: (effect) =>
      once(`validate/${effect.lease}/${effect.root}`, async () => {
        failpoint('market.validate.before');
        const verdict: UnitsVerdict = await validateBatch(effect);
        failpoint('market.validate.after');
        dispatch({ kind: 'unitsValidated', lease: effect.lease, root: effect.root, verdict });
      }),
    stop: () => stopped.abort(),
  };
}

/** Runs tasks, few at once and each key once at a time; what fails is asked for again by the reducer. */
function createQueue(failed: (error: unknown, key: string) => void) {
  const waiting: (() => Promise<void>)[] = [];
  const asked = new Set<string>();
  let running = 0;
  const next = (): void => {
    if (running >= CONCURRENCY) return;
    const task = waiting.shift();
    if (!task) return;
    running += 1;
    void task().finally(() => {
      running -= 1;
      next();
    });
  };
  return (key: string, task: () => Promise<void>): void => {
    if (asked.has(key)) return;
    asked.add(key);
    waiting.push(() =>
      task()
        .catch((error: unknown) => failed(error, key))
        .finally(() => asked.delete(key)),
    );
    next();
  };
}
