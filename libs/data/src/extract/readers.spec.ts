import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { tableFromArrays, tableToIPC } from '@uwdata/flechette';
import fc from 'fast-check';
import { isSeeleError } from '#libs/kernel';
import { parquet, pdf, sheetXml, tiff, workbook } from '../../../../test/support/sample-files.ts';
import { useSampleFolder } from '../../../../test/support/sample-folder.ts';
import { TableProfiler } from '../profile/table-profiler.ts';
import { finishProfile } from './finish-profile.ts';
import { CsvReader, profileCsv, sniffDelimiter } from './formats/csv.ts';
import { JsonSplitter } from './formats/json-elements.ts';
import { profileJson, profileJsonLines } from './formats/json.ts';
import { textChunks } from './formats/text-chunks.ts';
import { SourceProfiler } from './profile-file.ts';
import { FaultList } from './source-profile.ts';

const sample = useSampleFolder();
const file = sample.file;

async function* pieces(text: string, size = 7): AsyncGenerator<string> {
  for (let i = 0; i < text.length; i += size) yield text.slice(i, i + size);
}

async function profileOf(name: string, content: string | Uint8Array) {
  const profiler = new SourceProfiler('file');
  await profiler.add(file(name, content), '');
  return finishProfile(profiler.profile());
}

const columnsOf = (table: TableProfiler | undefined) =>
  Object.fromEntries((table?.profile().columns ?? []).map((column) => [column.name, column]));

describe('CSV (RFC 4180)', () => {
  const csv = async (text: string, delimiter?: string) => {
    const faults = new FaultList();
    const table = await profileCsv(pieces(text), faults, delimiter);
    return { table: table?.profile(), columns: columnsOf(table), faults: faults.list() };
  };

  it('finds types, ranges, missing values and how many differ', async () => {
    const { table, columns } = await csv(
      'id,when,amount,code,ok,note\r\n1,2026-01-02,1.5,007,true,"a, ""b""\nc"\r\n2,,-3,010,false,x\r\n',
    );
    expect(table?.rows).toBe(2);
    expect(columns['id']).toMatchObject({ datatype: 'integer', minimum: '1', maximum: '2' });
    expect(columns['when']).toMatchObject({ datatype: 'date', nullRatio: 0.5, distinct: 1 });
    expect(columns['amount']).toMatchObject({ datatype: 'decimal', minimum: '-3', maximum: '1.5' });
    // A number with leading zeros is a name.
    expect(columns['code']).toMatchObject({ datatype: 'string' });
    expect(columns['ok']).toMatchObject({ datatype: 'boolean' });
    expect(columns['code']?.minimum).toBeUndefined();
  });

  it('reports ragged rows and wrong quoting with their lines, and reads on', async () => {
    const { table, columns, faults } = await csv(
      'a,b\n1,2\n3\n4,5,6\n"x"y,7\nz"q,8\n"never closed,9\n10,11\n',
    );
    expect(faults).toEqual([
      { kind: 'ragged-row', count: 2, places: ['3', '4'] },
      { kind: 'wrong-quote', count: 3, places: ['5', '6', '7'] },
    ]);
    expect(table?.rows).toBe(7);
    expect(columns['b']?.distinct).toBe(6);
  });

  it.each([
    ['a;b\n1,5;2\n2,5;3\n', ';'],
    ['a\tb\n1\t2\n', '\t'],
    ['a,b\n"x;y",2\n', ','],
    ['one\ntwo\n', ','],
  ])('sees the delimiter of %j', (text, delimiter) => {
    expect(sniffDelimiter(text)).toBe(delimiter);
  });

  it('names columns that have no names, or the same', async () => {
    const unnamed = await csv('1,2\n3,4\n');
    expect(Object.keys(unnamed.columns)).toEqual(['column_1', 'column_2']);
    expect(unnamed.table?.rows).toBe(2);
    expect(Object.keys((await csv('a,,b\nx,y,z\n')).columns)).toEqual(['a', 'column_2', 'b']);
  });

  it('gives the same cells however the text is cut', () => {
    const cell = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', 'é', '1'), maxLength: 6 });
    const rows = fc.array(fc.array(cell, { minLength: 2, maxLength: 3 }), { maxLength: 8 });
    fc.assert(
      fc.property(rows, fc.integer({ min: 1, max: 9 }), (given, size) => {
        const quoted = given.map((row) => row.map((c) => `"${c.replaceAll('"', '""')}"`).join(','));
        const read: string[][] = [];
        const reader = new CsvReader(
          ',',
          (cells) => read.push([...cells]),
          () => {
            throw new Error('nothing is wrongly quoted');
          },
        );
        const text = quoted.map((line) => `${line}\n`).join('');
        for (let i = 0; i < text.length; i += size) reader.push(text.slice(i, i + size));
        reader.end();
        expect(read).toEqual(given);
      }),
      { numRuns: 60 },
    );
  });

  it('reads UTF-16, and what is not UTF-8 as Windows-1252, and says so', async () => {
    const read = async (name: string, bytes: Uint8Array) => {
      const faults = new FaultList();
      let text = '';
      for await (const chunk of textChunks(file(name, bytes), faults)) text += chunk;
      return { text, faults: faults.list().map(({ kind }) => kind) };
    };
    const utf16 = Buffer.from('\uFEFFstraße', 'utf16le');
    expect(await read('a', utf16)).toEqual({ text: 'straße', faults: [] });
    const latin = Buffer.from('stra\xdfe', 'latin1');
    expect(await read('b', latin)).toEqual({ text: 'straße', faults: ['not-utf8'] });
  });
});

