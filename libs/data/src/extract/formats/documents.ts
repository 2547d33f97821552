/** Images by their EXIF, PDF documents by their information dictionary: facts, no tables. */
import { readFile } from 'node:fs/promises';
import exifr from 'exifr';
import { getDocumentProxy } from 'unpdf';
import { dataError } from '../../errors.ts';
import { boxOf } from '../coverage.ts';
import type { BoundingBox, FaultList } from '../source-profile.ts';

export interface DocumentProfile {
  readonly facts: Readonly<Record<string, string>>;
  readonly temporal?: { readonly start: string; readonly end: string };
  readonly spatial?: BoundingBox;
}

const IMAGE_HEAD_BYTES = 4 * 1024 * 1024;
const PDF_BYTES_MAX = 256 * 1024 * 1024;
const FACT_CHARS_MAX = 300;

const day = (date: Date): string => date.toISOString().slice(0, 10);
const isTime = (value: unknown): value is Date =>
  value instanceof Date && !Number.isNaN(value.getTime());

function factsOf(values: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(values)
      .filter(([, value]) => value !== undefined && value !== null && value !== '')
      .map(([name, value]) => [
        name,
        (isTime(value) ? value.toISOString() : String(value))
          .toWellFormed()
          .slice(0, FACT_CHARS_MAX),
      ]),
  );
}

interface Exif {
  readonly latitude?: unknown;
  readonly longitude?: unknown;
  readonly DateTimeOriginal?: unknown;
  readonly Make?: unknown;
  readonly Model?: unknown;
  readonly ExifImageWidth?: unknown;
  readonly ExifImageHeight?: unknown;
}

export async function profileImage(path: string, faults: FaultList): Promise<DocumentProfile> {
  let exif: Exif;
  try {
    const bytes = (await readFile(path)).subarray(0, IMAGE_HEAD_BYTES);
    exif = ((await exifr.parse(bytes, { gps: true })) ?? {}) as Exif;
  } catch (error) {
    faults.add('unreadable-exif', (error as Error).message);
    return { facts: {} };
  }
  const { latitude: lat, longitude: lon, DateTimeOriginal: taken } = exif;
  const box =
    typeof lat === 'number' && typeof lon === 'number' ? boxOf(lon, lat, lon, lat) : undefined;
  return {
    facts: factsOf({
      camera: [exif.Make, exif.Model].filter((part) => typeof part === 'string').join(' '),
      width: exif.ExifImageWidth,
      height: exif.ExifImageHeight,
      taken,
    }),
    ...(isTime(taken) && { temporal: { start: day(taken), end: day(taken) } }),
    ...(box && { spatial: box }),
  };
}

/** `D:20260701080000+02'00'` (ISO 32000-1, 7.9.4), as far as the day. */
function pdfDay(text: unknown): string | undefined {
  const parts = /^(?:D:)?(\d{4})(\d\d)?(\d\d)?/.exec(typeof text === 'string' ? text : '');
  return parts ? `${parts[1]}-${parts[2] ?? '01'}-${parts[3] ?? '01'}` : undefined;
}

/** @throws DATA_BROKEN, DATA_LIMIT */
export async function profilePdf(path: string): Promise<DocumentProfile> {
  const bytes = new Uint8Array(await readFile(path));
  if (bytes.length > PDF_BYTES_MAX)
    throw dataError('DATA_LIMIT', `a PDF of ${bytes.length} bytes; ${PDF_BYTES_MAX} are read`);
  try {
    const document = await getDocumentProxy(bytes, { verbosity: 0 });
    const { info: entries } = await document.getMetadata();
    const info = entries as Readonly<Record<string, unknown>>;
    const made = pdfDay(info['CreationDate']);
    const facts = factsOf({
      title: info['Title'],
      subject: info['Subject'],
      author: info['Author'],
      pages: document.numPages,
      made,
    });
    return { facts };
  } catch (cause) {
    throw dataError('DATA_BROKEN', `not a readable PDF: ${(cause as Error).message}`, {
      cause,
    });
  }
}
