/**
 * CAR version 1: a header and then blocks, each behind its length. The reader takes a stream, holds
 * one block at a time, and refuses lengths over the limits before it reads what they announce.
 */
import type { Bytes } from '#libs/kernel';
import { MAX_BLOCK_BYTES, storageError, verifyBlock } from '#libs/storage';
import * as dagCbor from '@ipld/dag-cbor';
import { varint } from 'multiformats';
import { CID } from 'multiformats/cid';

const MAX_HEADER_BYTES = 64 * 1024;
const MAX_CID_BYTES = 128;
const MAX_ROOTS = 1000;

export interface CarBlock {
  readonly cid: CID;
  readonly bytes: Bytes;
}

const malformed = (what: string) => storageError('STORAGE_MALFORMED', `malformed CAR: ${what}`);

interface ByteReader {
  /** Exactly so many bytes; undefined at a clean end. */
  take(length: number, what: string): Promise<Bytes>;
  /** An unsigned varint, or undefined when the stream ends before its first byte. */
  takeLength(limit: number, what: string): Promise<number | undefined>;
}

function createByteReader(source: AsyncIterable<Bytes>): ByteReader {
  const chunks = source[Symbol.asyncIterator]();
  let held: Buffer = Buffer.alloc(0);

  /** False when the stream ended before so many bytes. */
  async function fill(length: number): Promise<boolean> {
    if (held.length >= length) return true;
    const parts = [held];
    let size = held.length;
    while (size < length) {
      const step = await chunks.next();
      if (step.done === true) break;
      parts.push(Buffer.from(step.value.buffer, step.value.byteOffset, step.value.length));
      size += step.value.length;
    }
    held = Buffer.concat(parts, size);
    return size >= length;
  }

  return {
    async take(length, what) {
      if (!(await fill(length))) throw malformed(`it ends inside ${what}`);
      const out = held.subarray(0, length);
      held = held.subarray(length);
      return out;
    },
    async takeLength(limit, what) {
      let value = 0;
      for (let i = 0; i < 5; i++) {
        if (!(await fill(1))) {
          if (i === 0) return undefined;
          throw malformed(`it ends inside the length of ${what}`);
        }
        const byte = held[0] as number;
        held = held.subarray(1);
        value += (byte & 0x7f) * 2 ** (7 * i);
        if (byte < 0x80) {
          if (value > limit) throw malformed(`${what} has ${value} bytes, more than ${limit}`);
          return value;
        }
      }
      throw malformed(`the length of ${what} is absurd`);
    },
  };
}

function decodeRoots(bytes: Bytes): CID[] {
  let header: { version?: unknown; roots?: unknown };
  try {
    header = dagCbor.decode(bytes);
  } catch {
    throw malformed('its header is not dag-cbor');
  }
  if (header?.version === 2)
    throw storageError('STORAGE_UNSUPPORTED', 'CAR version 2 is not read here; convert it to 1');
  if (header?.version !== 1 || !Array.isArray(header.roots) || header.roots.length > MAX_ROOTS)
    throw malformed('its header has no version 1 and list of roots');
  return header.roots.map((root) => {
    const cid = CID.asCID(root);
    if (cid === null) throw malformed('a root is not a CID');
    return cid;
  });
}

/**
 * Reads a CAR and checks every block against its CID.
 * @throws STORAGE_MALFORMED, STORAGE_CORRUPT, STORAGE_UNSUPPORTED
 */
export async function readCar(
  source: AsyncIterable<Bytes>,
): Promise<{ roots: CID[]; blocks: AsyncGenerator<CarBlock> }> {
  const reader = createByteReader(source);
  const headerLength = await reader.takeLength(MAX_HEADER_BYTES, 'the header');
  if (headerLength === undefined) throw malformed('it is empty');
  const roots = decodeRoots(await reader.take(headerLength, 'the header'));

  async function* blocks(): AsyncGenerator<CarBlock> {
    for (;;) {
      const length = await reader.takeLength(MAX_BLOCK_BYTES + MAX_CID_BYTES, 'a block');
      if (length === undefined) return;
      const section = await reader.take(length, 'a block');
      let cid: CID;
      let rest: Uint8Array;
      try {
        [cid, rest] = CID.decodeFirst(section);
      } catch {
        throw malformed('a block has no valid CID');
      }
      yield { cid, bytes: await verifyBlock(cid, rest) };
    }
  }
  return { roots, blocks: blocks() };
}

function withLength(parts: readonly Bytes[], following = 0): Bytes {
  const length = parts.reduce((sum, part) => sum + part.length, following);
  const prefix = new Uint8Array(varint.encodingLength(length));
  varint.encodeTo(length, prefix);
  return Buffer.concat([prefix, ...parts]);
}

export function carHeader(roots: readonly CID[]): Bytes {
  return withLength([dagCbor.encode({ version: 1, roots })]);
}

export function carSection({ cid, bytes }: CarBlock): Bytes {
  return withLength([cid.bytes, bytes]);
}

/** What stands before the bytes of a block: for sending those as they are. */
export function carSectionHead({ cid, bytes }: CarBlock): Bytes {
  return withLength([cid.bytes], bytes.length);
}
