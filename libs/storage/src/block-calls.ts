/**
 * `block/put`, `block/get`, `pin/add` and `add` over Node's own HTTP. kubo-rpc-client makes them through fetch, which
 * copies a block of 1 MiB several times, and holds all of a streamed body until the end (for a redirect).
 */
import { randomUUID } from 'node:crypto';
import { Agent, request, type IncomingMessage } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import type { Bytes } from '#libs/kernel';
import { CID } from 'multiformats/cid';

import { MAX_BLOCK_BYTES } from './cids.ts';
import { storageError } from './errors.ts';
import { kuboAddProfile } from './file-writer.ts';

export interface BlockCalls {
  /** The CID that the endpoint names the block with. */
  put(cid: CID, bytes: Bytes, options: BlockPutQuery, signal: AbortSignal): Promise<CID>;
  /** What the endpoint answers, not checked yet; at most as long as a block may be. */
  get(cid: CID, signal: AbortSignal): Promise<Bytes>;
  /** A stream as a file under the profile of `kuboAddProfile`; holds no more of it than a few chunks. */
  add(source: AsyncIterable<Bytes>, pin: boolean, signal: AbortSignal | undefined): Promise<CID>;
  /** Pins it with everything below it. */
  pin(cid: CID, signal: AbortSignal): Promise<void>;
  close(): void;
}

export interface BlockPutQuery {
  readonly codec: string;
  readonly pin: boolean;
}

/** Requests at once to one endpoint; more wait for a connection. */
const MAX_CONNECTIONS = 32;
const MAX_ANSWER_BYTES = 64 * 1024;
/** How long an answer may come after a connection broke off. */
const ANSWER_GRACE_MS = 50;

/** Random: content cannot be made to hold it. */
const boundaryOf = () => `seele-${randomUUID()}`;

async function* formOf(
  source: AsyncIterable<Bytes>,
  { boundary, name, type }: { boundary: string; name: string; type: string },
): AsyncGenerator<Bytes> {
  yield Buffer.from(
    `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${name}"\r\n` +
      `Content-Type: ${type}\r\n\r\n`,
  );
  yield* source;
  yield Buffer.from(`\r\n--${boundary}--\r\n`);
}

/**
 * Sends a stream as the one file of a form, as fast as the endpoint takes it; resolves with the answer,
 * which may come before all is sent.
 *
 * @throws an Error with `response` when it is refused; what the source throws
 */
