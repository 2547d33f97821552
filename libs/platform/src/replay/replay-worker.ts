/**
 * Runs a metered job again, in a thread with a large stack, so that V8's own limit never decides what
 * a guest's result is. The guest reaches nothing: memory of its own and the inputs it is given.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import type { Bytes } from '#libs/kernel';
import type { MeteredTerms } from '#libs/market';
import {
  type JobClaim,
  type JobProgram,
  type JobSurroundings,
  type JobVerdict,
  type ResumePoint,
  judgeJob,
  loadJsEngine,
  settleDispute,
} from '#libs/vm';

/** What is to be done: the whole job, or the stretch that decides between two claims. */
export interface ReplayWork {
  readonly program: JobProgram;
  readonly inputs: readonly { readonly name: string; readonly bytes: Bytes }[];
  readonly params: string;
  readonly terms: MeteredTerms;
  /** Images are wanted about this many fuel apart; 0 for none. */
  readonly imageFuel: bigint;
  readonly dispute?: {
    readonly first: JobClaim;
    readonly second: JobClaim;
    readonly images: readonly ResumePoint[];
  };
}

export type ReplayNews =
  | { readonly is: 'checkpoint'; readonly fuel: bigint }
  | { readonly is: 'image'; readonly image: ResumePoint }
  | { readonly is: 'verdict'; readonly verdict: JobVerdict; readonly output: readonly Bytes[] }
  | { readonly is: 'ruling'; readonly ruling: ReturnType<typeof settleDispute> };

function jsEngine() {
  return loadJsEngine(
    readFileSync(createRequire(import.meta.url).resolve('quickjs-wasi/quickjs.wasm')),
  );
}

const say = (news: ReplayNews): void => parentPort?.postMessage(news);

function work({ program, inputs, params, terms, imageFuel, dispute }: ReplayWork): void {
  const engine = program.kind === 'js' ? jsEngine() : undefined;
  const output: Bytes[] = [];
  const { seed, epochMs, quotas } = terms;
  const surroundings: JobSurroundings = {
    ...{ params, seed, epochMs, quotas },
    inputs: inputs.map(({ name, bytes }) => ({
      ...{ name, sizeBytes: bytes.length },
      read: (offset, length) => bytes.slice(offset, offset + length),
    })),
    onOutput: (chunk) => output.push(chunk.slice()),
  };
  if (dispute) {
    const { first, second, images } = dispute;
    const job = { engine, program, surroundings, terms };
    return say({ is: 'ruling', ruling: settleDispute(job, first, second, images) });
  }
  let nextImage = imageFuel;
  const keep = (image: ResumePoint): void => {
    if (image.clock.used < nextImage) return;
    nextImage = image.clock.used + imageFuel;
    say({ is: 'image', image });
  };
  const verdict = judgeJob(engine, program, surroundings, terms, {
    onCheckpoint: ({ fuel }) => say({ is: 'checkpoint', fuel }),
    ...(imageFuel > 0n && { onResumable: keep }),
  });
  say({ is: 'verdict', verdict, output });
}

work(workerData as ReplayWork);
