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
import { createAskQueue } from '../jobs/ask-queue.ts';
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
/** What waits for that, and how long: beyond either it is forgotten, and the reducer asks again. */
const WAITING_MAX = 1_000;
const WAITING_MAX_MS = 600_000;
/** What one replay may burn; dearer results are not run again. */
const REPLAY_FUEL_MAX = 500_000_000_000n;
/** Storage is asked so often for what a replay needs. */
const TRIES_MAX = 10;
const RESULT_MAX_BYTES = 16 * 2 ** 20;
const BATCH_MAX_BYTES = 4 * 2 ** 20;

export interface JobChecker {
  /** Looks that wait for their turn or are under way. */
  readonly waiting: number;
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
  const queue = createAskQueue({
    ...{ concurrency: CONCURRENCY, waitingMax: WAITING_MAX, waitingMaxMs: WAITING_MAX_MS },
    failed: (error, key) => {
      if (!signal.aborted) logger.warn({ err: error, key }, 'a result was not looked into');
    },
  });
  const once = queue.ask;
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
    get waiting() {
      return queue.waiting;
    },
    stop: () => stopped.abort(),
  };
}
