/** What jobs resulted in, written where the file says. */
import { lstatSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type MarketClient, type OrderDocument, arrayOutputs, soleOutput } from '#libs/sdk';
import type { BlobStore } from '#libs/storage';
import { cliError } from '../errors.ts';
import { writeUserFile } from '../frame/files.ts';

/** The result of many tasks is put together a moment after the last was paid. */
const RESULT_WAIT_MS = 30_000;
const POLL_MS = 200;

interface Services {
  readonly market: MarketClient;
  readonly store: BlobStore;
}

/** Writes the result of an order that ended well: a folder of outputs by task for many tasks. */
export async function keepResult(
  { market, store }: Services,
  order: OrderDocument,
  { path, isMany }: { readonly path: string; readonly isMany: boolean },
): Promise<void> {
  const result = await resultCid(market, order);
  if (!order.array) writeUserFile(path, await market.result(order.id));
  else if (!isMany) writeUserFile(path, await soleOutput(store, result));
  else await keepOutputs(store, result, path);
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

async function keepOutputs(store: BlobStore, result: string, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  for await (const { task, output } of arrayOutputs(store, result))
    if (output) writeUserFile(notALink(join(folder, String(task))), output);
}

function notALink(path: string): string {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink())
    throw cliError('CLI_FILE', `${path} is a link: a result is not written through it`);
  return path;
}
