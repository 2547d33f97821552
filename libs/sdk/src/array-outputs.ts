/** Outputs of an order of many tasks, read through its result document. */
import type { Bytes } from '#libs/kernel';
import { decodeArrayResult, decodeBatchResults } from '#libs/market';
import { type BlobStore, readBlob } from '#libs/storage';
import { sdkError } from './errors.ts';

export interface TaskOutput {
  /** 0 to tasks − 1. */
  readonly task: number;
  /** Replica of the task, 0 unless work was repeated to be checked. */
  readonly replica: number;
  /** Absent when it did not end as `ok`. */
  readonly output?: Bytes;
  readonly cid?: string;
  readonly error?: string;
  /** Of one that failed: its first log lines. */
  readonly log?: readonly string[];
}

const BATCH_MAX_BYTES = 4 * 2 ** 20;

/**
 * Every unit that counts, batch by batch; of those that lie apart the output is fetched.
 *
 * @param result CID of the order's result
 */
export async function* arrayOutputs(store: BlobStore, result: string): AsyncIterable<TaskOutput> {
  const { batches, tasks } = decodeArrayResult(await store.getBlock(result));
  for (const { units, results } of batches) {
    if (results === undefined) continue;
    const counted = (unit: number) =>
      units.some(({ from, count }) => from <= unit && unit < from + count);
    const bytes = await readBlob(store, results, { maxBytes: BATCH_MAX_BYTES });
    for (const { unit, cid, inline, sizeBytes, error, log } of decodeBatchResults(bytes)) {
      if (!counted(unit)) continue;
      const where = { task: unit % tasks, replica: Math.floor(unit / tasks) };
      if (cid === undefined)
        yield { ...where, ...(error !== undefined && { error }), ...(log && { log }) };
      else
        yield {
          ...where,
          cid,
          output: inline ?? (await readBlob(store, cid, { maxBytes: sizeBytes })),
        };
    }
  }
}

/** The one output of an order of one task that several operators did. @throws SDK_INPUT_INVALID */
export async function soleOutput(store: BlobStore, result: string): Promise<Bytes> {
  for await (const { output, error } of arrayOutputs(store, result)) {
    if (output) return output;
    throw sdkError('SDK_INPUT_INVALID', error ?? 'the task gave no output');
  }
  throw sdkError('SDK_INPUT_INVALID', `${result} holds no output`);
}
