/**
 * The text of a file in pieces. UTF-8 unless a byte order mark says UTF-16; what is not UTF-8 is read
 * as Windows-1252, which knows every byte, and reported.
 */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FaultList } from '../source-profile.ts';

const CHUNK_BYTES = 256 * 1024;

async function firstBytes(path: string, length: number): Promise<Uint8Array> {
  const handle = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** Whether all of the file is UTF-8; reads it once. */
async function isUtf8(path: string): Promise<boolean> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES }))
      decoder.decode(chunk as Uint8Array, { stream: true });
    decoder.decode();
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return false;
    throw error;
  }
}

export async function encodingOf(path: string): Promise<string> {
  const [a, b] = await firstBytes(path, 2);
  if (a === 0xff && b === 0xfe) return 'utf-16le';
  if (a === 0xfe && b === 0xff) return 'utf-16be';
  return (await isUtf8(path)) ? 'utf-8' : 'windows-1252';
}

export async function* textChunks(path: string, faults: FaultList): AsyncGenerator<string> {
  const encoding = await encodingOf(path);
  if (encoding === 'windows-1252') faults.add('not-utf8', 'read as windows-1252');
  const decoder = new TextDecoder(encoding);
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES }))
    yield decoder.decode(chunk as Uint8Array, { stream: true });
  yield decoder.decode();
}
