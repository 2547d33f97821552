/**
 * A trustless gateway (https://specs.ipfs.tech/http-gateways/trustless-gateway/): blocks and CARs by
 * CID over plain HTTP, to be verified by whoever asks. Read only, of what is stored here; no token:
 * it tells nothing to those who do not have the CID.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { describeSystemError, type Logger } from '#libs/platform';
import { isSeeleError } from '#libs/kernel';
import { parseCid, storageError } from '#libs/storage';
import type { CID } from 'multiformats/cid';

import { dagArchive, fileArchive, type ByteRange } from '../dag/archive.ts';
import { unixfsNode } from '../dag/directories.ts';
import { rpcError } from '../errors.ts';
import type { StorageNode } from '../node.ts';
import { createReply, type Reply } from '../rpc/call.ts';
import { createLimiter } from '../rpc/limiter.ts';

export interface GatewayOptions {
  readonly node: StorageNode;
  readonly host: string;
  readonly port: number;
  readonly streams: number;
  readonly idleTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly blockReadConcurrency: number;
  readonly logger: Logger;
}

export interface Gateway {
  readonly url: string;
  close(): Promise<void>;
}

const QUEUE = 256;
const RAW_TYPE = 'application/vnd.ipld.raw';
const CAR_TYPE = 'application/vnd.ipld.car';
const wrong = (what: string) => rpcError('STORAGE_RPC_ARGUMENT', what);

function formatOf(url: URL, request: IncomingMessage): 'raw' | 'car' {
  const asked = url.searchParams.get('format') ?? request.headers.accept ?? '';
  if (asked === 'raw' || asked.includes(RAW_TYPE)) return 'raw';
  if (asked === 'car' || asked.includes(CAR_TYPE)) return 'car';
  throw wrong('ask for format=raw or format=car: this gateway gives only what can be verified');
}

/** `entity-bytes=from:to`, `to` inclusive or `*` (IPIP-402); counting from the end is not answered. */
function rangeOf(url: URL): ByteRange {
  const text = url.searchParams.get('entity-bytes');
  if (text === null) return { start: 0, end: Infinity };
  const match = /^(\d{1,15}):(\d{1,15}|\*)$/.exec(text);
  if (match === null) throw wrong(`entity-bytes=${JSON.stringify(text.slice(0, 40))}`);
  return { start: Number(match[1]), end: match[2] === '*' ? Infinity : Number(match[2]) + 1 };
}

export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { node, logger } = options;
  const streams = createLimiter(options.streams, QUEUE);
  const stopping = new AbortController();
  const running = new Set<Promise<void>>();

  async function sendCar(cid: CID, range: ByteRange, reply: Reply, signal: AbortSignal) {
    const bytes = await node.read(cid, signal);
    const type = `${CAR_TYPE}; version=1; order=dfs; dups=n`;
    if (unixfsNode(cid, bytes).kind !== 'file')
      return reply.stream(dagArchive(node, cid, signal), type);
    const walk = {
      ...range,
      signal,
      read: node.readToSend,
      readAhead: options.blockReadConcurrency,
    };
    return reply.stream(fileArchive(walk, { cid, bytes }), type);
  }

  async function answer(request: IncomingMessage, response: ServerResponse, signal: AbortSignal) {
    if (request.method !== 'GET' && request.method !== 'HEAD')
      throw rpcError('STORAGE_RPC_METHOD', `${request.method ?? ''} is not allowed, only GET`);
    const url = new URL(request.url ?? '/', 'http://localhost');
    const text = /^\/ipfs\/([^/]+)$/.exec(url.pathname)?.[1];
    if (text === undefined) throw wrong('the path is /ipfs/CID, nothing below it');
    const cid = parseCid(text);
    const format = formatOf(url, request);
    const range = rangeOf(url);
    if (!(await node.store.has(cid)))
      throw storageError('STORAGE_NOT_FOUND', `${cid.toString()} is not stored here`);
    const tag = `"${cid.toString()}.${format}"`;
    response.setHeader('etag', tag);
    response.setHeader('cache-control', 'public, max-age=29030400, immutable');
    response.setHeader('x-content-type-options', 'nosniff');
    if (request.headers['if-none-match']?.includes(tag)) return response.writeHead(304).end();
    if (request.method === 'HEAD')
      return response
        .writeHead(200, { 'content-type': format === 'raw' ? RAW_TYPE : CAR_TYPE })
        .end();
    const leave = await streams.enter(signal);
    try {
      const reply = createReply(response, signal, (bytes) => node.buffers.giveBack(bytes));
      if (format === 'raw') return reply.bytes(await node.readToSend(cid, signal), RAW_TYPE);
      return await sendCar(cid, range, reply, signal);
    } finally {
      leave();
    }
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.once('close', () => gone.abort(new Error('the client went away')));
    const limit = AbortSignal.timeout(options.requestTimeoutMs);
    try {
      await answer(request, response, AbortSignal.any([gone.signal, stopping.signal, limit]));
    } catch (error) {
      if (!isSeeleError(error) && !gone.signal.aborted && !stopping.signal.aborted)
        logger.error({ err: error }, 'gateway request failed');
      // What was begun cannot be taken back: cut it, so that it is not taken for whole.
      if (response.headersSent) return void response.destroy();
      for (const name of response.getHeaderNames()) response.removeHeader(name);
      const known = isSeeleError(error) ? error : storageError('STORAGE_FAILED', 'it failed');
      response.writeHead(known.status, { 'content-type': 'text/plain', connection: 'close' });
      response.end(`${known.message}\n`);
    }
  }

  const server = createServer({ keepAliveTimeout: 30_000 }, (request, response) => {
    const call = handle(request, response);
    running.add(call);
    void call.finally(() => running.delete(call));
  });
  server.setTimeout(options.idleTimeoutMs);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(describeSystemError(error, `${options.host}:${options.port}`)),
    );
    server.listen(options.port, options.host, resolve);
  });
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  return {
    url: `http://${host}:${(server.address() as AddressInfo).port}`,
    async close() {
      server.close();
      server.closeIdleConnections();
      stopping.abort(new Error('the process is stopping'));
      await Promise.all(running);
      server.closeAllConnections();
    },
  };
}
