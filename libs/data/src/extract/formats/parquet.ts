/**
 * Parquet: the footer tells rows, types, missing values and ranges. Small files are read whole, of
 * large ones only some rows for what the columns mean.
 */
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import {
  type AsyncBuffer,
  type Compressors,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
} from 'hyparquet';
import { open } from 'node:fs/promises';
import { dataError } from '../../errors.ts';
import { TableProfiler, columnName } from '../../profile/table-profiler.ts';
import { type Cell, type ValueKind, kindOfValue } from '../../profile/value-kinds.ts';
import type { FaultList } from '../source-profile.ts';

const ROWS_READ_MAX = 200_000;
const ROWS_AT_ONCE = 5_000;
const SAMPLE_ROWS = 300;
const FOOTER_BYTES_MAX = 64 * 1024 * 1024;
const GROUP_BYTES_MAX = 256 * 1024 * 1024;
const COLUMN_CHUNKS_MAX = 2_000_000;

const limited = (length: number) => ({ maxOutputLength: Math.max(1, length) });
const compressors: Compressors = {
  GZIP: (input, length) => gunzipSync(input, limited(length)),
  BROTLI: (input, length) => brotliDecompressSync(input, limited(length)),
  ZSTD: (input, length) => zstdDecompressSync(input, limited(length)),
};

const broken = (why: unknown) =>
  dataError(
    'DATA_BROKEN',
    `not a whole Parquet file: ${why instanceof Error ? why.message : String(why)}`,
    {
      cause: why,
    },
  );

function kindFromSchema(metadata: FileMetaData, path: readonly string[]): ValueKind {
  const leaf = metadata.schema.find(
    ({ name, num_children }) => name === path.at(-1) && !num_children,
  );
  const logical = leaf?.logical_type?.type ?? leaf?.converted_type;
  if (logical === 'DATE') return 'date';
  if (logical === 'TIMESTAMP' || logical?.startsWith('TIMESTAMP_')) return 'dateTime';
  if (logical === 'DECIMAL') return 'decimal';
  if (leaf?.type === 'INT96') return 'dateTime';
  if (leaf?.type === 'BOOLEAN') return 'boolean';
  if (leaf?.type === 'INT32' || leaf?.type === 'INT64') return 'integer';
  return leaf?.type === 'FLOAT' || leaf?.type === 'DOUBLE' ? 'decimal' : 'string';
}

/** Rows, missing values and ranges of the footer. False when a column has no such figures. */
function addFooter(table: TableProfiler, metadata: FileMetaData): boolean {
  let complete = true;
  for (const group of metadata.row_groups)
    for (const { meta_data: chunk } of group.columns) {
      if (chunk === undefined) continue;
      const column = table.column(columnName(chunk.path_in_schema.join('.'), 0));
      const { statistics: figures, num_values: values } = chunk;
      const kind = kindFromSchema(metadata, chunk.path_in_schema);
      if (figures?.null_count === undefined) complete = false;
      const present = Number(values) - Number(figures?.null_count ?? 0);
      const bounds = [
        figures?.min_value ?? figures?.min,
        figures?.max_value ?? figures?.max,
      ] as readonly Cell[];
      const days = bounds.map((bound) =>
        kind === 'date' && bound instanceof Date ? bound.toISOString().slice(0, 10) : bound,
      );
      const usable = days.filter((bound) => bound !== undefined && typeof bound !== 'object');
      column?.addStatistics(
        present,
        kind === 'string' ? [] : kind === 'dateTime' ? bounds : usable,
        kind,
      );
    }
  return complete;
}