export function postStream(
  url: string,
  source: AsyncIterable<Bytes>,
  options: {
    readonly headers: Readonly<Record<string, string>>;
    readonly name?: string;
    readonly type?: string;
    readonly agent?: Agent;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<IncomingMessage> {
  const { headers, name = 'blob', type = 'application/octet-stream', agent, signal } = options;
  const boundary = boundaryOf();
  const call = (url.startsWith('https:') ? tlsRequest : request)(url, {
    method: 'POST',
    ...(agent && { agent }),
    ...(signal && { signal }),
    headers: { ...headers, 'content-type': `multipart/form-data; boundary=${boundary}` },
  });
  return new Promise((resolve, reject) => {
    let isAnswered = false;
    call.once('response', (answer: IncomingMessage) => {
      isAnswered = true;
      if (answer.statusCode === 200) resolve(answer);
      else refused(answer).then(reject, reject);
    });
    // One that refuses may stop reading: then what it said is why.
    const failed = (error: unknown) =>
      void setTimeout(() => !isAnswered && reject(error), ANSWER_GRACE_MS);
    call.on('error', failed);
    pipeline(Readable.from(formOf(source, { boundary, name, type })), call).catch(failed);
  });
}

/** The body in one piece. @throws STORAGE_TOO_LARGE, before it is held */
function readAnswer(answer: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const announced = Number(answer.headers['content-length'] ?? NaN);
  const tooLarge = () =>
    storageError('STORAGE_TOO_LARGE', `the endpoint answers more than ${maxBytes} bytes`);
  return new Promise((resolve, reject) => {
    const refuse = (error: Error) => {
      reject(error);
      answer.destroy();
    };
    if (announced > maxBytes) return refuse(tooLarge());
    // One copy of each piece to its place; a body of unknown length is gathered first.
    const whole = Number.isNaN(announced) ? undefined : Buffer.allocUnsafeSlow(announced);
    const parts: Buffer[] = [];
    let at = 0;
    answer.on('data', (part: Buffer) => {
      if (at + part.length > maxBytes) return refuse(tooLarge());
      if (whole === undefined) parts.push(part);
      else part.copy(whole, at);
      at += part.length;
    });
    answer.once('end', () => resolve(whole ?? Buffer.concat(parts)));
    answer.on('error', reject);
  });
}

/** @throws an Error with `response`, as kubo-rpc-client does, when it is answered but refused */
async function refused(answer: IncomingMessage): Promise<Error> {
  const text = (await readAnswer(answer, MAX_ANSWER_BYTES)).toString('utf8');
  let message: unknown;
  try {
    message = (JSON.parse(text) as { Message?: unknown }).Message;
  } catch {
    // A proxy may answer in its own words; the status says enough.
  }
  return Object.assign(new Error(typeof message === 'string' ? message : text.slice(0, 200)), {
    response: {
      status: answer.statusCode ?? 0,
      headers: new Headers(
        Object.entries(answer.headers).map(([name, value]) => [name, String(value)]),
      ),
    },
  });
}

interface AddLine {
  readonly Hash?: string;
  readonly Message?: string;
}

/** `api` is the address with `/api/v0`. Nothing is opened before the first call. */
export function createBlockCalls(
  api: string,
  headers: Readonly<Record<string, string>>,
): BlockCalls {
  const base = new URL(api);
  const isTls = base.protocol === 'https:';
  const options = { keepAlive: true, maxSockets: MAX_CONNECTIONS };
  const agent = isTls ? new TlsAgent(options) : new Agent(options);
  const open = isTls ? tlsRequest : request;

  function post(
    command: string,
    body: { readonly type: string; readonly parts: readonly Bytes[] } | undefined,
    maxBytes: number,
    signal: AbortSignal,
  ): Promise<Buffer> {
    const length = body?.parts.reduce((sum, part) => sum + part.length, 0) ?? 0;
    return new Promise((resolve, reject) => {
      const call = open(`${api}/${command}`, {
        method: 'POST',
        agent,
        signal,
        headers: {
          ...headers,
          ...(body === undefined ? {} : { 'content-type': body.type }),
          'content-length': length,
        },
      });
      call.on('error', reject);
      call.once('response', (answer: IncomingMessage) => {
        const isGood = answer.statusCode === 200;
        (isGood
          ? readAnswer(answer, maxBytes)
          : refused(answer).then((e) => Promise.reject(e))
        ).then(resolve, reject);
      });
      for (const part of body?.parts ?? []) call.write(part);
      call.end();
    });
  }

  return {
    async put(cid, bytes, { codec, pin }, signal) {
      const boundary = cid.toString(); // no content can hold its own hash
      const query = new URLSearchParams({ 'cid-codec': codec, mhtype: 'sha2-256', pin: `${pin}` });
      const head =
        `--${boundary}\r\nContent-Disposition: form-data; name="data"; filename="data"\r\n` +
        'Content-Type: application/octet-stream\r\n\r\n';
      const parts = [Buffer.from(head), bytes, Buffer.from(`\r\n--${boundary}--\r\n`)];
      const type = `multipart/form-data; boundary=${boundary}`;
      const answer = await post(
        `block/put?${query.toString()}`,
        { type, parts },
        MAX_ANSWER_BYTES,
        signal,
      );
      return CID.parse(String((JSON.parse(answer.toString('utf8')) as { Key?: unknown }).Key));
    },
    async add(source, pin, signal) {
      const { cidVersion, rawLeaves, chunker, maxFileLinks } = kuboAddProfile;
      const query = new URLSearchParams({
        ...{ 'cid-version': `${cidVersion}`, 'raw-leaves': `${rawLeaves}`, chunker },
        ...{ 'max-file-links': `${maxFileLinks}`, pin: `${pin}`, 'stream-channels': 'true' },
      });
      const url = `${api}/add?${query.toString()}`;
      const answer = await postStream(url, source, { headers, agent, signal });
      const text = (await readAnswer(answer, MAX_ANSWER_BYTES)).toString('utf8').trim();
      const { Hash, Message } = JSON.parse(text.split('\n').at(-1) ?? '') as AddLine;
      const failure = Message ?? answer.trailers['x-stream-error'];
      if (Hash !== undefined && failure === undefined) return CID.parse(Hash);
      throw storageError('STORAGE_FAILED', `the endpoint failed: ${failure ?? 'no CID came'}`);
    },
    get: (cid, signal) =>
      post(`block/get?arg=${cid.toString()}`, undefined, MAX_BLOCK_BYTES, signal),
    async pin(cid, signal) {
      const answer = await post(
        `pin/add?arg=${cid.toString()}`,
        undefined,
        MAX_ANSWER_BYTES,
        signal,
      );
      const { Pins } = JSON.parse(answer.toString('utf8')) as { Pins?: unknown };
      if (!Array.isArray(Pins) || Pins.length === 0)
        throw storageError(
          'STORAGE_FAILED',
          `the endpoint did not say that ${cid.toString()} is pinned`,
        );
    },
    close: () => agent.destroy(),
  };
}
