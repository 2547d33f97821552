/** Which format a file has: by its first bytes, text formats by their names and looks. */
import { open } from 'node:fs/promises';
import { extname } from 'node:path';

export const MEDIA_TYPES = {
  csv: 'text/csv',
  tsv: 'text/tab-separated-values',
  json: 'application/json',
  ndjson: 'application/x-ndjson',
  geojson: 'application/geo+json',
  parquet: 'application/vnd.apache.parquet',
  arrow: 'application/vnd.apache.arrow.file',
  xlsx: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
  sqlite: 'application/vnd.sqlite3',
  jpeg: 'image/jpeg',
  png: 'image/png',
  tiff: 'image/tiff',
  webp: 'image/webp',
  heic: 'image/heic',
  pdf: 'application/pdf',
  other: 'application/octet-stream',
} as const;
export type Format = keyof typeof MEDIA_TYPES;

const SNIFFED_BYTES = 4_096;
const BY_NAME: Readonly<Record<string, Format>> = {
  ...{ '.csv': 'csv', '.tsv': 'tsv', '.tab': 'tsv', '.json': 'json', '.geojson': 'geojson' },
  ...{ '.ndjson': 'ndjson', '.jsonl': 'ndjson' },
};

const startsWith = (bytes: Buffer, text: string, at = 0): boolean =>
  bytes.toString('latin1', at, at + text.length) === text;

function byMagic(bytes: Buffer): Format | undefined {
  if (startsWith(bytes, 'PAR1')) return 'parquet';
  if (startsWith(bytes, 'SQLite format 3\0')) return 'sqlite';
  if (startsWith(bytes, 'ARROW1')) return 'arrow';
  if (startsWith(bytes, '%PDF-')) return 'pdf';
  if (startsWith(bytes, '\xff\xd8\xff')) return 'jpeg';
  if (startsWith(bytes, '\x89PNG\r\n')) return 'png';
  if (startsWith(bytes, 'II*\0') || startsWith(bytes, 'MM\0*')) return 'tiff';
  if (startsWith(bytes, 'RIFF') && startsWith(bytes, 'WEBP', 8)) return 'webp';
  return /^ftyp(?:heic|heix|mif1|avif)/.test(bytes.toString('latin1', 4, 12)) ? 'heic' : undefined;
}

export async function detectFormat(path: string): Promise<Format> {
  const handle = await open(path, 'r');
  let head: Buffer;
  try {
    const { buffer, bytesRead } = await handle.read(
      Buffer.alloc(SNIFFED_BYTES),
      0,
      SNIFFED_BYTES,
      0,
    );
    head = buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
  const found = byMagic(head);
  if (found !== undefined) return found;
  const extension = extname(path).toLowerCase();
  if (startsWith(head, 'PK\u0003\u0004')) return extension === '.xlsx' ? 'xlsx' : 'other';
  const named = BY_NAME[extension];
  if (named !== undefined) return named;
  // A file that says it is one of these and does not begin like it is broken, not something else.
  if (extension === '.parquet') return 'parquet';
  if (extension === '.xlsx') return 'xlsx';
  if (extension === '.pdf') return 'pdf';
  return 'other';
}
