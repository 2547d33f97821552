/**
 * SQLite databases: every table, read only, without anything the file could make us run (no views, no
 * virtual tables, no functions of its schema). The hash is over the rows, in the order of the tables'
 * keys: it does not change when the file is only packed differently.
 */
import { createHash } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { dataError } from '../../errors.ts';
import { TableProfiler, columnName } from '../../profile/table-profiler.ts';
import type { Cell } from '../../profile/value-kinds.ts';

const TABLES_MAX = 200;
const VALUE_BYTES_MAX = 16 * 1024 * 1024;

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

export interface SqliteProfile {
  readonly tables: readonly TableProfiler[];
  /** SHA-256 over schema and rows, hex. */
  readonly contentHash: string;
}

function openReadOnly(path: string): DatabaseSync {
  const database = new DatabaseSync(path, {
    ...{ readOnly: true, allowExtension: false, enableDoubleQuotedStringLiterals: false },
  });
  for (const pragma of ['trusted_schema = OFF', 'cell_size_check = ON', 'mmap_size = 0'])
    database.exec(`PRAGMA ${pragma}`);
  return database;
}

interface TableRow {
  readonly name: string;
  readonly sql: string;
}

/**
 * @param only profile this table alone
 * @throws DATA_BROKEN, DATA_LIMIT
 */
export function profileSqlite(
  path: string,
  onRecord?: (table: string, record: Readonly<Record<string, Cell>>) => void,
): SqliteProfile {
  let database: DatabaseSync | undefined;
  try {
    database = openReadOnly(path);
    // One transaction: all tables as of one moment.
    database.exec('BEGIN');
    const found = database
      .prepare(
        `SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`,
      )
      .all() as unknown as TableRow[];
    if (found.length > TABLES_MAX)
      throw dataError('DATA_LIMIT', `${found.length} tables; ${TABLES_MAX} are described`);
    const hash = createHash('sha256');
    const tables = found
      .filter(({ sql }) => !/^\s*CREATE\s+VIRTUAL/i.test(sql))
      .map(({ name, sql }) => {
        hash.update(JSON.stringify([name, sql]));
        return readTable(database as DatabaseSync, name, hash, onRecord);
      });
    return { tables, contentHash: hash.digest('hex') };
  } catch (error) {
    if ((error as { code?: string }).code !== 'ERR_SQLITE_ERROR') throw error;
    throw dataError('DATA_BROKEN', `not a readable SQLite database: ${(error as Error).message}`, {
      cause: error,
    });
  } finally {
    database?.close();
  }
}

function readTable(
  database: DatabaseSync,
  name: string,
  hash: ReturnType<typeof createHash>,
  onRecord?: (table: string, record: Readonly<Record<string, Cell>>) => void,
): TableProfiler {
  const columns = database
    .prepare(`SELECT name, pk FROM pragma_table_info(?)`)
    .all(name) as unknown as { readonly name: string; readonly pk: number }[];
  const table = new TableProfiler(
    name,
    columns.map((column, i) => columnName(column.name, i)),
  );
  const keys = columns
    .filter(({ pk }) => pk > 0)
    .toSorted((a, b) => a.pk - b.pk)
    .map((column) => quoted(column.name));
  const order = keys.length > 0 ? ` ORDER BY ${keys.join(', ')}` : '';
  const rows = database.prepare(`SELECT * FROM ${quoted(name)}${order}`);
  rows.setReadBigInts(true);
  let batch: string[] = [];
  for (const row of rows.iterate()) {
    const record = row as Record<string, Cell>;
    table.rows++;
    columns.forEach((column, i) =>
      table.column(columnName(column.name, i))?.addValue(record[column.name]),
    );
    batch.push(rowText(record));
    if (batch.length >= 256) {
      hash.update(batch.join('\n'));
      batch = [];
    }
    onRecord?.(name, record);
  }
  hash.update(batch.join('\n'));
  return table;
}

/** A row as one line; types stay apart, `1` from `"1"`. */
function rowText(record: Readonly<Record<string, Cell>>): string {
  return JSON.stringify(Object.values(record), (_key, value: unknown) => {
    if (typeof value === 'bigint') return { i: String(value) };
    if (value instanceof Uint8Array) {
      if (value.length > VALUE_BYTES_MAX)
        throw dataError('DATA_LIMIT', `a value of ${value.length} bytes`);
      return { b: Buffer.from(value).toString('base64') };
    }
    return value;
  });
}
