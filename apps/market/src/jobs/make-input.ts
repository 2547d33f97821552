/**
 * What a job reads of an order of many tasks: the output of one, a list with one output per task, or all
 * of them as one JSON text. Anybody can put the same bytes together from that order's result.
 */
import { type Bytes, utf8, utf8Decode } from '#libs/kernel';
import {
  type TaskInputs,
  type UnitOutput,
  decodeArrayResult,
  decodeBatchResults,
  encodeTaskInputs,
} from '#libs/market';
import { type BlobRef, type BlobStore, readBlob } from '#libs/storage';

/** What one job may read of many outputs together. */
export const TOGETHER_MAX_BYTES = 64 * 2 ** 20;
const BATCH_MAX_BYTES = 4 * 2 ** 20;

export interface InputWanted {
  /** The document over all tasks. */
  readonly result: string;
  readonly task?: number;
  readonly isEach?: boolean;
}

/** It can never be put together; the message reads after the order's name. */
export class ImpossibleInput extends Error {}

/** @throws ImpossibleInput, STORAGE_… */
export async function makeInput(
  blobs: BlobStore,
  { result, task, isEach }: InputWanted,
  signal: AbortSignal,
): Promise<BlobRef> {
  const { tasks, outputs } = await outputsOf(blobs, result, signal);
  if (task !== undefined) return oneOutput(blobs, outputs.get(task), task, signal);
  if (isEach === true) return listOfOutputs(blobs, outputs, tasks, signal);
  return allAsText(blobs, outputs, tasks, signal);
}

/** The unit that counts of each task. */
async function outputsOf(blobs: BlobStore, result: string, signal: AbortSignal) {
  const { batches, tasks } = decodeArrayResult(await blobs.getBlock(result, { signal }));
  const outputs = new Map<number, UnitOutput>();
  for (const { units, results } of batches) {
    if (results === undefined) continue;
    const bytes = await readBlob(blobs, results, { maxBytes: BATCH_MAX_BYTES, signal });
    for (const output of decodeBatchResults(bytes))
      if (units.some(({ from, count }) => from <= output.unit && output.unit < from + count))
        outputs.set(output.unit % tasks, output);
  }
  return { tasks, outputs };
}

async function oneOutput(
  blobs: BlobStore,
  output: UnitOutput | undefined,
  task: number,
  signal: AbortSignal,
): Promise<BlobRef> {
  if (output?.cid === undefined) throw new ImpossibleInput(`task ${task} has no output`);
  // Small ones stand in the document of their batch only.
  if (output.inline) await blobs.put(output.inline, { pin: true, signal });
  return { cid: output.cid, sizeBytes: output.sizeBytes };
}

async function listOfOutputs(
  blobs: BlobStore,
  outputs: ReadonlyMap<number, UnitOutput>,
  tasks: number,
  signal: AbortSignal,
): Promise<BlobRef> {
  const list: TaskInputs[number][] = [];
  for (let task = 0; task < tasks; task++)
    list.push(await oneOutput(blobs, outputs.get(task), task, signal));
  const { cid, sizeBytes } = await blobs.put(encodeTaskInputs(list), { pin: true, signal });
  return { cid, sizeBytes };
}

async function allAsText(
  blobs: BlobStore,
  outputs: ReadonlyMap<number, UnitOutput>,
  tasks: number,
  signal: AbortSignal,
): Promise<BlobRef> {
  const sum = [...outputs.values()].reduce((total, { sizeBytes }) => total + sizeBytes, 0);
  if (sum > TOGETHER_MAX_BYTES)
    throw new ImpossibleInput(
      `its outputs have ${sum} bytes together, at most ${TOGETHER_MAX_BYTES} go into one input: read single tasks`,
    );
  const texts: (string | null)[] = [];
  for (let task = 0; task < tasks; task++) {
    const { cid, inline, sizeBytes } = outputs.get(task) ?? {};
    const bytes: Bytes | undefined =
      inline ??
      (cid === undefined
        ? undefined
        : await readBlob(blobs, cid, { maxBytes: sizeBytes ?? 0, signal }));
    texts.push(bytes === undefined ? null : utf8Decode(bytes));
  }
  const { cid, sizeBytes } = await blobs.put(utf8(JSON.stringify(texts)), { pin: true, signal });
  return { cid, sizeBytes };
}
