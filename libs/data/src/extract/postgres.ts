/**
 * A table of PostgreSQL: `postgresql://user@host/database#schema.table`. Read in one snapshot by a
 * cursor, in the order of its key, and written as CSV to a file of its own, so that what is described
 * and what is sealed are the same bytes.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, escapeIdentifier } from 'pg';
import { makeDirectory } from '#libs/platform';
import { dataError } from '../errors.ts';
import { extractSource } from './extract-source.ts';
import type { OpenedSource } from './open-source.ts';

const ROWS_AT_ONCE = 2_000;
const ROW_CHARS_MAX = 16 * 1024 * 1024;

export const isTableUrl = (source: string): boolean => /^postgres(?:ql)?:\/\//.test(source);

export interface TableName {
  /** Without the table. */
  readonly url: string;
  readonly schema: string;
  readonly table: string;
}

/** @throws DATA_SOURCE */
export function parseTableUrl(source: string): TableName {
  const url = URL.parse(source);
  const name = decodeURIComponent(url?.hash.slice(1) ?? '');
  const [table, schema = 'public', ...more] = name.split('.').toReversed();
  if (url === null || !table || schema === '' || more.length > 0)
    throw dataError('DATA_SOURCE', 'a table is named postgresql://user@host/database#schema.table');
  url.hash = '';
  return { url: url.href, schema, table };
}

/** Without user and password. */
export function tableIri(source: string): string {
  const url = new URL(source);
  url.username = '';
  url.password = '';
  return url.href;
}

const cellText = (text: string | null): string => {
  if (text === null) return '';
  // An empty text is no missing value, and one that could end the cell is quoted.
  return text === '' || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

async function keyOrder(client: Client, name: string): Promise<string> {
  const { rows } = await client.query<{ column: string }>(
    `SELECT a.attname AS column FROM pg_index i
       JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
      WHERE i.indrelid = $1::regclass AND i.indisprimary ORDER BY array_position(i.indkey, a.attnum)`,
    [name],
  );
  if (rows.length > 0) return rows.map(({ column }) => escapeIdentifier(column)).join(', ');
  return 'ctid';
}

async function writeTable(client: Client, name: string, path: string): Promise<void> {
  const out = createWriteStream(path, { mode: 0o600 });
  const write = async (line: string): Promise<void> => {
    if (line.length > ROW_CHARS_MAX) throw dataError('DATA_LIMIT', 'a row is too long');
    if (!out.write(line)) await once(out, 'drain');
  };
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  const order = await keyOrder(client, name);
  await client.query(`DECLARE seele CURSOR FOR SELECT * FROM ${name} ORDER BY ${order}`);
  for (let isFirst = true; ; isFirst = false) {
    const { rows, fields } = await client.query<(string | null)[]>({
      text: `FETCH ${ROWS_AT_ONCE} FROM seele`,
      rowMode: 'array',
      // As PostgreSQL writes them: texts are the same on every machine.
      types: { getTypeParser: () => (text: string) => text },
    });
    if (isFirst) await write(`${fields.map((field) => cellText(field.name)).join(',')}\n`);
    if (rows.length === 0) break;
    for (const row of rows) await write(`${row.map(cellText).join(',')}\n`);
  }
  await client.query('COMMIT');
  out.end();
  await once(out, 'finish');
}

/** @throws DATA_SOURCE, DATA_LIMIT */
export async function extractTable(source: string, scratch: string): Promise<OpenedSource> {
  const { url, schema, table } = parseTableUrl(source);
  const name = `${escapeIdentifier(schema)}.${escapeIdentifier(table)}`;
  makeDirectory(scratch, 0o700);
  const path = join(scratch, `${randomBytes(8).toString('hex')}.csv`);
  const close = () => rm(path, { force: true });
  const client = new Client({
    ...{ connectionString: url, application_name: 'seele data', connectionTimeoutMillis: 10_000 },
    options: '-c DateStyle=ISO -c TimeZone=UTC -c IntervalStyle=iso_8601 -c extra_float_digits=1',
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await writeTable(client, name, path);
    const extracted = await extractSource(path);
    const profile = { ...extracted.profile, kind: 'table' as const };
    return {
      extracted: { ...extracted, profile },
      iri: tableIri(source),
      fileName: `${table}.csv`,
      close,
    };
  } catch (cause) {
    await close();
    if ((cause as { code?: string }).code?.startsWith('DATA_')) throw cause;
    const message = (cause as Error).message || String((cause as { code?: string }).code);
    throw dataError('DATA_SOURCE', `${schema}.${table}: ${message}`, { cause });
  } finally {
    await client.end().catch(() => undefined);
  }
}
