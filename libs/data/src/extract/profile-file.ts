/** Files, by their formats. Runs in the extraction process: readers may be led astray by what they read. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { isSeeleError } from '#libs/kernel';
import type { TableProfiler } from '../profile/table-profiler.ts';
import type { Cell } from '../profile/value-kinds.ts';
import { type DayRange, mergeBoxes, mergeRanges } from './coverage.ts';
import { type Format, MEDIA_TYPES, detectFormat } from './detect-format.ts';
import { profileCsv } from './formats/csv.ts';
import { profileJson, profileJsonLines } from './formats/json.ts';
import { textChunks } from './formats/text-chunks.ts';
import { type BoundingBox, FaultList, type RawSource } from './source-profile.ts';

/** What a reader of a format gives. */
export interface FormatProfile {
  readonly format: Format;
  readonly tables: readonly TableProfiler[];
  readonly facts?: Readonly<Record<string, string>>;
  readonly temporal?: { readonly start: string; readonly end: string };
  readonly spatial?: BoundingBox;
  /** When the hash of the file's bytes is not what tells whether it says something else. */
  readonly contentHash?: string;
}

/** Each record, as far as its format is one that columns can be taken from. */
export type OnRecord = (record: Readonly<Record<string, Cell>>) => void;

export async function readFormat(
  path: string,
  faults: FaultList,
  onRecord?: OnRecord,
): Promise<FormatProfile> {
  const format = await detectFormat(path);
  switch (format) {
    case 'csv':
    case 'tsv': {
      const delimiter = format === 'tsv' ? '\t' : undefined;
      const hand =
        onRecord && ((row: ReadonlyMap<string, string>) => onRecord(Object.fromEntries(row)));
      const table = await profileCsv(textChunks(path, faults), faults, delimiter, hand);
      return { format, tables: table ? [table] : [] };
    }
    case 'json':
    case 'geojson':
    case 'ndjson': {
      const chunks = textChunks(path, faults);
      const hand =
        onRecord && ((record: object) => onRecord(record as Readonly<Record<string, Cell>>));
      const read =
        format === 'ndjson'
          ? await profileJsonLines(chunks, faults, hand)
          : await profileJson(chunks, hand);
      const { table, spatial, isGeoJson } = read;
      return {
        format: isGeoJson ? 'geojson' : format,
        tables: [table],
        ...(spatial && { spatial }),
      };
    }
    // Loaded when needed: a small file is looked at in less time than these take to load.
    case 'parquet': {
      const { profileParquet } = await import('./formats/parquet.ts');
      return { format, tables: [await profileParquet(path, faults, onRecord)] };
    }
    case 'sqlite': {
      const { profileSqlite } = await import('./formats/sqlite.ts');
      return {
        format,
        ...profileSqlite(path, onRecord && ((_table, record) => onRecord(record))),
      };
    }
    case 'arrow': {
      const { profileArrow } = await import('./formats/arrow.ts');
      return { format, tables: [await profileArrow(path, onRecord)] };
    }
    case 'xlsx': {
      const { profileXlsx } = await import('./formats/xlsx.ts');
      const hand =
        onRecord &&
        ((_table: string, row: ReadonlyMap<string, Cell>) => onRecord(Object.fromEntries(row)));
      return { format, tables: await profileXlsx(path, faults, hand) };
    }
    case 'pdf': {
      const { profilePdf } = await import('./formats/documents.ts');
      return { format, tables: [], ...(await profilePdf(path)) };
    }
    case 'jpeg':
    case 'png':
    case 'tiff':
    case 'webp':
    case 'heic': {
      const { profileImage } = await import('./formats/documents.ts');
      return { format, tables: [], ...(await profileImage(path, faults)) };
    }
    default:
      return { format, tables: [] };
  }
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1_048_576 }))
    hash.update(chunk as Uint8Array);
  return hash.digest('hex');
}

interface Part {
  readonly format: Format;
  files: number;
  sizeBytes: number;
  readonly tables: TableProfiler[];
}

