import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { createSeededRandomness } from '#libs/kernel';
import { mutated, parquet } from '../../../../test/support/sample-files.ts';
import { useSampleFolder } from '../../../../test/support/sample-folder.ts';
import { DistinctCounter } from '../profile/distinct-counter.ts';
import { TableProfiler } from '../profile/table-profiler.ts';
import { kindOfText } from '../profile/value-kinds.ts';
import { extractSource } from './extract-source.ts';
import { EXTRACTION_LIMITS } from './extraction-process.ts';
import { listFolder } from './folder.ts';
import { parseTableUrl } from './postgres.ts';
import { FaultList } from './source-profile.ts';
import { isOfSystem, unreadable } from './unreadable.ts';

const sample = useSampleFolder();
const file = sample.file;

describe('folders', () => {
  it('are walked without following links', async () => {
    mkdirSync(join(sample.path, 'sub'));
    file('b.csv', 'a\n1\n');
    file('sub/a.csv', 'a\n2\n');
    file('.hidden', '');
    symlinkSync('/etc/passwd', join(sample.path, 'passwd.csv'));
    symlinkSync('..', join(sample.path, 'sub', 'up'));
    const faults = new FaultList();
    const files = await listFolder(sample.path, faults);
    expect(files.map(({ name }) => name)).toEqual(['b.csv', 'sub/a.csv']);
    const [links] = faults.list();
    expect(links?.places.toSorted()).toEqual(['passwd.csv', 'sub/up']);
  });

  it('that may not be read are refused by name, and so is a file in them', async () => {
    const path = file('a.csv', 'a\n');
    const refused = (at: string, reason: string) =>
      expect.objectContaining({ code: 'DATA_SOURCE', message: `cannot read ${at} (${reason})` });
    await expect(listFolder(path, new FaultList())).rejects.toEqual(refused(path, 'ENOTDIR'));
    // As the superuser nothing is forbidden: what the system would say.
    const said = Object.assign(new Error('EACCES: …'), { code: 'EACCES', syscall: 'open', path });
    expect([isOfSystem(said), isOfSystem(new Error('broken'))]).toEqual([true, false]);
    expect(unreadable(said, '')).toEqual(refused(path, 'EACCES'));
  });

  it('in a process of its own: alike tables are one; a broken file is reported; a link is refused', async () => {
    file('1.csv', 'id,lat,lon\n1,10,20\n2,11,21\n');
    file('2.csv', 'id,lat,lon\n3,12,22\n');
    file('x.json', '[{"z":1}]');
    file('broken.xlsx', 'no');
    const { profile } = await extractSource(sample.path);
    expect(profile).toMatchObject({ kind: 'folder', files: 4 });
    const csv = profile.parts.find(({ id }) => id === 'csv');
    expect(csv).toMatchObject({ files: 2 });
    expect(csv?.tables[0]).toMatchObject({ rows: 3 });
    expect(profile.spatial).toEqual({ west: 20, south: 10, east: 22, north: 12 });
    expect(profile.faults.map(({ kind }) => kind)).toEqual(['unreadable-file']);
  });
});

describe('the process that looks into files', () => {
  it.each([
    ['time', { timeoutMs: 1 }],
    ['time for a file', { fileMs: 1 }],
    ['memory', { memoryBytes: 1 }],
  ])('is ended when it takes more %s than it may', async (_what, limits) => {
    const path = file('a.csv', 'a,b\n1,2\n');
    await expect(extractSource(path, { ...EXTRACTION_LIMITS, ...limits })).rejects.toMatchObject({
      code: 'DATA_EXTRACTION',
    });
  });

  it('goes on after Parquet files with bytes changed, cut off or said to be longer', async () => {
    const whole = parquet();
    const randomness = createSeededRandomness(1);
    const count = 120;
    for (let i = 0; i < count; i++) file(`${i}.parquet`, mutated(whole, randomness));
    const { profile } = await extractSource(sample.path);
    expect(profile.files).toBe(count);
    const [fault] = profile.faults.filter(({ kind }) => kind === 'unreadable-file');
    expect(fault?.count).toBeGreaterThan(count / 2);
  });

  it.each(['postgresql://', 'postgres://u@host/db?table=t', 'postgres://h/d#a.b.c'])(
    'is not asked about %s, which names no table',
    (url) => {
      expect(() => parseTableUrl(url)).toThrow(expect.objectContaining({ code: 'DATA_SOURCE' }));
    },
  );

  it('is not asked about links that lead nowhere', async () => {
    symlinkSync(join(sample.path, 'nothing'), join(sample.path, 'link'));
    await expect(extractSource(join(sample.path, 'link'))).rejects.toMatchObject({
      code: 'DATA_SOURCE',
    });
  });
});

describe('what a profile is made of', () => {
  it.each([
    ['12', 'integer'],
    ['-0.5', 'decimal'],
    ['1e9', 'decimal'],
    ['0012', 'string'],
    ['2026-02-30', 'string'],
    ['2024-02-29', 'date'],
    ['2026-07-01T08:00:00Z', 'dateTime'],
    ['2026-07-01 08:00', 'dateTime'],
    ['01/02/2026', 'string'],
    ['TRUE', 'boolean'],
    ['-', 'string'],
  ])('%s is %s', (text, kind) => {
    expect(kindOfText(text)).toBe(kind);
  });

  it('counts different values exactly while they are few, then within three per cent, in any order', () => {
    const counter = new DistinctCounter();
    for (let i = 0; i < 4_000; i++) for (let n = 0; n < 2; n++) counter.add(`v${i}`);
    expect([counter.count, counter.isEstimate]).toEqual([4_000, false]);
    const [up, down] = [new DistinctCounter(), new DistinctCounter()];
    for (let i = 0; i < 100_000; i++) up.add(`v${i}`);
    for (let i = 99_999; i >= 0; i--) (i % 2 === 0 ? down : counter).add(`v${i}`);
    down.merge(counter);
    expect(down.count).toBe(up.count);
    expect(Math.abs(up.count - 100_000)).toBeLessThan(5_000);
  });

  it('names of a thousand columns are enough', () => {
    const table = new TableProfiler('t');
    table.addObject(Object.fromEntries(Array.from({ length: 1_100 }, (_, i) => [`c${i}`, i])));
    expect(table.profile().columns).toHaveLength(1_000);
    expect(table.omitted.size).toBe(100);
  });
});
