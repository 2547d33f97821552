/** Sources and documents made to harm whoever looks into them, and events that get lost. */
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { tableFromArrays, tableToIPC } from '@uwdata/flechette';
import { EXTRACTION_LIMITS, extractSource, openSource, watchSource } from '#libs/data';
import { createSeededRandomness, isSeeleError } from '#libs/kernel';
import { type RdfFormat, readJsonLd, readRdf } from '#libs/mdds';
import { mutated, parquet, pdf, sheetXml, tiff, workbook } from '../support/sample-files.ts';

const MIB = 2 ** 20;
const MUTATIONS = 40;
let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'seele-hostile-'))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('a source that changes while it is read', () => {
  it('is refused while it does not rest, and read whole once it does', async () => {
    const path = join(folder, 'rows.csv');
    writeFileSync(path, 'id,value\n');
    let n = 0;
    const timer = setInterval(() => appendFileSync(path, `${n++},x\n`), 10);
    await expect(openSource(path, folder)).rejects.toMatchObject({ code: 'DATA_CHANGED' });
    clearInterval(timer);
    const opened = await openSource(path, folder);
    expect(opened.extracted.profile.parts[0]?.tables[0]?.rows).toBe(n);
    await opened.close();
  }, 60_000);
});

describe('a watched folder', () => {
  it('is looked at after the last change, also when the system lost events', async () => {
    const noticedAtMs: number[] = [];
    const listener = {
      noticed: () => void noticedAtMs.push(performance.now()),
      failed: () => undefined,
    };
    mkdirSync(join(folder, 'sub'));
    const paths = ['a.csv', 'b.csv', 'sub/c.csv'].map((name) => join(folder, name));
    for (const path of paths) writeFileSync(path, 'a\n1\n');
    const source = await watchSource(folder, 'uai', listener);
    await sleep(1_500);
    // More than the queue of the system holds (inotify: 16 384), while nobody takes events off it.
    const old = new Date(1e12);
    for (let i = 0; i < 40_000; i++) utimesSync(paths[i % 3] as string, old, new Date(1e12 + i));
    // Nothing may be left of the events of this one.
    writeFileSync(join(folder, 'sub/late.csv'), 'a\n2\n');
    const changedMs = performance.now();
    await sleep(6_500);
    await source.stop();
    expect(noticedAtMs.some((at) => at > changedMs)).toBe(true);
  }, 60_000);
});

