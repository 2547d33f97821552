import { type DatasetRecord, type VersionRecord } from '#contracts';
import { formatAccount, utf8 } from '#libs/kernel';
import {
  type CatalogueEntry,
  type DatasetDescription,
  createShapeValidator,
  describeDataset,
  hashOfLines,
  readRdf,
  sortedLines,
  writeRdf,
} from '#libs/mdds';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type AdmissionParts, admitVersion, uaiOf } from './admit-version.ts';
import { CatalogueAnswers } from './catalogue-answers.ts';
import { CatalogueReader } from './catalogue-reader.ts';
import { openCatalogueTables } from './catalogue-tables.ts';
import { CatalogueWriter } from './catalogue-writer.ts';
import { termsOf } from './search-query.ts';

const OWNER = 'ab'.repeat(32);
const CHAIN = 'health.clinic';
const shapes = createShapeValidator(
  readRdf(readFileSync(join(import.meta.dirname, '../../../../schemas/shapes.ttl'), 'utf8'), {
    format: 'turtle',
  }),
);

const dataset = (path: string, change: Partial<DatasetRecord> = {}): DatasetRecord => ({
  ...{ owner: OWNER, path, latest: 1, grantEpoch: 0, withdrawn: false, ...change },
});

const version = (path: string, sequence: number, change: Partial<VersionRecord> = {}) =>
  ({
    ...{ owner: OWNER, path, sequence, version: `1.${sequence}.0` },
    document: { kind: 'inline', bytes: new Uint8Array() },
    ...{ publicHash: 'aa'.repeat(32), completeHash: 'bb'.repeat(32), quadRoot: 'cc'.repeat(32) },
    ...{ quadCount: 9, rollout: [], height: 5, timeUs: 6, ...change },
  }) as VersionRecord;

const entry = (path: string, change: Partial<CatalogueEntry> = {}): CatalogueEntry => ({
  uai: uaiOf(CHAIN, { owner: OWNER, path }),
  ...{ title: path, description: '', version: '1.0.0', modified: '2026-07-01T08:00:00Z' },
  publisher: { iri: 'chain://health.clinic/clinic', name: 'Clinic' },
  ...{ keywords: [], themes: [], columns: [], mediaTypes: ['text/csv'], mechanisms: ['Ipfs'] },
  ...change,
});

function setUp() {
  const database = openCatalogueTables(':memory:', 'genesis');
  const writer = new CatalogueWriter(database);
  const answers = new CatalogueAnswers(new CatalogueReader(database));
  /** A dataset with one admitted version. */
  const put = (path: string, change: Partial<CatalogueEntry> = {}) => {
    writer.putDataset(uaiOf(CHAIN, { owner: OWNER, path }), dataset(path), 10);
    writer.putVersion(version(path, 1), 10);
    writer.admit(
      { owner: OWNER, path, sequence: 1 },
      entry(path, change),
      utf8('<a:b> <a:c> "d" .\n'),
      10,
    );
  };
  const found = (search: Parameters<CatalogueAnswers['search']>[0]) =>
    answers.search(search).entries.map(({ uai }) => uai.slice(uai.lastIndexOf('/') + 1));
  return { writer, answers, put, found };
}

