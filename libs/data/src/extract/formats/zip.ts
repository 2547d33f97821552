/**
 * Reads members of a ZIP archive (APPNOTE 6.3) as streams. The central directory is believed only as far
 * as limits go: how many members, how much comes out of each, and how much more than went in.
 */
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { createInflateRaw } from 'node:zlib';
import { dataError } from '../../errors.ts';

const END_OF_DIRECTORY = 0x06054b50;
const MEMBER = 0x02014b50;
const LOCAL_MEMBER = 0x04034b50;
const END_SEARCHED_BYTES = 65_557;
const MEMBERS_MAX = 20_000;
const DIRECTORY_BYTES_MAX = 16 * 1024 * 1024;
const OUTPUT_BYTES_MAX = 512 * 1024 * 1024;
/** Deflate reaches 1 032; sheets of a real workbook stay below a hundredth of that. */
const RATIO_MAX = 200;
const RATIO_FREE_BYTES = 16 * 1024 * 1024;

interface Member {
  readonly method: number;
  readonly compressedBytes: number;
  readonly offset: number;
}

const broken = (what: string) => dataError('DATA_BROKEN', `not a whole ZIP archive: ${what}`);

async function bytesAt(handle: FileHandle, offset: number, length: number): Promise<Buffer> {
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, offset);
  if (bytesRead !== length) throw broken('it ends too early');
  return buffer;
}

export class ZipFile {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #members: ReadonlyMap<string, Member>;

  private constructor(path: string, handle: FileHandle, members: ReadonlyMap<string, Member>) {
    this.#path = path;
    this.#handle = handle;
    this.#members = members;
  }

  /** @throws DATA_BROKEN, DATA_LIMIT */
  static async open(path: string): Promise<ZipFile> {
    const handle = await open(path, 'r');
    try {
      return new ZipFile(path, handle, await readDirectory(handle));
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  get names(): readonly string[] {
    return [...this.#members.keys()];
  }

  has(name: string): boolean {
    return this.#members.has(name);
  }

  async *read(name: string, maxBytes = OUTPUT_BYTES_MAX): AsyncGenerator<Buffer> {
    const member = this.#members.get(name);
    if (member === undefined) throw broken(`${name} is not in it`);
    const head = await bytesAt(this.#handle, member.offset, 30);
    if (head.readUInt32LE(0) !== LOCAL_MEMBER) throw broken(`${name} is not where it should be`);
    const start = member.offset + 30 + head.readUInt16LE(26) + head.readUInt16LE(28);
    const { compressedBytes, method } = member;
    if (method !== 0 && method !== 8) throw broken(`${name} is packed by method ${method}`);
    const raw = createReadStream(this.#path, {
      ...{ start, end: start + compressedBytes - 1 },
    });
    if (compressedBytes === 0) return;
    const plain = method === 0 ? raw : raw.pipe(createInflateRaw());
    let length = 0;
    try {
      for await (const chunk of plain as AsyncIterable<Buffer>) {
        length += chunk.length;
        if (length > maxBytes)
          throw dataError('DATA_LIMIT', `${name} unpacks to more than ${maxBytes} bytes`);
        if (length > RATIO_FREE_BYTES && length > RATIO_MAX * compressedBytes)
          throw dataError('DATA_LIMIT', `${name} unpacks to over ${RATIO_MAX} times its size`);
        yield chunk;
      }
    } catch (error) {
      if ((error as { code?: string }).code?.startsWith('Z_'))
        throw broken(`${name} does not unpack`);
      throw error;
    } finally {
      raw.destroy();
    }
  }

  async text(name: string, maxBytes: number): Promise<string> {
    const parts: Buffer[] = [];
    for await (const part of this.read(name, maxBytes)) parts.push(part);
    return Buffer.concat(parts).toString('utf8');
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

async function readDirectory(handle: FileHandle): Promise<ReadonlyMap<string, Member>> {
  const { size } = await handle.stat();
  const tailBytes = Math.min(size, END_SEARCHED_BYTES);
  const tail = await bytesAt(handle, size - tailBytes, tailBytes);
  let at = tail.length - 22;
  while (at >= 0 && tail.readUInt32LE(at) !== END_OF_DIRECTORY) at--;
  if (at < 0) throw broken('it has no end record');
  const count = tail.readUInt16LE(at + 10);
  const length = tail.readUInt32LE(at + 12);
  const offset = tail.readUInt32LE(at + 16);
  if (count > MEMBERS_MAX || length > DIRECTORY_BYTES_MAX)
    throw dataError('DATA_LIMIT', `an archive of ${count} members`);
  if (offset + length > size) throw broken('its directory lies outside of it');
  const directory = await bytesAt(handle, offset, length);
  const members = new Map<string, Member>();
  for (let i = 0, from = 0; i < count; i++) {
    if (from + 46 > length || directory.readUInt32LE(from) !== MEMBER)
      throw broken('its directory is cut off');
    const nameLength = directory.readUInt16LE(from + 28);
    const name = directory.toString('utf8', from + 46, from + 46 + nameLength);
    members.set(name, {
      method: directory.readUInt16LE(from + 10),
      compressedBytes: directory.readUInt32LE(from + 20),
      offset: directory.readUInt32LE(from + 42),
    });
    from += 46 + nameLength + directory.readUInt16LE(from + 30) + directory.readUInt16LE(from + 32);
  }
  return members;
}
