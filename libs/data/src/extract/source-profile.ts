/** What extraction finds out about a source. Holds no values beyond ranges of numbers and dates. */
import type { SemanticFinding } from '#libs/mdds';
import type { RawColumn, RawTable } from '../profile/table-profiler.ts';

export interface ColumnProfile extends Omit<RawColumn, 'samples'> {
  /** What the detectors see, personal findings first. */
  readonly findings: readonly SemanticFinding[];
}

export interface TableProfile extends Omit<RawTable, 'columns'> {
  readonly columns: readonly ColumnProfile[];
}

/** Something wrong in the source that does not keep it from being described. */
export interface SourceFault {
  /** `ragged-row`, `wrong-quote`, `not-utf8`, `not-json`, `symbolic-link`, … */
  readonly kind: string;
  readonly count: number;
  /** Where, for the first few: line numbers, names of files or sheets. */
  readonly places: readonly string[];
}

export interface BoundingBox {
  readonly west: number;
  readonly south: number;
  readonly east: number;
  readonly north: number;
}

/** Files of one format with the same columns; a file by itself is one part. */
export interface PartProfile {
  /** Names its distribution: `csv`, `csv-2`, … */
  readonly id: string;
  readonly format: string;
  readonly mediaType: string;
  readonly files: number;
  readonly sizeBytes: number;
  readonly tables: readonly TableProfile[];
}

export interface SourceProfile {
  readonly kind: 'file' | 'folder' | 'table';
  readonly parts: readonly PartProfile[];
  readonly files: number;
  readonly sizeBytes: number;
  /** Tells whether it says something else: SHA-256 of a file, of names and hashes, of a table's rows. */
  readonly contentHash: string;
  /** SHA-256 of the bytes, when the source is one file. */
  readonly sha256?: string;
  /** Dates as `2026-01-01`. */
  readonly temporal?: { readonly start: string; readonly end: string };
  readonly spatial?: BoundingBox;
  /** Further facts for people: title of a PDF, camera of an image, number of pages. */
  readonly facts: Readonly<Record<string, string>>;
  readonly faults: readonly SourceFault[];
}

const PLACES_MAX = 5;
const PLACE_CHARS_MAX = 120;

/** As the extraction process gives it: the detectors have not looked at it yet. */
export interface RawSource extends Omit<SourceProfile, 'parts'> {
  readonly parts: readonly (Omit<PartProfile, 'tables'> & {
    readonly tables: readonly RawTable[];
  })[];
}

/** Counts faults by kind. */
export class FaultList {
  readonly #faults = new Map<string, { count: number; places: string[] }>();

  add(kind: string, place: string | number, count = 1): void {
    const fault = this.#faults.get(kind) ?? { count: 0, places: [] };
    fault.count += count;
    if (fault.places.length < PLACES_MAX)
      fault.places.push(String(place).toWellFormed().slice(0, PLACE_CHARS_MAX));
    this.#faults.set(kind, fault);
  }

  list(): readonly SourceFault[] {
    return [...this.#faults].map(([kind, { count, places }]) => ({ kind, count, places }));
  }
}