describe('catalogue search', () => {
  const { put, found, answers } = setUp();
  put('claims', {
    title: 'Clinic claims',
    description: 'Daily visits in Zürich',
    keywords: ['visits'],
    columns: [{ name: 'icd10' }],
    price: '12.5',
    temporal: { start: '2026-01-01', end: '2026-06-30' },
    spatial: { west: 5.9, south: 47.2, east: 15.1, north: 55.1 },
  });
  put('rain', {
    title: 'Rain and visits',
    price: '3',
    purpose: 'research',
    temporal: { start: '2026-05-01' },
    spatial: { west: 100, south: -10, east: 110, north: 0 },
    mediaTypes: ['application/json'],
  });
  put('plain', { modified: '2026-08-01T00:00:00Z' });

  it.each([
    ['a word', { text: 'claims' }, ['claims']],
    ['all words', { text: 'claims visits' }, ['claims']],
    ['without accents or case', { text: 'ZURICH' }, ['claims']],
    ['the beginning of a word', { text: 'cli*' }, ['claims', 'rain', 'plain']],
    ['a phrase', { text: '"rain and"' }, ['rain']],
    ['no words in that order', { text: '"and rain"' }, []],
    ['a column', { text: 'icd10' }, ['claims']],
    ['what looks like syntax', { text: 'claims NOT visits' }, []],
    ['marks alone: all of them', { text: '" - *' }, ['plain', 'claims', 'rain']],
    ['a facet', { facets: { column: ['icd10'] } }, ['claims']],
    ['a facet with words', { text: 'visits', facets: { mediaType: ['text/csv'] } }, ['claims']],
    ['two facets', { facets: { mediaType: ['text/csv'], keyword: ['visits'] } }, ['claims']],
    ['a facet that nothing has', { facets: { keyword: ['none'] } }, []],
    ['a price', { maxPrice: 5 }, ['rain']],
    ['a price and words', { text: 'visits', maxPrice: 20 }, ['rain', 'claims']],
    ['a place', { place: { west: 8, south: 50, east: 9, north: 51 } }, ['claims']],
    ['a time before', { to: '2026-04-30' }, ['claims']],
    ['a time after, open at its end', { from: '2030-01-01' }, ['rain']],
    ['a page', { limit: 1, offset: 1 }, ['claims']],
  ])('finds by %s', (_what, search, expected) => {
    expect(new Set(found(search))).toEqual(new Set(expected));
  });

  it('words in the title come before the same words elsewhere; without words the newest comes first', () => {
    expect(found({ text: 'visits' })).toEqual(['rain', 'claims']);
    expect(found({})[0]).toBe('plain');
  });

  it('counts facets of what was found', () => {
    const { found: n, facets } = answers.search({ text: 'visits', withFacets: true });
    expect(n).toBe(2);
    expect(facets?.mediaType).toEqual([
      { value: 'application/json', datasets: 1 },
      { value: 'text/csv', datasets: 1 },
    ]);
    expect(facets?.purpose).toEqual([{ value: 'research', datasets: 1 }]);
  });

  it('refuses too many words, long ones, and places that are none', () => {
    expect(() => termsOf(Array.from({ length: 17 }, (_, i) => `w${i}`).join(' '))).toThrow('words');
    expect(() => termsOf('x'.repeat(65))).toThrow('characters');
    const place = { west: 9, south: 0, east: 8, north: Number.NaN };
    expect(() => answers.search({ place })).toThrow('west,south,east,north');
  });
});

describe('catalogue versions', () => {
  const name = { owner: OWNER, path: 'claims' };
  const uai = uaiOf(CHAIN, name);
  const rollout = [
    { percent: 30, activationHeight: 20 },
    { percent: 100, activationHeight: 30 },
  ];

  function twoVersions() {
    const rig = setUp();
    rig.put('claims', { title: 'old words' });
    rig.writer.putDataset(uai, dataset('claims', { latest: 2 }), 12);
    rig.writer.putVersion(version('claims', 2, { rollout, fallback: 1 }), 12);
    rig.writer.admit(
      { ...name, sequence: 2 },
      entry('claims', { title: 'new words' }),
      utf8('<a:b> <a:c> "e" .\n'),
      12,
    );
    return rig;
  }

  it('search finds what every reader takes, and changes at the height of the last step', () => {
    const { writer, found } = twoVersions();
    for (const [height, word] of [
      [12, 'old'],
      [20, 'old'],
      [29, 'old'],
      [30, 'new'],
    ] as const) {
      writer.advance(height);
      expect(found({ text: word })).toEqual(['claims']);
      expect(found({ text: word === 'old' ? 'new' : 'old' })).toEqual([]);
    }
  });

  it('a share of the readers takes the new one between, always the same', () => {
    const { writer, answers } = twoVersions();
    writer.advance(20);
    const readers = Array.from({ length: 200 }, (_, i) => `reader-${i}`);
    const taking = () =>
      readers.filter((reader) => answers.show(uai, { reader }).version.record.sequence === 2);
    const early = taking();
    expect(early.length).toBeGreaterThan(30);
    expect(early.length).toBeLessThan(90);
    writer.advance(30);
    expect(taking()).toEqual(readers);
  });

  it('a rollback to 0 percent sends all back', () => {
    const { writer, found, answers } = twoVersions();
    const back = [...rollout, { percent: 0, activationHeight: 40 }];
    writer.putVersion(version('claims', 2, { rollout: back, fallback: 1 }), 33);
    writer.advance(39);
    expect(found({ text: 'new' })).toEqual(['claims']);
    writer.advance(40);
    expect(found({ text: 'old' })).toEqual(['claims']);
    expect(answers.show(uai, { sequence: 2 }).version.entry?.title).toBe('new words');
    expect(answers.versions(uai).map(({ record }) => record.sequence)).toEqual([2, 1]);
  });

  it('differences are lines; unknown versions and datasets are said to be so', async () => {
    const { answers } = twoVersions();
    expect(answers.diff(uai, undefined, undefined)).toEqual({
      ...{ from: 1, to: 2, added: ['<a:b> <a:c> "e" .'], removed: ['<a:b> <a:c> "d" .'] },
    });
    expect(() => answers.diff(uai, 1, 3)).toThrow('no version 3');
    expect(() => answers.diff(uai, undefined, 1)).toThrow('nothing before version 1');
    expect(() => answers.show(`${uai}x`, {})).toThrow('there is no dataset');
    expect(await answers.document(uai, { sequence: 1 }, 'n-quads')).toBe('<a:b> <a:c> "d" .\n');
  });

  it('what is withdrawn is not found, and is shown to who asks for it', () => {
    const { writer, answers, found } = twoVersions();
    writer.putDataset(uai, dataset('claims', { latest: 2, withdrawn: true }), 13);
    expect(found({})).toEqual([]);
    expect(answers.show(uai, {}).dataset.withdrawn).toBe(true);
    writer.putDataset(uai, dataset('claims', { latest: 2 }), 14);
    expect(found({})).toEqual(['claims']);
  });

  it('a version whose document is refused leaves the one before in place, and says why', () => {
    const { writer, answers, found } = setUp();
    writer.putDataset(uai, dataset('claims'), 10);
    writer.putVersion(version('claims', 1), 10);
    expect(writer.missing(0, 9)).toHaveLength(1);
    writer.begin({ ...name, sequence: 1 }, 1_000);
    expect(writer.missing(1_999, 9)).toEqual([]);
    expect(writer.missing(2_000, 9)).toHaveLength(1);
    writer.refuse({ ...name, sequence: 1 }, 'the hash differs');
    expect(writer.missing(1e12, 9)).toEqual([]);
    expect(() => answers.show(uai, {})).toThrow('the hash differs');
    expect(answers.status()).toMatchObject({ datasets: 0, problems: 1 });
    expect(found({})).toEqual([]);
  });
});

