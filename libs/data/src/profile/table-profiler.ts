/**
 * Looks at the values of tables one by one and keeps what describes them: types, ranges, how many are
 * missing, how many differ, and some values for the detectors. Memory does not grow with the rows.
 */
import { DistinctCounter } from './distinct-counter.ts';
import { type Cell, type ValueKind, datatypeOf, kindOfText, kindOfValue } from './value-kinds.ts';

export interface RawColumn {
  readonly name: string;
  readonly datatype: string;
  /** Share of rows without a value, 0 to 1, to four digits. */
  readonly nullRatio: number;
  readonly distinct?: number;
  readonly isDistinctEstimate?: boolean;
  readonly minimum?: string;
  readonly maximum?: string;
  /** Some values as text, for the detectors. */
  readonly samples: readonly string[];
}

export interface RawTable {
  readonly name: string;
  readonly rows: number;
  readonly columns: readonly RawColumn[];
}

export const COLUMNS_MAX = 1_000;
const NAME_CHARS_MAX = 200;
const SAMPLE_FIRST = 100;
const SAMPLE_EVERY = 1_009;
const SAMPLES_MAX = 400;
const SAMPLE_CHARS_MAX = 300;
const DEPTH_MAX = 4;
/** What stands for "no value" in formats that have only text. */
const MISSING: ReadonlySet<string> = new Set(['', 'NA', 'N/A', 'NULL', 'null', 'NaN', '\\N']);

interface Bound {
  readonly order: number;
  readonly text: string;
}

const roundRatio = (ratio: number): number => Math.round(ratio * 10_000) / 10_000;

function textOf(value: Exclude<Cell, null | undefined>): string {
  if (typeof value === 'string') return value;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'invalid' : value.toISOString();
  if (value instanceof Uint8Array) return Buffer.from(value.subarray(0, 64)).toString('hex');
  if (typeof value !== 'object') return String(value);
  try {
    return JSON.stringify(value, (_key, part: unknown) =>
      typeof part === 'bigint' ? String(part) : part,
    ).slice(0, SAMPLE_CHARS_MAX);
  } catch {
    return '{}';
  }
}

export class ColumnProfiler {
  readonly name: string;
  readonly #kinds = new Set<ValueKind>();
  readonly #distinct = new DistinctCounter();
  readonly #samples: string[] = [];
  #present = 0;
  #minimum: Bound | undefined;
  #maximum: Bound | undefined;

  constructor(name: string) {
    this.name = name;
  }

  /** A value of a format that has types. */
  addValue(value: Cell): void {
    if (value === null || value === undefined) return;
    if (typeof value === 'number' && Number.isNaN(value)) return;
    this.#add(textOf(value), kindOfValue(value));
  }

  /** A cell of a format that has only text. */
  addText(text: string): void {
    if (MISSING.has(text)) return;
    this.#add(text, kindOfText(text));
  }

  #add(text: string, kind: ValueKind): void {
    this.#present++;
    this.#kinds.add(kind);
    this.#distinct.add(text);
    if (
      this.#present <= SAMPLE_FIRST ||
      (this.#present % SAMPLE_EVERY === 0 && this.#samples.length < SAMPLES_MAX)
    )
      this.#samples.push(text.slice(0, SAMPLE_CHARS_MAX));
    if (kind === 'integer' || kind === 'decimal') this.#range(Number(text), text);
    else if (kind === 'date' || kind === 'dateTime') this.#range(Date.parse(text), text);
  }

