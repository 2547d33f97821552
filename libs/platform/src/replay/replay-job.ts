/** A metered job run again from its manifest: what it comes to, as contract `disputes` compares it. */
import type { DisputedClaim } from '#contracts';
import type { Bytes } from '#libs/kernel';
import type { Manifest } from '#libs/market';
import type { BlobStore } from '#libs/storage';
import { type Checkpoint, checkpointsRoot } from '#libs/vm';
import { type RunGround, fetchGround, outputCid, runAgain } from './run-again.ts';

export interface JobRun {
  readonly claim: DisputedClaim;
  readonly checkpoints: readonly Checkpoint[];
  /** CID of the output; absent unless it ended as `ok`. */
  readonly result?: string;
}

/** What a job wrote, and how it ended. */
export interface RunOutput {
  readonly exit: DisputedClaim['exit'];
  readonly parts: readonly Bytes[];
  readonly run: JobRun;
}

/** Runs it in a thread of its own. @throws PLATFORM_REPLAY, PLATFORM_REPLAY_STOPPED */
export async function runGround(ground: RunGround, signal: AbortSignal): Promise<RunOutput> {
  const { verdict, output: parts } = await runAgain(
    { ...ground, imageFuel: 0n },
    'verdict',
    () => {},
    signal,
  );
  const { exit, fuelUsed: fuel, io, checkpoints } = verdict;
  const claim = {
    ...{ exit, fuel, checkpoints: checkpoints.length },
    checkpointsRoot: checkpointsRoot(checkpoints),
    ...{ outputChain: io.outputChain, outputBytes: io.outputLength },
  };
  const result = exit === 'ok' ? await outputCid(parts) : undefined;
  return { exit, parts, run: { claim, checkpoints, ...(result !== undefined && { result }) } };
}

/**
 * Fetches what the manifest names and runs the job again.
 *
 * @throws PLATFORM_REPLAY, PLATFORM_REPLAY_STOPPED, STORAGE_…
 */
export async function replayJob(
  store: BlobStore,
  manifest: Manifest,
  manifestCid: string,
  signal: AbortSignal,
): Promise<JobRun> {
  const ground = await fetchGround(store, { manifest, manifestCid });
  return (await runGround(ground, signal)).run;
}