describe('admitVersion', () => {
  const description: DatasetDescription = {
    uai: `chain://${CHAIN}/${formatAccount(OWNER)}/ds/claims`,
    ...{
      title: 'Claims',
      description: 'Daily',
      version: '1.4.0',
      modified: '2026-07-01T08:00:00Z',
    },
    publisher: { iri: `chain://${CHAIN}/${formatAccount(OWNER)}`, name: 'Clinic' },
    offer: { price: '1' },
    distributions: [{ id: 'csv', mediaType: 'text/csv', mechanism: 'on-chain-metadata-only' }],
  };
  const parts: AdmissionParts = {
    chainName: CHAIN,
    shapes,
    resolveName: (name) => Promise.resolve(name === 'clinic' ? OWNER : undefined),
  };

  async function described(change: Partial<DatasetDescription> = {}) {
    const made = await describeDataset({ ...description, ...change }, new Uint8Array(32).fill(3));
    const record = version('ds/claims', 1, {
      version: '1.4.0',
      publicHash: hashOfLines(sortedLines(made.public)),
      completeHash: made.canonicalHash,
      quadRoot: made.committed.root,
      quadCount: made.committed.commitment.size,
    });
    return { record, document: utf8(writeRdf(made.public, 'n-quads')) };
  }

  it('takes what the owner recorded, under its account or its name', async () => {
    for (const uai of [description.uai, `chain://${CHAIN}/clinic/ds/claims`]) {
      const { record, document } = await described({ uai });
      const outcome = await admitVersion(parts, record, document);
      expect(outcome).toMatchObject({ admitted: true, entry: { uai, title: 'Claims' } });
    }
  });

  it.each([
    ['another document', { publicHash: 'dd'.repeat(32) }, 'hash of the document'],
    ['another complete directory', { completeHash: 'dd'.repeat(32) }, 'complete directory'],
    ['another commitment', { quadCount: 1 }, 'commitment'],
    ['another version', { version: '9' }, 'the version'],
    ['another path', { path: 'ds/other' }, 'the dataset'],
    ['another owner', { owner: 'cd'.repeat(32) }, 'the dataset'],
  ])('refuses %s', async (_what, change, problem) => {
    const { record, document } = await described();
    const outcome = await admitVersion(parts, { ...record, ...change }, document);
    expect(outcome).toMatchObject({ admitted: false, problem: expect.stringContaining(problem) });
  });

  it('refuses a name that stands for somebody else, and documents that are none', async () => {
    const { record, document } = await described({ uai: `chain://${CHAIN}/other-one/ds/claims` });
    expect(await admitVersion(parts, record, document)).toMatchObject({ admitted: false });
    for (const text of ['', 'no rdf', '<a> <b> <c> .'])
      expect(await admitVersion(parts, record, utf8(text))).toMatchObject({ admitted: false });
  });
});
