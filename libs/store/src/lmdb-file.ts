/**
 * Looks at an LMDB file before it is mapped. Reading a page beyond the end of a truncated file ends
 * the process with SIGBUS, without a word; so a file shorter than its own description is first read
 * through by a child process, which may die instead.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { storeError } from './errors.ts';

/** liblmdb mdb.c: MDB_page_header (24 bytes), then MDB_meta. */
const META_MAGIC = 0xbeefc0de;
const PAGE_HEADER_BYTES = 24;
const META_BYTES = 168;
const META_PAGE_SIZE = 24;
const META_LAST_PAGE = 24 + 2 * 48;
const META_TRANSACTION = META_LAST_PAGE + 8;
const PROBE_TIMEOUT_MS = 120_000;

interface Meta {
  readonly pageSize: number;
  readonly lastPage: number;
  readonly transaction: bigint;
}

function readMeta(bytes: Buffer, offset: number): Meta | undefined {
  const at = offset + PAGE_HEADER_BYTES;
  if (bytes.length < at + META_BYTES || bytes.readUInt32LE(at) !== META_MAGIC) return undefined;
  return {
    pageSize: bytes.readUInt32LE(at + META_PAGE_SIZE),
    lastPage: Number(bytes.readBigUInt64LE(at + META_LAST_PAGE)),
    transaction: bytes.readBigUInt64LE(at + META_TRANSACTION),
  };
}

const PROBE = `
const { open } = await import(process.argv[1]);
const db = open({ path: process.argv[2], readOnly: true, keyEncoding: 'binary', encoding: 'binary' });
for (const entry of db.getRange({})) entry.value[0];
await db.close();
process.exit(0);
`;

/** Reads every entry in a child process; false when that process dies or fails. */
function survivesReading(path: string): boolean {
  const lmdb = pathToFileURL(createRequire(import.meta.url).resolve('lmdb')).href;
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', PROBE, lmdb, path], {
    stdio: 'ignore',
    timeout: PROBE_TIMEOUT_MS,
    env: {},
  });
  return child.status === 0;
}

/**
 * Refuses a database file that is not one, or that lost its end.
 * @param path directory that holds data.mdb
 * @throws STORE_CORRUPT
 */
export function checkLmdbFile(path: string): void {
  const file = join(path, 'data.mdb');
  if (!existsSync(file)) return;
  const descriptor = openSync(file, 'r');
  let sizeBytes: number;
  const head = Buffer.alloc(2 * 65_536 + PAGE_HEADER_BYTES + META_BYTES);
  let read: number;
  try {
    sizeBytes = fstatSync(descriptor).size;
    read = readSync(descriptor, head, 0, head.length, 0);
  } finally {
    closeSync(descriptor);
  }
  if (sizeBytes === 0) return; // Created, never written: LMDB starts it afresh.
  const bytes = head.subarray(0, read);
  const first = readMeta(bytes, 0);
  if (first === undefined || first.pageSize < 512 || first.pageSize > 65_536)
    throw storeError('STORE_CORRUPT', `${file} is not an LMDB database`);
  const second = readMeta(bytes, first.pageSize);
  if (second === undefined)
    throw storeError('STORE_CORRUPT', `${file} is cut short: its second meta page is missing`);
  const latest = second.transaction > first.transaction ? second : first;
  const expected = (latest.lastPage + 1) * first.pageSize;
  // Shorter is possible in health too, when the last pages are free; only reading tells.
  if (sizeBytes < expected && !survivesReading(path))
    throw storeError('STORE_CORRUPT', `${file} is cut short: ${sizeBytes} of ${expected} bytes`);
}
