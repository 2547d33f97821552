/** One call of the RPC: what a command sees of the request, and how it answers. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { once } from 'node:events';

import type { Bytes } from '#libs/kernel';
import { storageError } from '#libs/storage';

import { rpcError } from '../errors.ts';
import type { StorageNode } from '../node.ts';
import { boundaryOf, readParts, type Part } from './multipart.ts';
import type { Parameters } from './parameters.ts';

export interface Reply {
  readonly started: boolean;
  json(value: unknown): void;
  /** One answer of bytes, at once. */
  bytes(value: Bytes, contentType: string): void;
  /** One line of newline-delimited JSON; waits while the client does not read. */
  line(value: unknown): Promise<void>;
  /** Ends a stream of lines (also one without any). */
  endLines(): void;
  /** Streams bytes; the status goes out with the first of them. With `sizeBytes` the answer has a
   *  length of its own, which spares client and server the framing of chunks. */
  stream(source: AsyncIterable<Bytes>, contentType: string, sizeBytes?: number): Promise<void>;
}

export interface Call {
  readonly node: StorageNode;
  readonly parameters: Parameters;
  readonly reply: Reply;
  /** Aborts when the client goes, the time is over, or the process stops. */
  readonly signal: AbortSignal;
  readonly blockReadConcurrency: number;
  parts(): AsyncGenerator<Part>;
}

export type Command = (call: Call) => Promise<void>;

export interface CommandEntry {
  readonly run: Command;
  /** Streams content: counted against the limit of streams. */
  readonly isStream?: boolean;
  /** Writes: refused while the disk is in its reserve. */
  readonly writes?: boolean;
}

/** `sent` is told of everything written, once the system has it. */
export function createReply(
  response: ServerResponse,
  signal: AbortSignal,
  sent: (bytes: Bytes) => void,
): Reply {
  const start = (contentType: string, sizeBytes?: number) => {
    if (response.headersSent) return;
    response.writeHead(response.statusCode, {
      'content-type': contentType,
      ...(sizeBytes === undefined ? {} : { 'content-length': sizeBytes }),
      'x-chunked-output': '1',
      ...(response.hasHeader('cache-control') ? {} : { 'cache-control': 'no-store' }),
    });
  };
  /** A write that failed may still be looked at below us: only a finished one is told. */
  const send = (bytes: Bytes) =>
    response.write(bytes, (error) => {
      if (error === null || error === undefined) sent(bytes);
    });
  const drained = async (mayGoOn: boolean) => {
    if (!mayGoOn) await once(response, 'drain', { signal });
  };
  return {
    get started() {
      return response.headersSent;
    },
    json(value) {
      const body = `${JSON.stringify(value)}\n`;
      response.writeHead(200, {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
      });
      response.end(body);
    },
    bytes(value, contentType) {
      response.writeHead(200, { 'content-type': contentType, 'content-length': value.length });
      send(value);
      response.end();
    },
    async line(value) {
      signal.throwIfAborted();
      start('application/json');
      await drained(response.write(`${JSON.stringify(value)}\n`));
    },
    endLines() {
      start('application/json');
      response.end();
    },
    async stream(source, contentType, sizeBytes) {
      for await (const chunk of source) {
        signal.throwIfAborted();
        start(contentType, sizeBytes);
        await drained(send(chunk));
      }
      start(contentType, sizeBytes);
      response.end();
    },
  };
}

/** The body, counted; @throws STORAGE_TOO_LARGE, STORAGE_RPC_BODY when it is cut short */
export async function* readBody(
  request: IncomingMessage,
  maxBytes: number,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const announced = Number(request.headers['content-length'] ?? 0);
  const tooLarge = () =>
    storageError('STORAGE_TOO_LARGE', `the request body is longer than ${maxBytes} bytes`);
  if (announced > maxBytes) throw tooLarge();
  let sizeBytes = 0;
  // destroyOnReturn: the answer to a bad body must still reach the client.
  const chunks = request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  try {
    for await (const chunk of chunks) {
      signal.throwIfAborted();
      sizeBytes += chunk.length;
      if (sizeBytes > maxBytes) throw tooLarge();
      yield chunk;
    }
  } catch (error) {
    signal.throwIfAborted();
    if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error;
    throw rpcError('STORAGE_RPC_BODY', 'the request ended before its body');
  }
}

export function createParts(
  request: IncomingMessage,
  maxBytes: number,
  signal: AbortSignal,
): () => AsyncGenerator<Part> {
  return () =>
    readParts(readBody(request, maxBytes, signal), boundaryOf(request.headers['content-type']));
}

/** Reads a small part whole. @throws STORAGE_TOO_LARGE */
export async function wholePart(part: Part, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of part.body) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxBytes)
      throw storageError('STORAGE_TOO_LARGE', `a part is longer than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, sizeBytes);
}
