/**
 * The HTTP side of the RPC: admission, limits, routing, errors. Commands stream through it with
 * back-pressure both ways; no file is ever held whole.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import { ERROR_CODE_HEADER, storageError } from '#libs/storage';
import {
  describeSystemError,
  operationsAnswer,
  type Health,
  type Logger,
  type Metrics,
} from '#libs/platform';

import { rpcError, rpcFailure } from '../errors.ts';
import type { StorageNode } from '../node.ts';
import { createAdmission } from './admission.ts';
import { createParts, createReply, type Reply } from './call.ts';
import { commands } from './commands/index.ts';
import { createLimiter } from './limiter.ts';
import { parseParameters } from './parameters.ts';

export interface RpcServerOptions {
  readonly node: StorageNode;
  readonly token: string;
  readonly origins: readonly string[];
  readonly host: string;
  readonly port: number;
  readonly requestTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly maxBodyBytes: number;
  readonly streams: number;
  readonly blockReadConcurrency: number;
  readonly logger: Logger;
  readonly health: Health;
  readonly metrics: Metrics;
}

export interface RpcServer {
  readonly url: string;
  close(): Promise<void>;
}

const PREFIX = '/api/v0/';
/** Calls that move no streams are short; so many may be at work before others wait. */
const SHORT_CALLS = 256;
const QUEUE = 1024;
/** After an early refusal the client may still be sending: read on for this long, then cut. */
const DRAIN_MS = 1_000;

export async function startRpcServer(options: RpcServerOptions): Promise<RpcServer> {
  const { node, logger, health, metrics } = options;
  let ownOrigins: readonly string[] = [];
  const admission = createAdmission({
    token: options.token,
    origins: () => [...ownOrigins, ...options.origins],
  });
  const streams = createLimiter(options.streams, QUEUE);
  const shorts = createLimiter(SHORT_CALLS, QUEUE);
  const stopping = new AbortController();
  const running = new Set<Promise<void>>();
  const seconds = metrics.histogram(
    'seele_storage_call_seconds',
    'Duration of RPC calls',
    undefined,
    ['command', 'status'],
  );
  metrics.gauge('seele_storage_streams', 'Streaming calls at work', () => streams.active);
  metrics.gauge('seele_storage_waiting', 'Calls that wait', () => streams.waiting + shorts.waiting);
  metrics.gauge('seele_storage_pins', 'Pins', () => node.pins.pins.size);
  metrics.gauge('seele_storage_peers', 'Connected peers', () => node.helia.peerCount());

  async function runCall(
    request: IncomingMessage,
    url: URL,
    name: string,
    reply: Reply,
    gone: AbortSignal,
  ): Promise<void> {
    const command = commands.get(name);
    if (command === undefined)
      throw rpcError('STORAGE_RPC_UNKNOWN', `command ${JSON.stringify(name.slice(0, 60))}`);
    const over = AbortSignal.timeout(options.requestTimeoutMs);
    const signal = AbortSignal.any([gone, over, stopping.signal]);
    const leave = await (command.isStream === true ? streams : shorts).enter(signal);
    try {
      if (command.writes === true) await node.requireSpace();
      await command.run({
        node,
        parameters: parseParameters(url.searchParams),
        reply,
        signal,
        blockReadConcurrency: options.blockReadConcurrency,
        parts: createParts(request, options.maxBodyBytes, signal),
      });
    } catch (error) {
      if (over.aborted)
        throw rpcError('STORAGE_RPC_TIMEOUT', `${name} ran for ${options.requestTimeoutMs} ms`);
      if (stopping.signal.aborted) throw storageError('STORAGE_BUSY', 'the process is stopping');
      throw error;
    } finally {
      leave();
    }
  }

  function fail(error: unknown, name: string, request: IncomingMessage, response: ServerResponse) {
    const failure = rpcFailure(error);
    if (failure.code === 'STORAGE_FAILED' || failure.code === 'STORAGE_CORRUPT')
      logger.error({ err: error, command: name }, 'call failed');
    // What was begun cannot be taken back: cut it, so that it is not taken for whole.
    if (response.headersSent) return void response.destroy();
    const body = `${JSON.stringify(failure.body)}\n`;
    const mayKeep = request.complete;
    response.writeHead(failure.status, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      [ERROR_CODE_HEADER]: failure.code,
      ...(failure.status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
      ...(failure.status === 405 ? { allow: 'POST' } : {}),
      ...(failure.status === 503 ? { 'retry-after': '1' } : {}),
      ...(mayKeep ? {} : { connection: 'close' }),
    });
    if (mayKeep) return void response.end(body);
    // The client may still be sending. Ending now would cut the connection under its feet and lose
    // the answer with it, so read on (and drop it) until it is done or its time is over.
    response.write(body);
    const finish = () => void response.end();
    request.once('end', finish).once('close', finish).resume();
    setTimeout(finish, DRAIN_MS).unref();
  }

  async function answerOperations(path: string, response: ServerResponse): Promise<void> {
    const answer = await operationsAnswer({ health, metrics }, path);
    response.writeHead(answer.status, { 'content-type': answer.contentType });
    response.end(answer.body);
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://localhost');
    if (request.method === 'GET' && /^\/(health\/|metrics$)/.test(url.pathname))
      return answerOperations(url.pathname, response);
    const name = url.pathname.startsWith(PREFIX) ? url.pathname.slice(PREFIX.length) : '';
    const label = commands.has(name) ? name : 'unknown';
    const stop = seconds.startTimer({ command: label });
    const gone = new AbortController();
    response.once('close', () => gone.abort(new Error('the client went away')));
    try {
      admission.check(request);
      const reply = createReply(response, gone.signal, (bytes) => node.buffers.giveBack(bytes));
      await runCall(request, url, name, reply, gone.signal);
    } catch (error) {
      fail(error, name, request, response);
    } finally {
      stop({ status: String(response.statusCode) });
    }
  }

  const server = createServer({ requestTimeout: 0, keepAliveTimeout: 30_000 }, (req, res) => {
    const call = handle(req, res).catch((error: unknown) => {
      logger.error({ err: error }, 'call failed');
      res.destroy();
    });
    running.add(call);
    void call.finally(() => running.delete(call));
  });
  server.setTimeout(options.idleTimeoutMs);
  server.on('clientError', (_, socket) => {
    if (!socket.writable) return void socket.destroy();
    socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n', () => socket.destroy());
  });
  const port = await listen(server, options);
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  ownOrigins = [host, '127.0.0.1', 'localhost', '[::1]'].map((name) => `http://${name}:${port}`);
  return {
    url: `http://${host}:${port}`,
    async close() {
      health.stopping();
      server.close();
      server.closeIdleConnections();
      stopping.abort(new Error('the process is stopping'));
      await Promise.all(running);
      server.closeAllConnections();
    },
  };
}

function listen(server: Server, { host, port }: RpcServerOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(describeSystemError(error, `${host}:${port}`)));
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });
}
