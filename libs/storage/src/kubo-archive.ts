/** CAR archives in and out of a storage process, and its garbage collection, over the Kubo RPC. */
import type { Bytes } from '#libs/kernel';

import { parseCid } from './cids.ts';
import { postStream } from './block-calls.ts';
import { storageError } from './errors.ts';
import { toStorageError } from './kubo-errors.ts';

export interface StorageEndpoint {
  readonly url: string;
  readonly token?: string;
  readonly signal?: AbortSignal;
}

async function post(
  { url, token, signal }: StorageEndpoint,
  path: string,
  init: RequestInit = {},
): Promise<Response> {
  try {
    const response = await fetch(`${url.replace(/\/+$/, '')}/api/v0/${path}`, {
      ...init,
      method: 'POST',
      headers: {
        ...(init.headers as Record<string, string> | undefined),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      ...(signal ? { signal } : {}),
    });
    if (response.ok) return response;
    const { Message } = (await response.json()) as { Message?: string };
    throw Object.assign(new Error(Message ?? ''), { response });
  } catch (error) {
    throw toStorageError(error, url, signal);
  }
}

/** Lines of JSON; an answer that broke off in the middle is an error, as the process reports it. */
async function* linesOf(body: AsyncIterable<Uint8Array>, url: string): AsyncGenerator<unknown> {
  const decoder = new TextDecoder();
  let held = '';
  try {
    for await (const part of body) {
      const lines = (held + decoder.decode(part, { stream: true })).split('\n');
      held = lines.pop() ?? '';
      for (const line of lines) if (line !== '') yield JSON.parse(line) as unknown;
    }
  } catch (error) {
    throw toStorageError(error, url, undefined);
  }
  if (held !== '') throw storageError('STORAGE_FAILED', `${url} stopped in the middle of a line`);
}

/**
 * Everything that a CID reaches, as a CAR (version 1). @throws STORAGE_NOT_FOUND; the stream fails when
 * the archive would not be whole
 */
export async function* exportCar(cid: string, endpoint: StorageEndpoint): AsyncGenerator<Bytes> {
  const response = await post(endpoint, `dag/export?arg=${parseCid(cid).toString()}`);
  try {
    yield* response.body as ReadableStream<Uint8Array>;
  } catch (error) {
    throw toStorageError(error, endpoint.url, endpoint.signal);
  }
}

export interface ImportedCar {
  readonly roots: readonly string[];
  readonly blocks: number;
  readonly bytes: number;
}

/**
 * Takes a CAR in: every block is checked against its CID, and each root is pinned when all below it is
 * there. @throws STORAGE_CORRUPT for a wrong hash, STORAGE_MALFORMED for what is not a whole CAR,
 * STORAGE_NOT_FOUND when blocks below a root are missing
 */
export async function importCar(
  source: AsyncIterable<Bytes>,
  endpoint: StorageEndpoint,
): Promise<ImportedCar> {
  const { url, token, signal } = endpoint;
  const answer = await postStream(
    `${url.replace(/\/+$/, '')}/api/v0/dag/import?stats=true&pin-roots=true`,
    source,
    {
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      ...{ name: 'a.car', type: 'application/vnd.ipld.car', signal },
    },
  ).catch((error: unknown) => Promise.reject(toStorageError(error, url, signal)));
  const roots: string[] = [];
  let totals = { blocks: 0, bytes: 0 };
  for await (const line of linesOf(answer, endpoint.url)) {
    const { Root, Stats } = line as {
      Root?: { Cid: { '/': string }; PinErrorMsg: string };
      Stats?: { BlockCount: number; BlockBytesCount: number };
    };
    if (Stats) totals = { blocks: Stats.BlockCount, bytes: Stats.BlockBytesCount };
    if (!Root) continue;
    if (Root.PinErrorMsg !== '')
      throw storageError('STORAGE_NOT_FOUND', `${Root.Cid['/']} is not whole: ${Root.PinErrorMsg}`);
    roots.push(Root.Cid['/']);
  }
  return { roots, ...totals };
}

/** Removes what no pin needs; gives how many blocks went. One at a time. @throws STORAGE_BUSY */
export async function collectGarbage(endpoint: StorageEndpoint): Promise<number> {
  const response = await post(endpoint, 'repo/gc');
  let removed = 0;
  for await (const line of linesOf(response.body as ReadableStream<Uint8Array>, endpoint.url))
    if ((line as { Key?: unknown }).Key !== undefined) removed++;
  return removed;
}
