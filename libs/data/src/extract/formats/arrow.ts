/** Arrow files and streams (Apache Arrow IPC, also called Feather 2): a table of typed columns. */
import { readFile, stat } from 'node:fs/promises';
import { zstdDecompressSync } from 'node:zlib';
import {
  CompressionType,
  type Codec,
  type Table,
  setCompressionCodec,
  tableFromIPC,
} from '@uwdata/flechette';
import { isSeeleError } from '#libs/kernel';
import { dataError } from '../../errors.ts';
import { TableProfiler, columnName } from '../../profile/table-profiler.ts';
import type { Cell } from '../../profile/value-kinds.ts';

/** The format is made for memory: columns are read where they lie. */
const FILE_BYTES_MAX = 256 * 1024 * 1024;
const BUFFER_BYTES_MAX = 256 * 1024 * 1024;
const ROWS_MAX = 100_000_000;

const zstd: Codec = {
  encode: () => {
    throw new Error('nothing is written');
  },
  decode: (bytes) => zstdDecompressSync(bytes, { maxOutputLength: BUFFER_BYTES_MAX }),
};

/** @throws DATA_BROKEN, DATA_LIMIT */
export async function profileArrow(
  path: string,
  onRecord?: (record: Readonly<Record<string, Cell>>) => void,
): Promise<TableProfiler> {
  const { size } = await stat(path);
  if (size > FILE_BYTES_MAX)
    throw dataError('DATA_LIMIT', `an Arrow file of ${size} bytes; ${FILE_BYTES_MAX} are read`);
  setCompressionCodec(CompressionType.ZSTD, zstd);
  try {
    const table: Table = tableFromIPC(new Uint8Array(await readFile(path)), {
      ...{ useDate: true, useBigInt: true, useDecimalInt: false, useMap: false },
    });
    demandRows(table);
    return profileTable(table, onRecord);
  } catch (cause) {
    if (isSeeleError(cause)) throw cause;
    throw dataError('DATA_BROKEN', `not a whole Arrow file: ${(cause as Error).message}`, {
      cause,
    });
  }
}

/** A column may say that it has more values than there are bytes; reading it would never end. */
function demandRows({ numRows, children }: Table): void {
  if (numRows > ROWS_MAX)
    throw dataError('DATA_LIMIT', `${numRows} rows; ${ROWS_MAX} are read of an Arrow file`);
  for (const column of children) {
    if (column.length !== numRows)
      throw new Error(`a column of ${column.length} values in a table of ${numRows} rows`);
    for (const { length, values, offsets } of column.data as readonly BatchBuffers[]) {
      // Values may be single bits.
      const isShort =
        values !== undefined && ArrayBuffer.isView(values) && 8 * values.length < length;
      if (isShort || (offsets !== undefined && offsets.length <= length))
        throw new Error(`${length} values are said to be where fewer are`);
    }
  }
}

interface BatchBuffers {
  readonly length: number;
  readonly values?: ArrayLike<unknown>;
  readonly offsets?: ArrayLike<unknown>;
}

function profileTable(
  table: Table,
  onRecord?: (record: Readonly<Record<string, Cell>>) => void,
): TableProfiler {
  const profiler = new TableProfiler('');
  profiler.rows = table.numRows;
  const names = table.names.map((name, i) => columnName(name, i));
  names.forEach((name, i) => {
    const column = profiler.column(name);
    if (column === undefined) return;
    for (const value of table.getChildAt(i) as Iterable<Cell>) column.addValue(value);
  });
  if (onRecord !== undefined)
    for (let row = 0; row < table.numRows; row++)
      onRecord(
        Object.fromEntries(names.map((name, i) => [name, table.getChildAt(i).at(row) as Cell])),
      );
  return profiler;
}