describe('files of every format with bytes changed', () => {
  it('end as what could be read or as a named fault, and take nothing with them', async () => {
    const database = new DatabaseSync(join(folder, 'whole.db'));
    database.exec(`CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 'x'), (2, 'y')`);
    database.close();
    const whole: Record<string, Uint8Array> = {
      'a.xlsx': workbook(sheetXml()),
      'a.pdf': Buffer.from(pdf()),
      'a.tiff': tiff(),
      'a.db': readFileSync(join(folder, 'whole.db')),
      'a.json': Buffer.from('[{"a":1,"b":{"c":[1,2]}},{"a":2}]'),
      'a.geojson': Buffer.from(
        '{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"n":1},"geometry":{"type":"Point","coordinates":[1,2]}}]}',
      ),
      'a.csv': Buffer.from('a,b\n1,"x ""y"""\n2,\n'),
    };
    rmSync(join(folder, 'whole.db'));
    const randomness = createSeededRandomness(6);
    let files = 0;
    for (const [name, bytes] of Object.entries(whole))
      for (let i = 0; i < MUTATIONS; i++) {
        const mutant = Uint8Array.from(bytes);
        for (let k = 0; k <= i % 4; k++)
          mutant[randomness.below(mutant.length)] = randomness.below(256);
        const cut = i % 5 === 0 ? randomness.below(mutant.length) : mutant.length;
        writeFileSync(join(folder, `${i}-${name}`), mutant.subarray(0, cut));
        files++;
      }
    const opened = await openSource(folder, tmpdir());
    const { profile } = opened.extracted;
    expect(profile.files).toBe(files);
    expect(profile.faults.map(({ kind }) => kind)).toContain('unreadable-file');
    await opened.close();
  }, 120_000);

  it.each(['parquet', 'arrow'])(
    '%s by itself: what can be read or a named fault, soon and in little memory',
    async (format) => {
      const table = tableFromArrays({ n: [1, null, 3], name: ['x', 'y', 'x'] });
      const arrow = tableToIPC(table, { format: 'file' }) ?? new Uint8Array();
      const whole = format === 'parquet' ? parquet() : arrow;
      const limits = { ...EXTRACTION_LIMITS, fileMs: 5_000, memoryBytes: 512 * MIB };
      const randomness = createSeededRandomness(8);
      const seen = new Map<string, number>();
      for (let i = 0; i < 100; i++) {
        const path = join(folder, `${i}.${format}`);
        writeFileSync(path, mutated(whole, randomness));
        const beganMs = performance.now();
        const outcome = await extractSource(path, limits).then(
          ({ profile }) => (profile.parts[0]?.tables[0]?.rows ?? 0) <= 100 && 'read',
          (error: unknown) => isSeeleError(error) && error.code,
        );
        expect(performance.now() - beganMs).toBeLessThan(30_000);
        seen.set(String(outcome), (seen.get(String(outcome)) ?? 0) + 1);
      }
      const known = ['read', 'DATA_BROKEN', 'DATA_LIMIT', 'DATA_EXTRACTION'];
      expect(known).toEqual(expect.arrayContaining([...seen.keys()]));
      expect(seen.get('DATA_BROKEN')).toBeGreaterThan(20);
    },
    900_000,
  );

  it('SQLite that says it is enormous, or has views and triggers that never end, is looked at all the same', async () => {
    const path = join(folder, 'a.db');
    const database = new DatabaseSync(path);
    database.exec(`
      CREATE TABLE t (a, b GENERATED ALWAYS AS (a || 'x')); INSERT INTO t VALUES (1), (2);
      CREATE VIEW endless AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT * FROM n;
      CREATE VIEW v1 AS SELECT * FROM endless, endless; CREATE VIEW v2 AS SELECT * FROM v1, v1;
      CREATE TRIGGER again AFTER INSERT ON t BEGIN INSERT INTO t VALUES (new.a + 1); END;
      CREATE TABLE c (a);`);
    database.close();
    const read = await extractSource(path);
    expect(read.profile.parts[0]?.tables.map(({ name, rows }) => [name, rows])).toEqual([
      ['c', 0],
      ['t', 2],
    ]);
    const bytes = readFileSync(path);
    bytes.writeUInt32BE(0x7fffffff, 28); // pages of the file, as its header says
    writeFileSync(path, bytes);
    await extractSource(path).then(
      ({ profile }) => expect(profile.parts[0]?.tables).toHaveLength(2),
      (error: unknown) => expect(error).toMatchObject({ code: 'DATA_BROKEN' }),
    );
  }, 60_000);

  it('a field of a hundred megabytes, quoted and not', async () => {
    for (const quote of ['', '"']) {
      const path = join(folder, 'field.csv');
      writeFileSync(path, `a,b\n1,${quote}`);
      for (let i = 0; i < 100; i++) appendFileSync(path, Buffer.alloc(MIB, 'x'));
      appendFileSync(path, `${quote}\n2,y\n`);
      const outcome = await openSource(path, folder).then(
        async (opened) => {
          await opened.close();
          return opened.extracted.profile.faults.length > 0 ? 'with faults' : 'whole';
        },
        (error: unknown) => (error as { code: string }).code,
      );
      expect(['whole', 'with faults', 'DATA_LIMIT', 'DATA_BROKEN']).toContain(outcome);
    }
  }, 120_000);
});

describe('documents made to exhaust their reader', () => {
  const huge = 'x'.repeat(100 * MIB);
  const formats: readonly RdfFormat[] = ['turtle', 'trig', 'n-quads'];

  it.each(formats)('a text of 100 MB in %s is refused before it is parsed', (format) => {
    const cpu = process.cpuUsage();
    expect(() => readRdf(`<a:a> <a:b> "${huge}" .`, { format })).toThrow(
      expect.objectContaining({ code: 'MDDS_LIMIT' }),
    );
    const { user, system } = process.cpuUsage(cpu);
    expect((user + system) / 1e6).toBeLessThan(3);
  });

  it('a text of 100 MB, lists nested a hundred thousand deep, and contexts that name themselves, in JSON-LD', async () => {
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    for (const text of [
      `{"@id":"a:a","a:b":"${huge}"}`,
      `{"@id":"a:a","a:b":${deep}}`,
      `{"@context":${deep}}`,
      '{"@context":"https://example.org/context.jsonld","@id":"a:a"}',
      '{"@context":{"@import":"http://127.0.0.1:1/x"},"@id":"a:a"}',
      '{"@context":{"@vocab":"a:","a":"b","b":"a"},"a":1}',
    ])
      await expect(readJsonLd(text, {})).rejects.toMatchObject({
        code: expect.stringMatching(/^MDDS_/),
      });
  });

  it('nodes without names, nested a hundred thousand deep', () => {
    const deep = 100_000;
    for (const [open, close] of [
      ['[ <a:b> ', ' ]'],
      ['( ', ' )'],
    ] as const)
      expect(() =>
        readRdf(`<a:a> <a:b> ${open.repeat(deep)} 1 ${close.repeat(deep)} .`, { format: 'turtle' }),
      ).toThrow(expect.objectContaining({ code: 'MDDS_LIMIT' }));
  });
});