  #range(order: number, text: string): void {
    if (!Number.isFinite(order)) return;
    if (this.#minimum === undefined || order < this.#minimum.order) this.#minimum = { order, text };
    if (this.#maximum === undefined || order > this.#maximum.order) this.#maximum = { order, text };
  }

  /** Figures that a format keeps beside its data (Parquet), for rows that are not looked at. */
  addStatistics(present: number, bounds: readonly Cell[], kind: ValueKind): void {
    this.#present += present;
    this.#kinds.add(kind);
    for (const bound of bounds) {
      if (bound === null || bound === undefined) continue;
      const text = textOf(bound);
      this.#range(bound instanceof Date ? bound.getTime() : Number(text), text);
    }
  }

  /** Looks at a value for what it means only; it is counted elsewhere. */
  addSample(value: Cell): void {
    if (value !== null && value !== undefined && this.#samples.length < SAMPLES_MAX)
      this.#samples.push(textOf(value).slice(0, SAMPLE_CHARS_MAX));
  }

  merge(other: ColumnProfiler): void {
    this.#present += other.#present;
    for (const kind of other.#kinds) this.#kinds.add(kind);
    this.#distinct.merge(other.#distinct);
    for (const sample of other.#samples)
      if (this.#samples.length < SAMPLES_MAX) this.#samples.push(sample);
    for (const bound of [other.#minimum, other.#maximum])
      if (bound !== undefined) this.#range(bound.order, bound.text);
  }

  profile(rows: number, samplesMax: number): RawColumn {
    const datatype = datatypeOf(this.#kinds);
    const hasRange = /^(?:integer|decimal|date|dateTime)$/.test(datatype);
    const distinct = this.#distinct.count;
    return {
      name: this.name,
      datatype,
      nullRatio: rows === 0 ? 0 : roundRatio(Math.max(0, rows - this.#present) / rows),
      ...((distinct > 0 || this.#present === 0) && { distinct }),
      ...(this.#distinct.isEstimate && { isDistinctEstimate: true }),
      ...(hasRange && this.#minimum && { minimum: this.#minimum.text }),
      ...(hasRange && this.#maximum && { maximum: this.#maximum.text }),
      samples: this.#samples.slice(0, samplesMax),
    };
  }
}

/** Names that can stand in a directory: there, not too long, well formed. */
export function columnName(name: string, index: number): string {
  const tidy = name
    .replace(/^\uFEFF/, '')
    .trim()
    .toWellFormed()
    .slice(0, NAME_CHARS_MAX);
  return tidy === '' ? `column_${index + 1}` : tidy;
}

/** Gives each column a name of its own. */
export function columnNames(header: readonly string[]): readonly string[] {
  const taken = new Set<string>();
  return header.map((given, index) => {
    const name = columnName(given, index);
    let unique = name;
    for (let n = 2; taken.has(unique); n++) unique = `${name}_${n}`;
    taken.add(unique);
    return unique;
  });
}

export class TableProfiler {
  readonly name: string;
  rows = 0;
  /** Columns beyond the limit, which are not described. */
  readonly omitted = new Set<string>();
  readonly #columns = new Map<string, ColumnProfiler>();

  constructor(name: string, columns: readonly string[] = []) {
    this.name = name;
    for (const column of columns) this.column(column);
  }

  /** The column of this name; a new one unless there are too many. */
  column(name: string): ColumnProfiler | undefined {
    const known = this.#columns.get(name);
    if (known !== undefined) return known;
    if (this.#columns.size >= COLUMNS_MAX) {
      if (this.omitted.size < COLUMNS_MAX) this.omitted.add(name);
      return undefined;
    }
    const column = new ColumnProfiler(name);
    this.#columns.set(name, column);
    return column;
  }

  get columnNames(): readonly string[] {
    return [...this.#columns.keys()];
  }

  /** A record by names; objects in it become columns of their own, `address.city`. */
  addObject(record: object): void {
    this.rows++;
    this.#addFields(record, '', 1);
  }

  #addFields(record: object, prefix: string, depth: number): void {
    for (const [key, value] of Object.entries(record) as [string, Cell][]) {
      const name = columnName(prefix + key, this.#columns.size);
      const isObject =
        typeof value === 'object' &&
        value !== null &&
        !Array.isArray(value) &&
        !(value instanceof Date) &&
        !ArrayBuffer.isView(value);
      if (isObject && depth < DEPTH_MAX) this.#addFields(value, `${prefix}${key}.`, depth + 1);
      else this.column(name)?.addValue(value);
    }
  }

  merge(other: TableProfiler): void {
    this.rows += other.rows;
    for (const [name, column] of other.#columns) this.column(name)?.merge(column);
  }

  profile(samplesMax: number = SAMPLES_MAX): RawTable {
    const columns = [...this.#columns.values()].map((column) =>
      column.profile(this.rows, samplesMax),
    );
    return { name: this.name, rows: this.rows, columns };
  }
}