/** Beyond so many kinds of tables, files count but are not described by columns. */
const PARTS_MAX = 32;
/** Values handed on for the detectors, so that what the process says stays some megabytes. */
const SAMPLES_IN_ALL = 40_000;
const SAMPLES_EACH_MIN = 10;
/** Collects files; those of one format with the same columns count as one table in pieces. */
export class SourceProfiler {
  readonly #kind: 'file' | 'folder';
  readonly #faults = new FaultList();
  readonly #parts = new Map<string, Part>();
  readonly #hash = createHash('sha256');
  #first: { readonly contentHash: string; readonly sha256: string } | undefined;
  #facts: Readonly<Record<string, string>> = {};
  #temporal: DayRange | undefined;
  #spatial: BoundingBox | undefined;
  #files = 0;
  #sizeBytes = 0;

  constructor(kind: 'file' | 'folder') {
    this.#kind = kind;
  }

  /** @throws DATA_BROKEN, DATA_LIMIT for the only file; those of a folder are reported */
  async add(path: string, name: string): Promise<void> {
    const { size } = await stat(path);
    let read: FormatProfile;
    try {
      read = await readFormat(path, this.#faults);
    } catch (error) {
      if (this.#kind === 'file' || !isSeeleError(error)) throw error;
      this.#faults.add('unreadable-file', `${name}: ${error.message}`);
      read = { format: 'other', tables: [] };
    }
    const sha256 = await hashFile(path);
    const contentHash = read.contentHash ?? sha256;
    this.#first ??= { contentHash, sha256 };
    this.#hash.update(`${JSON.stringify([name, contentHash])}\n`);
    this.#files++;
    this.#sizeBytes += size;
    this.#facts = this.#kind === 'file' ? (read.facts ?? {}) : {};
    this.#temporal = mergeRanges(this.#temporal, read.temporal);
    this.#spatial = mergeBoxes(this.#spatial, read.spatial);
    this.#addPart(read, size);
  }

  #addPart({ format, tables }: FormatProfile, size: number): void {
    const columns = tables.map((table) => [table.name, table.columnNames.toSorted()]);
    const key = JSON.stringify([format, columns]);
    const known = this.#parts.get(key);
    if (known === undefined && this.#parts.size < PARTS_MAX) {
      this.#parts.set(key, { format, files: 1, sizeBytes: size, tables: [...tables] });
      return;
    }
    if (known === undefined) {
      this.#faults.add('tables-left-out', format);
      return;
    }
    known.files++;
    known.sizeBytes += size;
    tables.forEach((table, i) => known.tables[i]?.merge(table));
  }

  profile(): RawSource {
    const counts = new Map<string, number>();
    const columns = [...this.#parts.values()]
      .flatMap(({ tables }) => tables)
      .reduce((sum, { columnNames }) => sum + columnNames.length, 0);
    const samplesMax = Math.max(
      SAMPLES_EACH_MIN,
      Math.floor(SAMPLES_IN_ALL / Math.max(1, columns)),
    );
    const parts = [...this.#parts.values()].map(({ format, files, sizeBytes, tables }) => {
      const count = (counts.get(format) ?? 0) + 1;
      counts.set(format, count);
      for (const { omitted, name } of tables)
        if (omitted.size > 0) this.#faults.add('columns-left-out', name, omitted.size);
      return {
        id: count === 1 ? format : `${format}-${count}`,
        ...{ format, mediaType: MEDIA_TYPES[format], files, sizeBytes },
        tables: tables.map((table) => table.profile(samplesMax)),
      };
    });
    const isFile = this.#kind === 'file' && this.#first !== undefined;
    return {
      ...{ kind: this.#kind, parts, files: this.#files, sizeBytes: this.#sizeBytes },
      ...(isFile ? this.#first : undefined),
      contentHash: isFile
        ? (this.#first as { contentHash: string }).contentHash
        : this.#hash.digest('hex'),
      facts: this.#facts,
      faults: this.#faults.list(),
      ...(this.#temporal && { temporal: this.#temporal }),
      ...(this.#spatial && { spatial: this.#spatial }),
    };
  }
}
