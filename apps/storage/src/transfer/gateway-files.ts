/**
 * Files, directories and links as any browser or `curl` takes them
 * (https://specs.ipfs.tech/http-gateways/path-gateway/). Whoever asks believes this process that the
 * bytes are those of the CID: it has checked each block, but proves nothing.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import mime from 'mime';

import { type Bytes, utf8 } from '#libs/kernel';
import { openFile } from '#libs/storage';
import type { CID } from 'multiformats/cid';

import { listDirectory, unixfsNode, type WalkedPath } from '../dag/directories.ts';
import { rpcError } from '../errors.ts';
import type { StorageNode } from '../node.ts';
import { createReply, type Reply } from '../rpc/call.ts';
import { contentArchive } from '../rpc/content-archive.ts';
import { byteRangeOf, isUnchanged } from './conditions.ts';
import { LISTING_VERSION, directoryPage } from './directory-page.ts';
import { TAR_TYPE, type GatewayRequest } from './gateway-request.ts';

const FOREVER = 'public, max-age=29030400, immutable';
/** How a listing looks may change with this program. */
const LISTING_CACHE = 'public, max-age=604800, stale-while-revalidate=2678400';
/** Content of different owners shares this address: what is shown from here runs no scripts. */
const POLICY = 'sandbox';
const SNIFFED_BYTES = 64 * 1024;
const CODEC_TYPES: Readonly<Record<number, string>> = {
  0x71: 'application/vnd.ipld.dag-cbor',
  0x0129: 'application/vnd.ipld.dag-json',
  0x51: 'application/cbor',
  0x0200: 'application/json',
};

export interface FilesOptions {
  readonly node: StorageNode;
  readonly blockReadConcurrency: number;
}

interface Exchange {
  readonly asked: GatewayRequest;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly reply: Reply;
  readonly signal: AbortSignal;
}

/** Answers with what lies at the end of a path. */
export async function answerFile(
  options: FilesOptions,
  asked: GatewayRequest,
  { cid, roots }: WalkedPath,
  { request, response }: Pick<Exchange, 'request' | 'response'>,
  signal: AbortSignal,
): Promise<void> {
  const { node } = options;
  response.setHeader('x-content-type-options', 'nosniff');
  response.setHeader('content-security-policy', POLICY);
  response.setHeader('x-ipfs-path', asked.pathText);
  response.setHeader('x-ipfs-roots', roots.map(String).join(','));
  response.setHeader('vary', 'Accept');
  const free = (bytes: Bytes) => node.buffers.giveBack(bytes);
  const exchange: Exchange = {
    ...{ asked, request, response, signal },
    reply: createReply(response, signal, free),
  };
  const { kind, unixfs } = unixfsNode(cid, await node.read(cid, signal));
  if (asked.format === 'tar') return sendTar(options, cid, exchange);
  if (kind === 'directory') return sendDirectory(options, cid, exchange);
  if (kind === 'file') return sendFile(options, cid, exchange, asked.path.segments.at(-1) ?? '');
  if (kind === 'symlink') return sendWhole(unixfs?.data ?? new Uint8Array(), cid, exchange, LINK);
  const type = CODEC_TYPES[cid.code];
  if (type === undefined)
    throw rpcError('STORAGE_GATEWAY_FORMAT', `${cid.toString()} is no file: ask for format=raw`);
  return sendWhole(await node.read(cid, signal), cid, exchange, type);
}

const LINK = 'inode/symlink';