/** @throws DATA_BROKEN, DATA_LIMIT */
export async function profileParquet(
  path: string,
  faults: FaultList,
  onRecord?: (record: Readonly<Record<string, Cell>>) => void,
): Promise<TableProfiler> {
  const handle = await open(path, 'r');
  try {
    const { size } = await handle.stat();
    const slice = async (start: number, end: number) => {
      if (!(start >= 0 && start <= end && end <= size))
        throw new Error(`bytes ${start} to ${end} of ${size}`);
      const length = end - start;
      if (length > GROUP_BYTES_MAX) throw new Error(`a part of ${length} bytes`);
      const bytes = new Uint8Array(length);
      await handle.read(bytes, 0, length, start);
      return bytes.buffer;
    };
    const file: AsyncBuffer = {
      byteLength: size,
      slice: (start, end = size) => {
        const part = slice(start, Math.min(end, size));
        // Parts are asked for ahead: one that fails before another is awaited must not end the process.
        part.catch(() => undefined);
        return part;
      },
    };
    const metadata = await readFooter(file, size);
    const table = new TableProfiler('');
    const rows = Number(metadata.num_rows);
    if (onRecord !== undefined || (rows <= ROWS_READ_MAX && !isTooLarge(metadata)))
      await readRows(table, file, metadata, rows, onRecord);
    else {
      table.rows = rows;
      if (!addFooter(table, metadata)) faults.add('no-statistics', 'some column chunks');
      await readSamples(table, file, metadata, faults);
    }
    return table;
  } finally {
    await handle.close();
  }
}

async function readFooter(file: AsyncBuffer, size: number): Promise<FileMetaData> {
  try {
    const tail = new DataView(await file.slice(Math.max(0, size - 8), size));
    if (tail.byteLength === 8 && tail.getUint32(0, true) > Math.min(size, FOOTER_BYTES_MAX))
      throw new Error('the footer is longer than the file');
    const metadata = await parquetMetadataAsync(file);
    const chunks = metadata.row_groups.reduce((sum, { columns }) => sum + columns.length, 0);
    if (chunks > COLUMN_CHUNKS_MAX || metadata.num_rows < 0n)
      throw new Error('the footer names too many parts');
    return metadata;
  } catch (error) {
    throw broken(error);
  }
}

const isTooLarge = (metadata: FileMetaData): boolean =>
  metadata.row_groups.some(({ total_byte_size: bytes }) => Number(bytes) > GROUP_BYTES_MAX);

async function readRows(
  table: TableProfiler,
  file: AsyncBuffer,
  metadata: FileMetaData,
  rows: number,
  onRecord?: (record: Readonly<Record<string, Cell>>) => void,
): Promise<void> {
  for (const { path_in_schema: path } of metadata.row_groups[0]?.columns.flatMap(
    ({ meta_data: chunk }) => chunk ?? [],
  ) ?? [])
    if (path.length === 1) table.column(columnName(path[0] ?? '', 0));
  try {
    for (let at = 0; at < rows; at += ROWS_AT_ONCE) {
      const rowEnd = Math.min(rows, at + ROWS_AT_ONCE);
      const records = await parquetReadObjects({
        ...{ file, metadata, compressors, rowStart: at, rowEnd },
      });
      for (const record of records) {
        table.addObject(record);
        onRecord?.(record as Readonly<Record<string, Cell>>);
      }
    }
  } catch (error) {
    throw broken(error);
  }
  if (table.rows !== rows) throw broken(new Error(`${table.rows} of ${rows} rows are there`));
}

async function readSamples(
  table: TableProfiler,
  file: AsyncBuffer,
  metadata: FileMetaData,
  faults: FaultList,
): Promise<void> {
  try {
    const records = await parquetReadObjects({
      ...{ file, metadata, compressors, rowStart: 0, rowEnd: SAMPLE_ROWS },
    });
    for (const record of records)
      for (const [name, value] of Object.entries(record) as [string, Cell][])
        if (value !== null && value !== undefined && kindOfValue(value) !== 'json')
          table.column(columnName(name, 0))?.addSample(value);
  } catch (error) {
    faults.add('unreadable-rows', (error as Error).message);
  }
}
