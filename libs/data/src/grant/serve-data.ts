/**
 * The owner's server for data that stays with it: `GET /v1/data/<name>[?file=a/b.csv]` with a grant, a
 * number for the use, and a signature of the reader (RFC 9421) over both. A use is counted, durably,
 * before its first byte goes out; ranges of the same use count once.
 */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createNonceWindow, verifyRequest } from '#libs/crypto';
import { type Clock, SeeleError, type AccountId, isSeeleError } from '#libs/kernel';
import { declareFailpoints, failpoint } from '#libs/platform';
import { dataError } from '../errors.ts';
import { listFolder, stampOf } from '../extract/folder.ts';
import { openSource } from '../extract/open-source.ts';
import { isTableUrl } from '../extract/postgres.ts';
import { FaultList } from '../extract/source-profile.ts';
import type { OwnerStore, StoredDataset } from '../owner/owner-store.ts';
import { snapshotDatabase } from '../extract/sqlite-snapshot.ts';
import { detectFormat } from '../extract/detect-format.ts';
import type { VersionRecorder } from '../owner/version-recorder.ts';
import { type Grant, checkGrant, readGrant } from './grant.ts';

export const GRANT_HEADER = 'seele-grant';
export const USE_HEADER = 'seele-use';

export interface DataServerOptions {
  readonly owner: OwnerStore;
  /** Account that a dataset of this home belongs to. */
  readonly accountOf: (dataset: StoredDataset) => AccountId;
  readonly recorderOf: (dataset: StoredDataset) => VersionRecorder;
  readonly clock: Clock;
  readonly host: string;
  readonly port: number;
  /** Address that readers sign for, when a proxy stands before the server. */
  readonly publicUrl?: string;
  readonly scratch: string;
  readonly onServed?: (facts: ServedFacts) => void;
}

export interface ServedFacts {
  readonly name: string;
  readonly reader: AccountId;
  readonly purpose: string;
  readonly use: number;
  readonly usesMax: number;
}

export interface DataServer {
  readonly url: string;
  stop(): Promise<void>;
}

const NONCES_MAX = 50_000;
const EPOCH_KEPT_MS = 5_000;
const REQUESTS_AT_ONCE = 32;
const HEADERS_TIMEOUT_MS = 10_000;

declareFailpoints('data.serve.counted');

interface Range {
  readonly start: number;
  readonly end: number;
}

/** One range of bytes (RFC 9110, 14.1.2); several, and other units, are answered with the whole. */
function rangeOf(header: string | undefined, size: number): Range | 'none' | 'unsatisfiable' {
  const parts = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '');
  if (parts === null || (parts[1] === '' && parts[2] === '')) return 'none';
  const [first, last] = [parts[1] as string, parts[2] as string];
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1);
  return start > end || start >= size ? 'unsatisfiable' : { start, end };
}

interface Content {
  readonly path: string;
  readonly fileName: string;
  /** Files here may be read in ranges; copies of databases are new for every request. */
  readonly isStable: boolean;
  remove(): Promise<void>;
}

class Handler {
  readonly #options: DataServerOptions;
  readonly #nonces = createNonceWindow(NONCES_MAX);
  readonly #epochs = new Map<string, { readonly epoch: number; readonly atMs: number }>();
  #running = 0;

  constructor(options: DataServerOptions) {
    this.#options = options;
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.#running >= REQUESTS_AT_ONCE)
      return answer(response, 503, 'too many requests at once');
    this.#running++;
    try {
      await this.#serve(request, response);
    } catch (error) {
      if (response.headersSent) return void response.destroy();
      if (isSeeleError(error)) return problem(response, error);
      answer(response, 500, 'the data cannot be read now');
    } finally {
      this.#running--;
    }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = URL.parse(request.url ?? '', 'http://own');
    if (request.method !== 'GET') return answer(response, 405, 'GET only');
    const name = /^\/v1\/data\/([a-z0-9][a-z0-9._-]{0,63})$/.exec(url?.pathname ?? '')?.[1];
    const dataset = name === undefined ? undefined : this.#options.owner.findDataset(name);
    // Whether a dataset of another mode exists is nobody's business.
    if (dataset?.settings.mode !== 'metadata-only') return answer(response, 404, 'no such dataset');
    const reader = this.#verify(request);
    const grant = readGrant(String(request.headers[GRANT_HEADER] ?? ''));
    await this.#check(dataset, grant, reader);
    const content = await this.#contentOf(dataset, url?.searchParams.get('file') ?? '');
    try {
      await this.#send(request, response, content, () => this.#count(dataset, grant, request));
    } finally {
      await content.remove();
    }
  }

