/**
 * Workbooks of Excel (ECMA-376, SpreadsheetML): a table for each sheet, its first row the names. Sheets
 * are read as streams; formulas count by their last value, nothing is computed.
 */
import { dataError } from '../../errors.ts';
import { TableProfiler, columnNames } from '../../profile/table-profiler.ts';
import type { Cell } from '../../profile/value-kinds.ts';
import type { FaultList } from '../source-profile.ts';
import { ZipFile } from './zip.ts';

const SHEETS_MAX = 100;
const TEXT_PART_BYTES_MAX = 64 * 1024 * 1024;
const SHARED_TEXTS_MAX = 2_000_000;
const ROW_CHARS_MAX = 4 * 1024 * 1024;
const COLUMNS_MAX = 16_384;
const DAY_MS = 86_400_000;
/** Number formats that are dates wherever Excel is set up (ECMA-376 part 1, 18.8.30). */
const DATE_FORMATS: ReadonlySet<number> = new Set([14, 15, 16, 17, 18, 19, 20, 21, 22, 45, 46, 47]);

const ENTITIES: Readonly<Record<string, string>> = {
  ...{ amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" },
};
const textOf = (xml: string): string =>
  xml.replace(/&(#x?[0-9a-fA-F]{1,6}|[a-z]{2,4});/g, (whole, name: string) => {
    if (!name.startsWith('#')) return ENTITIES[name] ?? whole;
    const code = name[1] === 'x' ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1));
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });

const attribute = (tag: string, name: string): string | undefined =>
  new RegExp(`\\s(?:\\w+:)?${name}="([^"]*)"`).exec(tag)?.[1];

/** All texts of `<t>` in a piece of XML; phonetic hints are left out. */
const runsOf = (xml: string): string =>
  [...xml.replace(/<rPh[\s\S]*?<\/rPh>/g, '').matchAll(/<t(?:\s[^>]*)?>([^<]*)<\/t>/g)]
    .map(([, text]) => textOf(text as string))
    .join('');

function columnIndex(reference: string | undefined, next: number): number {
  const letters = /^[A-Z]{1,3}/.exec(reference ?? '')?.[0];
  if (letters === undefined) return next;
  let index = 0;
  for (const letter of letters) index = index * 26 + (letter.charCodeAt(0) - 64);
  return Math.min(index - 1, COLUMNS_MAX);
}

interface Workbook {
  readonly texts: readonly string[];
  /** By style number, whether numbers of it are dates. */
  readonly isDateStyle: readonly boolean[];
  /** Days before the first one of the calendar. */
  readonly epochMs: number;
}

function dateOf(serial: number, epochMs: number): Date | number {
  const date = new Date(epochMs + Math.round(serial * DAY_MS));
  return Number.isNaN(date.getTime()) ? serial : date;
}

function cellOf(tag: string, body: string, { texts, isDateStyle, epochMs }: Workbook): Cell {
  const type = attribute(tag, 't');
  if (type === 'inlineStr') return runsOf(body);
  const value = /<v(?:\s[^>]*)?>([^<]*)<\/v>/.exec(body)?.[1];
  if (value === undefined || value === '') return undefined;
  if (type === 's') return texts[Number(value)];
  if (type === 'b') return value === '1';
  if (type === 'e') return undefined;
  if (type === 'str') return textOf(value);
  if (type === 'd') return value;
  const number = Number(value);
  if (!Number.isFinite(number)) return undefined;
  return isDateStyle[Number(attribute(tag, 's') ?? 0)] ? dateOf(number, epochMs) : number;
}

function rowOf(xml: string, workbook: Workbook): readonly Cell[] {
  const cells: Cell[] = [];
  let next = 0;
  for (const [, tag, body] of xml.matchAll(/<c(\s[^>]*?)?(?:\/>|>([\s\S]*?)<\/c>)/g)) {
    const at = columnIndex(attribute(tag ?? '', 'r'), next);
    if (at >= COLUMNS_MAX) continue;
    cells[at] = body === undefined ? undefined : cellOf(tag ?? '', body, workbook);
    next = at + 1;
  }
  return cells;
}

