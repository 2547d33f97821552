/**
 * A trustless gateway (https://specs.ipfs.tech/http-gateways/trustless-gateway/): blocks and CARs by
 * CID over plain HTTP, to be verified by whoever asks; and, where it is switched on, files as they are
 * (`gateway-files.ts`). Read only, of what is stored here; no token: it tells nothing to those who do
 * not have the CID.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { describeSystemError, type Logger } from '#libs/platform';
import { hasCode, isSeeleError } from '#libs/kernel';
import { identity } from 'multiformats/hashes/identity';
import { readFileNode, storageError } from '#libs/storage';

import { blocksArchive, dagBlocks, fileBlocks, type ByteRange } from '../dag/archive.ts';
import type { CarBlock } from '../dag/car.ts';
import { directoryBlocks, unixfsNode, walkPath, type WalkedPath } from '../dag/directories.ts';
import { rpcError } from '../errors.ts';
import type { StorageNode } from '../node.ts';
import { createReply } from '../rpc/call.ts';
import { createLimiter } from '../rpc/limiter.ts';
import { isUnchanged } from './conditions.ts';
import { answerFile } from './gateway-files.ts';
import { CAR_TYPE, RAW_TYPE, parseGatewayRequest, type GatewayRequest } from './gateway-request.ts';

export interface GatewayOptions {
  readonly node: StorageNode;
  readonly host: string;
  readonly port: number;
  readonly streams: number;
  readonly idleTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly blockReadConcurrency: number;
  /** Files as they are, too (path gateway). */
  readonly givesFiles: boolean;
  readonly logger: Logger;
}

export interface Gateway {
  readonly url: string;
  close(): Promise<void>;
}

const QUEUE = 256;
/** Depth first, every block once. */
const CAR_PARAMETERS = 'version=1; order=dfs; dups=n';

/** A range in bytes of a file of so many. */
function rangeOf(asked: GatewayRequest['entityBytes'], sizeBytes: number): ByteRange {
  const { from, to } = asked ?? { from: 0, to: Infinity };
  const start = from < 0 ? Math.max(0, sizeBytes + from) : from;
  const end = to < 0 ? sizeBytes + to + 1 : Math.min(to, Number.MAX_SAFE_INTEGER - 1) + 1;
  return { start, end };
}

/** Equal answers have equal tags: what is asked decides every byte. */
function tagOf({ format, scope, entityBytes }: GatewayRequest, { roots }: WalkedPath): string {
  const cid = roots.at(-1)?.toString() ?? '';
  if (format === 'raw') return `"${cid}.raw"`;
  const way = roots.length > 1 ? `.${roots[0]?.toString() ?? ''}` : '';
  const range = entityBytes === undefined ? '' : `.${entityBytes.from}-${entityBytes.to}`;
  return `W/"${cid}.car.${scope}${range}${way}"`;
}

export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { node, logger } = options;
  const streams = createLimiter(options.streams, QUEUE);
  const stopping = new AbortController();
  const running = new Set<Promise<void>>();

  /** Blocks of what the path leads to, as far as the scope goes. */
  async function* scoped(
    asked: GatewayRequest,
    root: CarBlock,
    signal: AbortSignal,
  ): AsyncGenerator<CarBlock> {
    const { cid, bytes } = root;
    const { kind } = unixfsNode(cid, bytes);
    if (asked.scope === 'block') return void (yield root);
    if (kind === 'file') {
      const { sizeBytes } = readFileNode(cid, bytes);
      const walk = {
        ...rangeOf(asked.entityBytes, sizeBytes),
        ...{ signal, read: node.readToSend, readAhead: options.blockReadConcurrency },
      };
      return yield* fileBlocks(walk, root);
    }
    if (asked.scope === 'all') return yield* dagBlocks(node, cid, signal);
    if (kind === 'directory') return yield* directoryBlocks(node.read, cid, signal);
    yield root;
  }

  async function leadTo(asked: GatewayRequest, signal: AbortSignal): Promise<WalkedPath> {
    try {
      const way = await walkPath(node.read, asked.path, signal);
      const isHere = way.cid.multihash.code === identity.code || (await node.store.has(way.cid));
      if (isHere) return way;
      throw storageError('STORAGE_NOT_FOUND', `${way.cid.toString()} is not stored here`);
    } catch (error) {
      if (asked.isOnlyIfCached && hasCode(error, 'STORAGE_NOT_FOUND'))
        throw rpcError('STORAGE_GATEWAY_NOT_CACHED', 'not everything on that path is stored here');
      throw error;
    }
  }

  async function answer(request: IncomingMessage, response: ServerResponse, signal: AbortSignal) {
    if (request.method !== 'GET' && request.method !== 'HEAD')
      throw rpcError('STORAGE_RPC_METHOD', `${request.method ?? ''} is not allowed, only GET`);
    const asked = parseGatewayRequest(request);
    const { format } = asked;
    const isFile = format === 'file' || format === 'tar';
    if (isFile && !options.givesFiles)
      throw rpcError('STORAGE_GATEWAY_FORMAT', 'this gateway gives only what can be verified');
    const way = await leadTo(asked, signal);
    if (isFile) {
      const leave = await streams.enter(signal);
      return await answerFile(options, asked, way, { request, response }, signal).finally(leave);
    }
    const { cid, passed, roots } = way;
    const tag = tagOf(asked, way);
    const type = format === 'raw' ? RAW_TYPE : `${CAR_TYPE}; ${CAR_PARAMETERS}`;
    const filename = asked.filename ?? `${cid.toString()}.${format === 'raw' ? 'bin' : 'car'}`;
    response.setHeader('etag', tag);
    response.setHeader('cache-control', 'public, max-age=29030400, immutable');
    response.setHeader('x-content-type-options', 'nosniff');
    response.setHeader('content-disposition', `attachment; filename="${filename}"`);
    response.setHeader('x-ipfs-path', asked.pathText);
    response.setHeader('x-ipfs-roots', roots.map(String).join(','));
    response.setHeader('vary', 'Accept');
    response.setHeader('accept-ranges', 'none');
    if (isUnchanged(request, response)) return response.writeHead(304).end();
    if (request.method === 'HEAD') {
      if (format === 'raw')
        response.setHeader('content-length', (await node.store.sizeOf(cid)) ?? 0);
      return response.writeHead(200, { 'content-type': type }).end();
    }
    const leave = await streams.enter(signal);
    try {
      const reply = createReply(response, signal, (bytes) => node.buffers.giveBack(bytes));
      if (format === 'raw') return reply.bytes(await node.readToSend(cid, signal), type);
      const last = { cid, bytes: await node.read(cid, signal) };
      const blocks = scoped(asked, last, signal);
      const sources = passed.length > 0 ? [passed, blocks] : [blocks];
      return await reply.stream(blocksArchive([roots[0] ?? cid], ...sources), type);
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
