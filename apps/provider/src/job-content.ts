/** What the work of a lease is made of: manifest, code, inputs, and where results go. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Bytes, hasCode, isSeeleError } from '#libs/kernel';
import {
  ISOLATION_LEVELS,
  type MadeInputs,
  type Manifest,
  decodeManifest,
  manifestProblem,
} from '#libs/market';
import { declareFailpoints, failpoint, type Logger } from '#libs/platform';
import { type BlobStore, readBlob } from '#libs/storage';
import type { SlotOutcome, SlotPool, TaskInput } from '#sandbox';
import type { ContentCache } from './content-cache.ts';
import { providerError } from './errors.ts';

declareFailpoints('provider.upload.before', 'provider.upload.after');

export interface JobContentOptions {
  readonly pool: Pick<SlotPool, 'kinds' | 'isolation'>;
  readonly blobs: BlobStore;
  readonly cache: ContentCache;
  readonly logger: Logger;
  readonly maxCodeBytes: number;
  readonly maxOutputBytes: number;
}

/** The provider cannot; carries what to tell the market. */
export class HandBack extends Error {
  readonly code: string;
  constructor(code: string, reason: string, cause?: unknown) {
    super(reason, { cause });
    this.code = code;
  }
}

/** The order itself cannot be run by anybody. */
export class Unrunnable extends Error {}

const UPLOAD_DELAYS_MS = [100, 300, 1_000, 3_000, 5_000];

export const messageOf = (error: unknown): string =>
  isSeeleError(error) ? `${error.code}: ${error.message}` : String(error);

/** What to tell the market of a failure that is the provider's own. */
export function codeOf(error: unknown): string {
  if (error instanceof HandBack) return error.code;
  if (error instanceof Unrunnable) return 'PROVIDER_SLOT';
  if (!isSeeleError(error)) return 'PROVIDER_FAILED';
  if (error.code.startsWith('STORAGE_')) return 'PROVIDER_STORAGE';
  return error.code === 'SANDBOX_BUSY' ? 'PROVIDER_BUSY' : 'PROVIDER_SLOT';
}

export interface JobContent {
  fetchManifest(cid: string): Promise<Manifest>;
  fetchCode(manifest: Manifest): Promise<Bytes>;
  /** @throws HandBack when it cannot be done here, Unrunnable when by nobody */
  checkFits(manifest: Manifest): void;
  /** @throws HandBack when the storage does not take it */
  upload(output: Bytes, signal: AbortSignal): Promise<string>;
}

export function createJobContent(options: JobContentOptions): JobContent {
  const { blobs, cache, logger, pool } = options;

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

  return { fetchManifest, fetchCode, checkFits, upload };
}

/**
 * The manifest with what other orders made among its inputs, as the market says and the job's log has it.
 * @throws HandBack when the market names other inputs than the manifest
 */
export function withMadeInputs(manifest: Manifest, made: MadeInputs = []): Manifest {
  const { from = [], ...rest } = manifest;
  const isAll = made.length === from.length && from.every(({ name }, i) => made[i]?.name === name);
  if (!isAll) throw new HandBack('PROVIDER_INPUTS', 'the lease has other inputs than the manifest');
  return { ...rest, inputs: [...manifest.inputs, ...made] };
}

/** Inputs that remember when reading failed by the storage's fault rather than the manifest's. */
export function watchedInputs(
  blobs: BlobStore,
  { inputs }: Pick<Manifest, 'inputs'>,
  signal: AbortSignal,
) {
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
  return {
    byName,
    /** @throws HandBack when the task was refused because an input could not be read here */
    check({ exit, error }: Pick<SlotOutcome, 'exit' | 'error'>): void {
      if (exit === 'refused' && failed !== undefined)
        throw new HandBack('PROVIDER_STORAGE', error ?? 'an input could not be read', failed);
    },
  };
}