async function readWorkbook(
  zip: ZipFile,
): Promise<Workbook & { readonly sheets: [string, string][] }> {
  const part = async (name: string) => (zip.has(name) ? zip.text(name, TEXT_PART_BYTES_MAX) : '');
  const [book, relations, styles, shared] = [
    await part('xl/workbook.xml'),
    await part('xl/_rels/workbook.xml.rels'),
    await part('xl/styles.xml'),
    await part('xl/sharedStrings.xml'),
  ];
  const targets = new Map(
    [...relations.matchAll(/<Relationship\s[^>]*>/g)].map(([tag]) => [
      attribute(tag, 'Id') ?? '',
      (attribute(tag, 'Target') ?? '').replace(/^\/?(?:xl\/)?/, 'xl/'),
    ]),
  );
  const sheets = [...book.matchAll(/<sheet\s[^>]*>/g)].map(([tag]): [string, string] => [
    textOf(attribute(tag, 'name') ?? ''),
    targets.get(attribute(tag, 'id') ?? '') ?? '',
  ]);
  if (sheets.length > SHEETS_MAX)
    throw dataError('DATA_LIMIT', `${sheets.length} sheets; ${SHEETS_MAX} are described`);
  const custom = new Map(
    [...styles.matchAll(/<numFmt\s[^>]*>/g)].map(([tag]) => [
      Number(attribute(tag, 'numFmtId')),
      /[dmyhs]/i.test((attribute(tag, 'formatCode') ?? '').replace(/"[^"]*"|\[[^\]]*\]|\\./g, '')),
    ]),
  );
  const formats = /<cellXfs[\s\S]*?<\/cellXfs>/.exec(styles)?.[0] ?? '';
  const isDateStyle = [...formats.matchAll(/<xf\s[^>]*>/g)].map(([tag]) => {
    const id = Number(attribute(tag, 'numFmtId') ?? 0);
    return custom.get(id) ?? DATE_FORMATS.has(id);
  });
  const texts: string[] = [];
  for (const [item] of shared.matchAll(/<si>[\s\S]*?<\/si>|<si\/>/g)) {
    if (texts.length >= SHARED_TEXTS_MAX) throw dataError('DATA_LIMIT', 'too many shared texts');
    texts.push(runsOf(item));
  }
  const from1904 = /<workbookPr\s[^>]*date1904="(?:1|true)"/.test(book);
  return {
    sheets,
    texts,
    isDateStyle,
    epochMs: from1904 ? Date.UTC(1904, 0, 1) : Date.UTC(1899, 11, 30),
  };
}

/** @throws DATA_BROKEN, DATA_LIMIT */
export async function profileXlsx(
  path: string,
  faults: FaultList,
  onRecord?: (table: string, record: ReadonlyMap<string, Cell>) => void,
): Promise<readonly TableProfiler[]> {
  const zip = await ZipFile.open(path);
  try {
    if (!zip.has('xl/workbook.xml')) throw dataError('DATA_BROKEN', 'not a workbook of Excel');
    const workbook = await readWorkbook(zip);
    const tables: TableProfiler[] = [];
    for (const [name, member] of workbook.sheets) {
      if (!zip.has(member)) {
        faults.add('missing-sheet', name);
        continue;
      }
      const table = await readSheet(zip, member, name, workbook, faults, onRecord);
      if (table !== undefined) tables.push(table);
    }
    return tables;
  } finally {
    await zip.close();
  }
}

async function readSheet(
  zip: ZipFile,
  member: string,
  name: string,
  workbook: Workbook,
  faults: FaultList,
  onRecord?: (table: string, record: ReadonlyMap<string, Cell>) => void,
): Promise<TableProfiler | undefined> {
  let table: TableProfiler | undefined;
  let names: readonly string[] = [];
  const add = (cells: readonly Cell[]): void => {
    if (cells.every((cell) => cell === undefined)) return;
    if (table === undefined) {
      names = columnNames(
        Array.from(cells, (cell) =>
          typeof cell === 'string' || typeof cell === 'number' ? String(cell) : '',
        ),
      );
      table = new TableProfiler(name, names);
      return;
    }
    table.rows++;
    if (cells.length > names.length) faults.add('ragged-row', `${name} row ${table.rows + 1}`);
    names.forEach((column, i) => table?.column(column)?.addValue(cells[i]));
    onRecord?.(name, new Map(names.map((column, i) => [column, cells[i]])));
  };
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of zip.read(member)) {
    rest += decoder.decode(chunk, { stream: true });
    let from = 0;
    for (;;) {
      const end = rest.indexOf('</row>', from);
      if (end < 0) break;
      const start = rest.indexOf('<row', from);
      if (start >= 0 && start < end) add(rowOf(rest.slice(start, end), workbook));
      from = end + 6;
    }
    rest = rest.slice(from);
    if (rest.length > ROW_CHARS_MAX)
      throw dataError('DATA_LIMIT', `a row of sheet ${JSON.stringify(name)} is too long`);
  }
  return table;
}