function sendWhole(bytes: Bytes, cid: CID, exchange: Exchange, type: string): void {
  const { asked, request, response } = exchange;
  response.setHeader('etag', `"${cid.toString()}"`);
  response.setHeader('cache-control', FOREVER);
  const isShown = type.endsWith('json') || type === LINK;
  disposeOf(asked, response, isShown ? undefined : `${cid.toString()}.cbor`);
  if (isUnchanged(request, response)) return void response.writeHead(304).end();
  response.writeHead(200, { 'content-type': type, 'content-length': bytes.length });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

/** Shown in place, unless the request or the kind of content asks for a file. */
function disposeOf(asked: GatewayRequest, response: ServerResponse, attachment?: string): void {
  const name = asked.filename ?? attachment;
  const way = asked.isDownload || attachment !== undefined ? 'attachment' : 'inline';
  if (name !== undefined) response.setHeader('content-disposition', `${way}; filename="${name}"`);
  else if (asked.isDownload) response.setHeader('content-disposition', way);
}

async function sendFile(
  { node, blockReadConcurrency }: FilesOptions,
  cid: CID,
  { asked, request, response, reply, signal }: Exchange,
  name: string,
): Promise<void> {
  response.setHeader('etag', `"${cid.toString()}"`);
  response.setHeader('cache-control', FOREVER);
  response.setHeader('accept-ranges', 'bytes');
  disposeOf(asked, response);
  if (isUnchanged(request, response)) return void response.writeHead(304).end();
  const { sizeBytes } = await openFile(node.read, cid, { signal });
  const range = byteRangeOf(request, response, sizeBytes);
  if (range === 'unsatisfiable') {
    response.writeHead(416, { 'content-range': `bytes */${sizeBytes}`, 'content-length': 0 });
    return void response.end();
  }
  const { start, end } = range ?? { start: 0, end: sizeBytes };
  const type = await typeOf(node, cid, asked.filename ?? name, signal);
  if (range) response.setHeader('content-range', `bytes ${start}-${end - 1}/${sizeBytes}`);
  response.statusCode = range ? 206 : 200;
  if (request.method === 'HEAD') {
    response.setHeader('content-type', type);
    response.setHeader('content-length', end - start);
    return void response.end();
  }
  const part = { offset: start, length: end - start, signal, readAhead: blockReadConcurrency };
  const { content } = await openFile(node.readToSend, cid, part);
  await reply.stream(content, type, end - start);
}

/** By name; without one that says it, JSON and text are known by their first bytes. */
async function typeOf(node: StorageNode, cid: CID, name: string, signal: AbortSignal) {
  const named = name.includes('.') ? mime.getType(name) : null;
  if (named) return /^text\/|xml$/.test(named) ? `${named}; charset=utf-8` : named;
  const head: Bytes[] = [];
  const { sizeBytes, content } = await openFile(node.read, cid, { length: SNIFFED_BYTES, signal });
  for await (const bytes of content) head.push(bytes.slice());
  const bytes = Buffer.concat(head);
  // A cut may fall into the middle of a character: its bytes are looked at as if they were not there.
  const whole = sizeBytes > bytes.length ? bytes.subarray(0, -3) : bytes;
  const decoder = new TextDecoder('utf-8', { fatal: true });
  try {
    const text = decoder.decode(whole, { stream: sizeBytes > bytes.length });
    if (text.includes('\0')) return 'application/octet-stream';
    if (sizeBytes <= bytes.length && isJson(text)) return 'application/json';
    return 'text/plain; charset=utf-8';
  } catch {
    return 'application/octet-stream';
  }
}

function isJson(text: string): boolean {
  if (!/^\s*[[{]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

async function sendDirectory(options: FilesOptions, cid: CID, exchange: Exchange): Promise<void> {
  const { node } = options;
  const { asked, request, response, reply, signal } = exchange;
  if (!asked.pathText.endsWith('/')) {
    const location = `${asked.pathText}/${asked.query}`;
    response.writeHead(301, { location, 'content-length': 0, 'cache-control': FOREVER });
    return void response.end();
  }
  for await (const entry of listDirectory(node.read, cid, signal))
    if (entry.name === 'index.html') return sendFile(options, entry.cid, exchange, entry.name);
  response.setHeader('etag', `"DirIndex-${LISTING_VERSION}_CID-${cid.toString()}"`);
  response.setHeader('cache-control', LISTING_CACHE);
  const type = 'text/html; charset=utf-8';
  if (isUnchanged(request, response)) return void response.writeHead(304).end();
  if (request.method === 'HEAD')
    return void response.writeHead(200, { 'content-type': type }).end();
  const page = directoryPage(asked.path, listDirectory(node.read, cid, signal));
  await reply.stream(encoded(page), type);
}

async function* encoded(parts: AsyncIterable<string>): AsyncGenerator<Bytes> {
  for await (const part of parts) yield utf8(part);
}

async function sendTar(options: FilesOptions, cid: CID, exchange: Exchange): Promise<void> {
  const { asked, request, response, reply, signal } = exchange;
  // What a tar holds beside the content (order, modes) may change with this program.
  response.setHeader('etag', `W/"${cid.toString()}.x-tar"`);
  response.setHeader('cache-control', FOREVER);
  const name = asked.filename ?? `${cid.toString()}.tar`;
  response.setHeader('content-disposition', `attachment; filename="${name}"`);
  if (isUnchanged(request, response)) return void response.writeHead(304).end();
  if (request.method === 'HEAD') {
    response.writeHead(200, { 'content-type': TAR_TYPE });
    return void response.end();
  }
  const { node, blockReadConcurrency: readAhead } = options;
  await reply.stream(contentArchive({ node, readAhead, signal }, cid, cid.toString()), TAR_TYPE);
}