describe('JSON (RFC 8259) and GeoJSON (RFC 7946)', () => {
  it.each([
    ['[{"a":1},{"a":2,"b":"]"}]', 2],
    ['{"a":"\\"}{"}\n{"a":2} {"a":3}', 3],
    ['{"meta":{"n":[1]},"data":[{"a":1},{"a":2}],"more":1}', 2],
    ['[]', 0],
    ['[1,2,"x"]', 3],
    ['{"data":1}', 1],
  ])('cuts %j into %i records', async (text, records) => {
    for (const size of [1, 5, 100])
      expect((await profileJson(pieces(text, size))).table.rows).toBe(records);
  });

  it.each(['[{"a":1}', '{"a":', '[1,2', '"x', '[}', '[{"a" 1}]'])('refuses %j', async (text) => {
    await expect(profileJson(pieces(text))).rejects.toMatchObject({ code: 'DATA_BROKEN' });
  });

  it('refuses what is nested too deep, and never dies of any bytes', async () => {
    await expect(profileJson(pieces('['.repeat(5_000), 100))).rejects.toMatchObject({
      code: 'DATA_LIMIT',
    });
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...Array.from('[]{}",:1a\\ ')) }), (text) => {
        const splitter = new JsonSplitter(() => {});
        try {
          splitter.push(text);
          splitter.end();
        } catch (error) {
          if (!isSeeleError(error)) throw error;
        }
      }),
    );
  });

  it('takes the box of the positions, and properties as columns', async () => {
    const feature = (lon: number, lat: number) => ({
      type: 'Feature',
      properties: { name: 'x', at: { city: 'Y' } },
      geometry: { type: 'Point', coordinates: [lon, lat] },
    });
    const { temporal, ...profile } = await profileOf(
      'a.geojson',
      JSON.stringify({ type: 'FeatureCollection', features: [feature(1, 2), feature(-3, 40)] }),
    );
    expect(temporal).toBeUndefined();
    expect(profile.spatial).toEqual({ west: -3, south: 2, east: 1, north: 40 });
    const names = profile.parts[0]?.tables[0]?.columns.map(({ name }) => name);
    expect(names).toEqual(['name', 'at.city', 'geometry']);
  });

  it('counts broken lines of JSON lines', async () => {
    const faults = new FaultList();
    const { table } = await profileJsonLines(pieces('{"a":1}\n{"a":\n\n{"a":2}'), faults);
    expect(table.rows).toBe(2);
    expect(faults.list()).toEqual([{ kind: 'not-json', count: 1, places: ['2'] }]);
  });
});

