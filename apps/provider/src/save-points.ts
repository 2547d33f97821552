/**
 * What a guest saves of its state goes into storage, so that the work can go on elsewhere. Only the newest
 * counts: one is stored at a time, at most one a second, and what cannot be stored is given up, because
 * the job can always begin anew. Stored unpinned: a collection may take it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Bytes } from '#libs/kernel';
import type { AgentEvent, SavePointRef, StoredLease } from '#libs/market';
import { type Logger, declareFailpoints, failpoint } from '#libs/platform';
import { type BlobStore, readBlob } from '#libs/storage';
import { SAVE_POINT_MAX_BYTES, type TaskInput } from '#sandbox';

declareFailpoints('provider.save-point.before', 'provider.save-point.after');

const STORE_EVERY_MS = 1_000;
const FETCH_MS = 10_000;

export interface SavePointsOptions {
  readonly blobs: BlobStore;
  readonly logger: Logger;
  readonly emit: (event: AgentEvent) => void;
}

/** Takes the save points of one lease until `signal` ends it. */
export function keepSavePoints(options: SavePointsOptions, lease: string, signal: AbortSignal) {
  const { blobs, emit, logger } = options;
  let newest: Bytes | undefined;
  let isStoring = false;

  const store = async (): Promise<void> => {
    isStoring = true;
    try {
      while (newest !== undefined && !signal.aborted) {
        const state = newest;
        newest = undefined;
        failpoint('provider.save-point.before');
        const { cid } = await blobs.put(state, { pin: false, signal });
        failpoint('provider.save-point.after');
        emit({ kind: 'savePoint', lease, savePoint: { cid, sizeBytes: state.length } });
        await delay(STORE_EVERY_MS, undefined, { signal, ref: false });
      }
    } catch (error) {
      if (!signal.aborted) logger.warn({ err: error, lease }, 'a save point could not be stored');
    } finally {
      isStoring = false;
    }
  };

  return (state: Bytes): void => {
    newest = state;
    if (!isStoring) void store();
  };
}

/** The state to go on from, or undefined when it is not to be had: then the work begins anew. */
export async function fetchSavePoint(
  { blobs, logger, emit }: SavePointsOptions,
  { lease, savePoint }: StoredLease,
  signal: AbortSignal,
): Promise<{ readonly saved: TaskInput; readonly ref: SavePointRef } | undefined> {
  if (savePoint === undefined) return undefined;
  const { cid, sizeBytes } = savePoint;
  try {
    if (sizeBytes > SAVE_POINT_MAX_BYTES) throw new Error(`it is said to have ${sizeBytes} bytes`);
    const within = AbortSignal.any([signal, AbortSignal.timeout(FETCH_MS)]);
    const state = await readBlob(blobs, cid, { maxBytes: sizeBytes, signal: within });
    if (state.length !== sizeBytes) throw new Error(`it has ${state.length} bytes`);
    return { saved: heldInput(state), ref: savePoint };
  } catch (error) {
    signal.throwIfAborted();
    logger.warn({ err: error, lease, cid }, 'a save point is not to be had: the job begins anew');
    const text = `save point ${cid} is not to be had: the job begins anew`;
    emit({ kind: 'line', lease, level: 'warn', text });
    return undefined;
  }
}

const heldInput = (bytes: Bytes): TaskInput => ({
  sizeBytes: bytes.length,
  async *read(offset = 0) {
    yield await Promise.resolve(bytes.slice(offset));
  },
});
