/**
 * Fetches what a metered job ran on, and runs it again in a thread of its own. Market and storage are
 * loaded when that is needed: every process that uses this library would load them at its start.
 */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { type Bytes, concatBytes } from '#libs/kernel';
import type { MeteredClaim } from '#libs/market';
import type { BlobStore } from '#libs/storage';
import { JOB_VM_VERSIONS, type JobProgram, jobProgramOf } from '#libs/vm';
import { platformError } from '../errors.ts';
import type { ReplayNews, ReplayWork } from './replay-worker.ts';

/** Eight times the counted stack of the engine. */
const STACK_MB = 64;
const CODE_MAX_BYTES = 32 * 2 ** 20;
/** Inputs are held in memory while the job runs again. */
const INPUTS_MAX_BYTES = 2 ** 31;

/** Everything a run needs but what to do with it. */
export type RunGround = Pick<ReplayWork, 'program' | 'inputs' | 'params' | 'terms'>;

/** From storage, every block checked against its CID. @throws PLATFORM_REPLAY, STORAGE_… */
export async function fetchGround(
  store: BlobStore,
  {
    manifest,
    manifestCid,
    run,
  }: Pick<MeteredClaim, 'manifest' | 'manifestCid'> & {
    /** The engine it ran on, to be sure that it is this one. */
    readonly run?: { readonly engine: string };
  },
): Promise<RunGround> {
  const [{ meteredTermsOf }, { readBlob }] = await Promise.all([
    import('#libs/market'),
    import('#libs/storage'),
  ]);
  const total = manifest.inputs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (total > INPUTS_MAX_BYTES)
    throw platformError(
      'PLATFORM_REPLAY',
      `its inputs have ${total} bytes, at most ${INPUTS_MAX_BYTES}`,
    );
  const code = await readBlob(store, manifest.code, { maxBytes: CODE_MAX_BYTES });
  const program: JobProgram =
    manifest.kind === 'wasm' ? { kind: 'wasm', code } : jobProgramOf(code);
  const engine = JOB_VM_VERSIONS[program.kind];
  if (run && run.engine !== engine)
    throw platformError(
      'PLATFORM_REPLAY',
      `it ran on engine ${run.engine}, this build has ${engine}`,
    );
  const inputs = await Promise.all(
    manifest.inputs.map(async ({ name, cid, sizeBytes }) => ({
      name,
      bytes: await readBlob(store, cid, { maxBytes: sizeBytes }),
    })),
  );
  const terms = meteredTermsOf(manifest, manifestCid);
  return { program, inputs, params: manifest.params, terms };
}

/** Does the work in a thread; `hear` gets everything but the last message, which is returned. */
export function runAgain<K extends 'verdict' | 'ruling'>(
  work: ReplayWork,
  last: K,
  hear: (news: ReplayNews) => void,
  signal: AbortSignal,
): Promise<Extract<ReplayNews, { is: K }>> {
  // The same extension as this file's: the sources run as they are while they are developed.
  const program = new URL(`./replay-worker${extname(import.meta.filename)}`, import.meta.url);
  const thread = new Worker(program, {
    workerData: work,
    resourceLimits: { stackSizeMb: STACK_MB },
  });
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      void thread.terminate();
      reject(platformError('PLATFORM_REPLAY_STOPPED', 'stopped while the job ran again'));
    };
    signal.addEventListener('abort', stop, { once: true });
    thread.on('message', (news: ReplayNews) => {
      if (news.is === last) resolve(news as Extract<ReplayNews, { is: K }>);
      else hear(news);
    });
    thread.once('error', (error: Error) => {
      reject(
        platformError('PLATFORM_REPLAY', `the engine failed: ${error.message}`, { cause: error }),
      );
    });
    thread.once('exit', () => {
      signal.removeEventListener('abort', stop);
      reject(platformError('PLATFORM_REPLAY', 'the engine ended without a result'));
    });
  });
}

/** CID that storage would give this output. */
export async function outputCid(output: readonly Bytes[]): Promise<string> {
  const { createMemoryBlobStore } = await import('#libs/storage');
  const store = createMemoryBlobStore();
  try {
    return (await store.put(concatBytes(...output))).cid;
  } finally {
    await store.close();
  }
}
