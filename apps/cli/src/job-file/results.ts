/** What jobs resulted in: written where the file says, and as what the next job reads. */
import { lstatSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { utf8, utf8Decode } from '#libs/kernel';
import { type MarketClient, type OrderDocument, arrayOutputs, soleOutput } from '#libs/sdk';
import { type BlobRef, type BlobStore, fileSize, parseCid } from '#libs/storage';
import { cliError } from '../errors.ts';
import { writeUserFile } from '../frame/files.ts';

/** The result of many tasks is put together a moment after the last was paid. */
const RESULT_WAIT_MS = 30_000;
const POLL_MS = 200;
/** Outputs of many tasks that another job reads as one document. */
const TOGETHER_MAX_BYTES = 64 * 2 ** 20;

interface Services {
  readonly market: MarketClient;
  readonly store: BlobStore;
}

/**
 * Writes the result of an order that ended well (a folder of outputs by task for many tasks), and gives
 * what a job gets that reads it: the result itself, or a JSON list with each task's output as text.
 */
export async function keepResult(
  { market, store }: Services,
  order: OrderDocument,
  { path, isMany }: { readonly path?: string | undefined; readonly isMany: boolean },
): Promise<BlobRef> {
  const result = await resultCid(market, order);
  if (order.array && !isMany) {
    const output = await soleOutput(store, result);
    if (path !== undefined) writeUserFile(path, output);
    return store.put(output);
  }
  if (order.array) return keepOutputs(store, result, path);
  if (path !== undefined) writeUserFile(path, await market.result(order.id));
  const sizeBytes = await fileSize((cid) => store.getBlock(cid.toString()), parseCid(result));
  return { cid: result, sizeBytes };
}

async function resultCid(market: MarketClient, order: OrderDocument): Promise<string> {
  const until = Date.now() + RESULT_WAIT_MS;
  let { result } = order;
  while (result === undefined && Date.now() < until) {
    await new Promise((resume) => setTimeout(resume, POLL_MS));
    ({ result } = await market.order(order.id));
  }
  if (result === undefined) throw cliError('CLI_TIMEOUT', `${order.id} shows no result yet`);
  return result;
}

async function keepOutputs(store: BlobStore, result: string, folder?: string): Promise<BlobRef> {
  const texts: (string | null)[] = [];
  let sizeBytes = 0;
  if (folder !== undefined) mkdirSync(folder, { recursive: true });
  for await (const { task, output } of arrayOutputs(store, result)) {
    sizeBytes += output?.length ?? 0;
    if (sizeBytes <= TOGETHER_MAX_BYTES) texts[task] = output ? utf8Decode(output) : null;
    if (folder !== undefined && output) writeUserFile(notALink(join(folder, String(task))), output);
  }
  // Too much for one document: it says so to the job that reads it.
  const together = sizeBytes > TOGETHER_MAX_BYTES ? { tooLarge: sizeBytes } : [...texts];
  return store.put(utf8(JSON.stringify(together)));
}

function notALink(path: string): string {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink())
    throw cliError('CLI_FILE', `${path} is a link: a result is not written through it`);
  return path;
}
