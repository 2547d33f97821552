/**
 * multipart/form-data (RFC 7578, RFC 2046 5.1) as a stream: parts in order, their bodies as they
 * come. Never holds more than one chunk of the source beside a line of headers.
 */
import { rpcError } from '../errors.ts';

export interface Part {
  readonly name: string;
  /** Decoded; undefined when the part has none. */
  readonly filename: string | undefined;
  readonly contentType: string;
  /** Must be read (or left, then it is skipped) before the next part. */
  readonly body: AsyncGenerator<Buffer>;
}

const MAX_HEADER_BYTES = 16 * 1024;
const MAX_PARTS = 100_000;
const HEADERS_END = Buffer.from('\r\n\r\n');

const malformed = (what: string) =>
  rpcError('STORAGE_RPC_BODY', `malformed multipart body: ${what}`);

/** @throws STORAGE_RPC_BODY when the type is not multipart/form-data with a boundary */
export function boundaryOf(contentType: string | undefined): string {
  const match = /^multipart\/form-data\s*;.*?boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))/is.exec(
    contentType ?? '',
  );
  const boundary = match?.[1] ?? match?.[2];
  if (boundary === undefined)
    throw rpcError('STORAGE_RPC_BODY', 'the body must be multipart/form-data with a boundary');
  return boundary;
}

function decodeFilename(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', '%20')); // Kubo's clients escape as in a query
  } catch {
    return text; // a browser or curl: as it is
  }
}

function parseHeaders(block: string): Omit<Part, 'body'> {
  let name = '';
  let filename: string | undefined;
  let contentType = 'application/octet-stream';
  for (const header of block.split('\r\n')) {
    const colon = header.indexOf(':');
    if (colon < 0) continue;
    const value = header.slice(colon + 1).trim();
    const key = header.slice(0, colon).trim().toLowerCase();
    if (key === 'content-type') contentType = value.toLowerCase();
    if (key !== 'content-disposition') continue;
    if (!/^(form-data|file|attachment)\b/i.test(value)) throw malformed('not form-data');
    name = /[;\s]name="([^"]*)"/i.exec(value)?.[1] ?? '';
    const given = /[;\s]filename="([^"]*)"/i.exec(value)?.[1];
    if (given !== undefined && given !== '') filename = decodeFilename(given);
  }
  return { name, filename, contentType };
}

interface Source {
  held: Buffer;
  /** Adds the next chunk to what is held; false at the end. */
  more(): Promise<boolean>;
}

function createSource(stream: AsyncIterable<Buffer>): Source {
  const chunks = stream[Symbol.asyncIterator]();
  return {
    held: Buffer.from('\r\n'), // so that the first delimiter looks like all others
    async more() {
      const step = await chunks.next();
      if (step.done === true) return false;
      this.held = this.held.length === 0 ? step.value : Buffer.concat([this.held, step.value]);
      return true;
    },
  };
}

/** How many of the last bytes may be the beginning of a delimiter. */
function delimiterStart(held: Buffer, delimiter: Buffer): number {
  let at = held.indexOf(13, Math.max(0, held.length - delimiter.length + 1)); // it begins with CR
  while (at >= 0) {
    const length = held.length - at;
    if (held.compare(delimiter, 0, length, at) === 0) return length;
    at = held.indexOf(13, at + 1);
  }
  return 0;
}

/** Yields everything up to the delimiter, which it consumes. */
async function* upTo(source: Source, delimiter: Buffer): AsyncGenerator<Buffer> {
  for (;;) {
    const { held } = source;
    const at = held.indexOf(delimiter);
    if (at >= 0) {
      source.held = held.subarray(at + delimiter.length);
      if (at > 0) yield held.subarray(0, at);
      return;
    }
    const safe = held.length - delimiterStart(held, delimiter);
    source.held = held.subarray(safe);
    if (safe > 0) yield held.subarray(0, safe);
    if (!(await source.more())) throw malformed('it ends inside a part');
  }
}

async function readHeaderBlock(source: Source): Promise<string> {
  for (;;) {
    // A part without any header begins with the empty line at once.
    if (source.held.length >= 2 && source.held[0] === 13 && source.held[1] === 10) {
      source.held = source.held.subarray(2);
      return '';
    }
    const at = source.held.indexOf(HEADERS_END);
    if (at > MAX_HEADER_BYTES || (at < 0 && source.held.length > MAX_HEADER_BYTES))
      throw malformed('the headers of a part are too long');
    if (at >= 0) {
      const block = source.held.subarray(0, at).toString('utf8');
      source.held = source.held.subarray(at + HEADERS_END.length);
      return block;
    }
    if (!(await source.more())) throw malformed('it ends inside the headers of a part');
  }
}

/** True at the closing delimiter; consumes the rest of the delimiter's line. */
async function isLast(source: Source): Promise<boolean> {
  for (;;) {
    const line = source.held.subarray(0, 2).toString('latin1');
    if (line === '--') return true;
    const end = source.held.indexOf('\r\n');
    if (end >= 0) {
      if (source.held.subarray(0, end).toString('latin1').trim() !== '')
        throw malformed('a delimiter is followed by something');
      source.held = source.held.subarray(end + 2);
      return false;
    }
    if (source.held.length > 200) throw malformed('a delimiter has no end');
    if (!(await source.more())) throw malformed('it ends in a delimiter');
  }
}

/** @throws STORAGE_RPC_BODY when the body is malformed or ends before its closing delimiter */
export async function* readParts(
  stream: AsyncIterable<Buffer>,
  boundary: string,
): AsyncGenerator<Part> {
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  const source = createSource(stream);
  for await (const _ of upTo(source, delimiter)); // the preamble means nothing
  for (let count = 0; !(await isLast(source)); count++) {
    if (count >= MAX_PARTS) throw malformed(`more than ${MAX_PARTS} parts`);
    const headers = parseHeaders(await readHeaderBlock(source));
    const body = upTo(source, delimiter);
    let finished = false;
    yield {
      ...headers,
      body: (async function* () {
        for await (const chunk of body) yield chunk;
        finished = true;
      })(),
    };
    if (!finished) for await (const _ of body);
  }
}
