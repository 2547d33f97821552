/** Writes tar (POSIX ustar, with pax headers for long names and sizes) as a stream. */
import type { Bytes } from '#libs/kernel';

const BLOCK = 512;
const MAX_USTAR_SIZE = 0o77777777777;

export interface TarEntry {
  /** Relative, plain segments only. */
  readonly path: string;
  readonly type: 'file' | 'directory';
  readonly sizeBytes: number;
}

function header(path: string, kind: '0' | '5' | 'x', sizeBytes: number, mode: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  block.write(path, 0, 100, 'utf8');
  const octal = (value: number, at: number, length: number) =>
    block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, at, length, 'ascii');
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(Math.min(sizeBytes, MAX_USTAR_SIZE), 124, 12);
  octal(0, 136, 12);
  block.write('        ', 148, 8, 'ascii'); // the checksum counts its own field as spaces
  block.write(kind, 156, 1, 'ascii');
  block.write('ustar\x0000', 257, 8, 'latin1');
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 8, 'ascii');
  return block;
}

function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  const bytes = Buffer.byteLength(rest);
  let length = bytes + String(bytes).length;
  if (String(length).length !== String(bytes).length) length = bytes + String(length).length;
  return `${length}${rest}`;
}

const padding = (sizeBytes: number) => Buffer.alloc((BLOCK - (sizeBytes % BLOCK)) % BLOCK);

/** The header block(s) before an entry's content. */
export function tarHeader(entry: TarEntry): Buffer {
  const isDirectory = entry.type === 'directory';
  const path = isDirectory ? `${entry.path}/` : entry.path;
  const records: string[] = [];
  if (Buffer.byteLength(path) > 100) records.push(paxRecord('path', path));
  if (entry.sizeBytes > MAX_USTAR_SIZE) records.push(paxRecord('size', String(entry.sizeBytes)));
  const main = header(path, isDirectory ? '5' : '0', entry.sizeBytes, isDirectory ? 0o755 : 0o644);
  if (records.length === 0) return main;
  const pax = Buffer.from(records.join(''));
  return Buffer.concat([header('pax', 'x', pax.length, 0o644), pax, padding(pax.length), main]);
}

/** What follows an entry's content. */
export function tarPadding(sizeBytes: number): Bytes {
  return padding(sizeBytes);
}

/** Two empty blocks end an archive. */
export const tarEnd: Bytes = Buffer.alloc(2 * BLOCK);