  /** @throws HTTP_SIGNATURE_… */
  #verify(request: IncomingMessage): AccountId {
    const { publicUrl, clock } = this.#options;
    const nowS = Math.floor(clock.nowUs() / 1_000_000);
    const headers: Record<string, string> = {};
    for (const [key, value] of Object.entries(request.headers))
      if (value !== undefined) headers[key] = typeof value === 'string' ? value : value.join(', ');
    const origin = publicUrl ?? `http://${headers['host'] ?? ''}`;
    const url = origin.replace(/\/+$/, '') + (request.url ?? '');
    const proof = verifyRequest(
      { method: request.method ?? '', url, headers },
      { nowS, alsoRequire: [GRANT_HEADER, USE_HEADER] },
    );
    this.#nonces.use(proof.publicKey, proof.nonce, proof.expiresS, nowS);
    return proof.account;
  }

  async #check(dataset: StoredDataset, grant: Grant, reader: AccountId): Promise<void> {
    const { accountOf, clock } = this.#options;
    checkGrant(grant, {
      ...{ owner: accountOf(dataset), path: dataset.path, reader, nowUs: clock.nowUs() },
      epoch: await this.#epochOf(dataset),
    });
  }

  async #epochOf(dataset: StoredDataset): Promise<number> {
    const { recorderOf, clock } = this.#options;
    const known = this.#epochs.get(dataset.name);
    if (known !== undefined && clock.monotonicMs() - known.atMs < EPOCH_KEPT_MS) return known.epoch;
    const epoch = (await recorderOf(dataset).dataset(dataset.path))?.grantEpoch ?? 0;
    this.#epochs.set(dataset.name, { epoch, atMs: clock.monotonicMs() });
    return epoch;
  }

  #count(dataset: StoredDataset, grant: Grant, request: IncomingMessage): void {
    const { owner, clock, onServed } = this.#options;
    const use = String(request.headers[USE_HEADER] ?? '');
    if (!/^[0-9a-f]{32}$/.test(use))
      throw dataError('DATA_GRANT', `${USE_HEADER} is 32 hex digits, new for every use`);
    if (!owner.useGrant(grant.id, use, grant.uses, clock.nowUs()))
      throw dataError('DATA_GRANT', `the grant is used up: ${grant.uses} times`);
    failpoint('data.serve.counted');
    const { reader, purpose, uses: usesMax } = grant;
    onServed?.({ name: dataset.name, reader, purpose, usesMax, use: owner.usesOf(grant.id) });
  }

  async #contentOf({ settings }: StoredDataset, file: string): Promise<Content> {
    const { source } = settings;
    const { scratch } = this.#options;
    if (isTableUrl(source)) {
      const opened = await openSource(source, scratch);
      const { path } = opened.extracted;
      return { path, fileName: opened.fileName, isStable: false, remove: () => opened.close() };
    }
    const remove = async (): Promise<void> => undefined;
    const stats = await stat(source);
    if (stats.isDirectory()) {
      // Only names that the folder lists: nothing is resolved, so nothing leads out of it.
      const files = await listFolder(source, new FaultList());
      const found = files.find(({ name }) => name === file);
      if (found === undefined)
        throw dataError(
          'DATA_UNKNOWN',
          `the folder has no file ${JSON.stringify(file.slice(0, 100))}`,
        );
      return {
        path: join(source, found.name),
        fileName: basename(found.name),
        isStable: true,
        remove,
      };
    }
    const fileName = basename(source);
    if ((await detectFormat(source)) !== 'sqlite')
      return { path: source, fileName, isStable: true, remove };
    return { ...(await snapshotDatabase(source, scratch)), fileName, isStable: false };
  }

  async #send(
    request: IncomingMessage,
    response: ServerResponse,
    { path, fileName, isStable }: Content,
    count: () => void,
  ): Promise<void> {
    const { size } = await stat(path);
    const tag = `"${Buffer.from(await stampOf(path)).toString('base64url')}"`;
    const wanted = request.headers['if-match'];
    if (isStable && wanted !== undefined && wanted !== tag)
      return answer(response, 412, 'the data changed since');
    const range = isStable ? rangeOf(request.headers.range, size) : 'none';
    if (range === 'unsatisfiable') {
      response.setHeader('content-range', `bytes */${size}`);
      return answer(response, 416, 'there is nothing in this range');
    }
    count();
    const { start, end } = range === 'none' ? { start: 0, end: size - 1 } : range;
    response.writeHead(range === 'none' ? 200 : 206, {
      'content-type': 'application/octet-stream',
      'content-length': end - start + 1,
      'content-disposition': `attachment; filename*=UTF-8''${encodeURIComponent(fileName)}`,
      'cache-control': 'private, no-store',
      ...(isStable && { etag: tag, 'accept-ranges': 'bytes' }),
      ...(range !== 'none' && { 'content-range': `bytes ${start}-${end}/${size}` }),
    });
    if (size === 0) return void response.end();
    await pipeline(createReadStream(path, { start, end }), response);
  }
}

function answer(response: ServerResponse, status: number, detail: string): void {
  response.writeHead(status, { 'content-type': 'application/problem+json' });
  response.end(JSON.stringify({ status, detail }));
}

function problem(
  response: ServerResponse,
  { code, status, title, message, fix }: SeeleError,
): void {
  response.writeHead(status, { 'content-type': 'application/problem+json' });
  response.end(JSON.stringify({ code, status, title, detail: message, fix }));
}

export async function serveData(options: DataServerOptions): Promise<DataServer> {
  const handler = new Handler(options);
  const server = createServer((request, response) => void handler.handle(request, response));
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, () => resolve());
  });
  const { port } = server.address() as AddressInfo;
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  return {
    url: options.publicUrl ?? `http://${host}:${port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
