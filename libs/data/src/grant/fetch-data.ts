/** A reader with a grant: finds the owner's server on the chain and reads the data there. */
import { METADATA_CONTRACT, datasetRecord, metadataKeys } from '#contracts';
import { type Signer, signRequest } from '#libs/crypto';
import { bytesToHex, decodeWith, errorEntry, SeeleError } from '#libs/kernel';
import { createSystemClock, createSystemRandomness } from '#libs/platform';
import type { NodeClient } from '#libs/sdk';
import { dataError } from '../errors.ts';
import { readGrant } from './grant.ts';
import { GRANT_HEADER, USE_HEADER } from './serve-data.ts';

export interface FetchDataOptions {
  readonly node: NodeClient;
  readonly signer: Signer;
  /** As the owner gave it. */
  readonly grant: string;
  /** File of a folder. */
  readonly file?: string;
  /** The same for all ranges of one use; a new one by default. */
  readonly use?: string;
  /** Bytes from `start` to `end`, both included. */
  readonly range?: { readonly start: number; readonly end?: number };
  readonly signal?: AbortSignal;
}

export interface FetchedData {
  readonly sizeBytes: number;
  readonly use: string;
  readonly body: AsyncIterable<Uint8Array>;
}

/** @throws DATA_NOT_SERVED when the chain names no server or it does not answer, DATA_GRANT, DATA_SOURCE */
export async function fetchData(options: FetchDataOptions): Promise<FetchedData> {
  const { node, signer, grant, file, range, signal } = options;
  const { owner, path } = readGrant(grant);
  const found = await node.state(METADATA_CONTRACT, metadataKeys.dataset(owner, path));
  const endpoint = found && decodeWith(datasetRecord, found).endpoint;
  if (endpoint === undefined)
    throw dataError('DATA_NOT_SERVED', `the chain names no place where ${path} is served`);
  const url = new URL(endpoint);
  if (file !== undefined) url.searchParams.set('file', file);
  const randomness = createSystemRandomness();
  const use = options.use ?? bytesToHex(randomness.bytes(16));
  const headers = { [GRANT_HEADER]: grant.trim(), [USE_HEADER]: use };
  const signature = signRequest({ method: 'GET', url: url.href, headers }, signer, {
    nowS: Math.floor(createSystemClock().nowUs() / 1_000_000),
    nonce: bytesToHex(randomness.bytes(16)),
    alsoCover: [GRANT_HEADER, USE_HEADER],
  });
  const response = await fetch(url, {
    headers: {
      ...headers,
      ...signature,
      ...(range && { range: `bytes=${range.start}-${range.end ?? ''}` }),
    },
    redirect: 'error',
    ...(signal && { signal }),
  }).catch((cause: unknown) => {
    throw dataError('DATA_NOT_SERVED', `no answer from ${endpoint}`, { cause });
  });
  if (!response.ok || response.body === null) throw await refusalOf(response, endpoint);
  const sizeBytes = Number(response.headers.get('content-length') ?? 0);
  return { sizeBytes, use, body: response.body };
}

async function refusalOf(response: Response, endpoint: string): Promise<Error> {
  const said = (await response.json().catch(() => ({}))) as { code?: unknown; detail?: unknown };
  const code = typeof said.code === 'string' ? said.code : '';
  const entry = errorEntry(code);
  const words = typeof said.detail === 'string' ? said.detail : `it answered ${response.status}`;
  const detail = words.slice(0, 300);
  if (entry !== undefined) return new SeeleError(code, entry, detail);
  return dataError('DATA_SOURCE', `${endpoint}: ${detail}`);
}