describe('other formats', () => {
  it('SQLite: the hash is of the rows, not of how they are packed', async () => {
    const path = join(sample.path, 'a.db');
    const database = new DatabaseSync(path);
    database.exec('CREATE TABLE v (id INTEGER PRIMARY KEY, at TEXT); CREATE VIEW w AS SELECT 1');
    for (let i = 0; i < 50; i++)
      database.prepare('INSERT INTO v VALUES (?, ?)').run(i, '2026-03-04');
    const read = async () => {
      const profiler = new SourceProfiler('file');
      await profiler.add(path, '');
      return finishProfile(profiler.profile());
    };
    const before = await read();
    expect(before.parts[0]?.tables).toHaveLength(1);
    expect(before.temporal).toEqual({ start: '2026-03-04', end: '2026-03-04' });
    database.exec('CREATE TABLE big (x); DROP TABLE big; VACUUM');
    expect((await read()).contentHash).toBe(before.contentHash);
    database.exec('UPDATE v SET at = NULL WHERE id = 7');
    const after = await read();
    expect(after.contentHash).not.toBe(before.contentHash);
    expect(after.parts[0]?.tables[0]?.columns[1]).toMatchObject({ nullRatio: 0.02 });
    database.close();
  });

  it('Arrow: types, missing values, ranges', async () => {
    const table = tableFromArrays({
      n: [1, null, 3],
      name: ['x', 'y', 'x'],
      day: [new Date('2026-01-02'), new Date('2026-01-01'), null],
    });
    const bytes = tableToIPC(table, { format: 'file' });
    const { parts, temporal } = await profileOf('a.arrow', bytes ?? new Uint8Array());
    expect(parts[0]).toMatchObject({ format: 'arrow' });
    expect(parts[0]?.tables[0]).toMatchObject({
      rows: 3,
      columns: [
        { name: 'n', datatype: 'integer', nullRatio: 0.3333, minimum: '1', maximum: '3' },
        { name: 'name', datatype: 'string', distinct: 2 },
        { name: 'day', nullRatio: 0.3333 },
      ],
    });
    expect(temporal).toEqual({ start: '2026-01-01', end: '2026-01-02' });
  });

  it('Parquet: millions of rows are described from the footer', async () => {
    const path = join(process.cwd(), 'node_modules/vega-datasets/data/flights-3m.parquet');
    const profiler = new SourceProfiler('file');
    await profiler.add(path, '');
    const { parts, temporal } = finishProfile(profiler.profile());
    const [table] = parts[0]?.tables ?? [];
    expect(table?.rows).toBe(3_000_000);
    expect(table?.columns.slice(0, 4)).toMatchObject([
      { name: 'date', datatype: 'dateTime', nullRatio: 0 },
      { name: 'delay', datatype: 'integer', minimum: '-1116', maximum: '1688' },
      { name: 'distance', datatype: 'integer', minimum: '21', maximum: '4962' },
      { name: 'origin', datatype: 'string' },
    ]);
    expect(temporal).toEqual({ start: '2001-01-01', end: '2001-07-01' });
  });

  it('Arrow: a column that says it has more values than there are is refused at once', async () => {
    const whole = tableToIPC(tableFromArrays({ n: Int32Array.of(1, 2, 3) }), { format: 'file' });
    const bytes = Buffer.from(whole ?? new Uint8Array());
    const three = Buffer.from([3, 0, 0, 0, 0, 0, 0, 0]);
    // Wherever lengths of three stand: of the batch, and of its column.
    for (let at = bytes.indexOf(three); at >= 0; at = bytes.indexOf(three, at + 8))
      bytes.writeUInt32LE(90_000_000, at);
    await expect(profileOf('a.arrow', bytes)).rejects.toMatchObject({ code: 'DATA_BROKEN' });
  });

  it('Parquet: small files are read whole', async () => {
    const { parts } = await profileOf('a.parquet', parquet());
    expect(parts[0]?.tables[0]).toMatchObject({
      rows: 3,
      columns: [
        { name: 'n', datatype: 'integer', nullRatio: 0, minimum: '1', maximum: '3' },
        { name: 'name', datatype: 'string', nullRatio: 0.3333, distinct: 2 },
      ],
    });
  });

  it('a PDF: title, author, pages', async () => {
    const { facts, parts } = await profileOf('a.pdf', pdf());
    expect(parts[0]).toMatchObject({ format: 'pdf', tables: [] });
    expect(facts).toEqual({ title: 'Claims', author: 'Clinic', pages: '1', made: '2026-07-01' });
  });

  it('an image: when and where it was taken', async () => {
    const { facts, spatial, temporal } = await profileOf('a.tif', tiff());
    expect(facts['camera']).toBe('Acme');
    expect(spatial).toEqual({ west: -3.5, south: 40.5, east: -3.5, north: 40.5 });
    expect(temporal?.start.slice(0, 7)).toBe('2026-07');
  });

  it('a workbook: sheets, shared texts, dates', async () => {
    const { parts, temporal } = await profileOf('a.xlsx', workbook(sheetXml()));
    const [table] = parts[0]?.tables ?? [];
    expect(table).toMatchObject({ name: 'Visits & more', rows: 2 });
    expect(table?.columns.map(({ name, datatype }) => [name, datatype])).toEqual([
      ['name', 'string'],
      ['day', 'dateTime'],
      ['n', 'decimal'],
    ]);
    expect(temporal).toEqual({ start: '2026-01-01', end: '2026-01-02' });
  });

  it.each([
    ['a.parquet', new Uint8Array([...Buffer.from('PAR1'), ...randomBytes(64)])],
    ['b.parquet', new Uint8Array(12)],
    ['a.xlsx', Buffer.from('PK\u0003\u0004 and no more')],
    ['b.xlsx', randomBytes(500)],
    ['a.db', Buffer.from(`SQLite format 3\0${'x'.repeat(200)}`)],
    ['a.pdf', Buffer.from('%PDF-1.7 and no more')],
    ['a.arrow', new Uint8Array([...Buffer.from('ARROW1\0\0'), ...randomBytes(64)])],
  ])('%s that is broken is refused as such', async (name, bytes) => {
    await expect(profileOf(name, bytes)).rejects.toMatchObject({ code: 'DATA_BROKEN' });
  });

  it('a workbook that unpacks to far more than it is, is refused', async () => {
    const bomb = Buffer.alloc(24 * 1024 * 1024, ' ');
    await expect(profileOf('bomb.xlsx', workbook(bomb))).rejects.toMatchObject({
      code: 'DATA_LIMIT',
    });
  });
});
