import { createSeededRandomness } from '#libs/kernel';
import type { CatalogueEntry } from '#libs/mdds';
import { CatalogueReader } from './catalogue-reader.ts';
import { openCatalogueTables } from './catalogue-tables.ts';
import { CatalogueWriter } from './catalogue-writer.ts';
import type { CatalogueSearch } from './search-query.ts';

const DATASETS = 300;
const VOCABULARY = 24;
const randomness = createSeededRandomness(6);
/** Some words in nearly all datasets, some in few. */
const word = () => `w${Math.floor(VOCABULARY ** (randomness.below(1_000) / 1_000)).toString(36)}x`;
const words = (count: number) => Array.from({ length: count }, word);
const oneOf = <T>(values: readonly T[]): T => values[randomness.below(values.length)] as T;
const THEMES = ['https://example.org/a', 'https://example.org/b'];
const MEDIA = ['text/csv', 'application/json'];
const DAYS = ['2026-01-01', '2026-02-01', '2026-03-01', '2026-04-01'];

function randomEntry(i: number): CatalogueEntry {
  const [start, end] = [oneOf(DAYS), oneOf(DAYS)].toSorted() as [string, string];
  const [west, south] = [randomness.below(20), randomness.below(20)];
  return {
    uai: `chain://c/o/d${i}`,
    ...{ title: words(3).join(' '), description: words(12).join(' '), version: '1.0.0' },
    modified: new Date(1.7e12 + randomness.below(1_000) * 1_000).toISOString(),
    publisher: { iri: 'chain://c/o', name: word() },
    ...{ keywords: words(1), themes: [{ iri: oneOf(THEMES) }], columns: [{ name: word() }] },
    ...{ mediaTypes: [oneOf(MEDIA)], mechanisms: ['Ipfs'] },
    ...(randomness.below(4) > 0 && { price: String(randomness.below(100) / 10) }),
    ...(randomness.below(4) > 0 && { temporal: { start, end } }),
    ...(randomness.below(4) > 0 && { spatial: { west, south, east: west + 3, north: south + 3 } }),
  };
}

/** What FTS5 is told of a dataset, in the order of its columns. */
const textsOf = (entry: CatalogueEntry): string[][] => [
  entry.title.split(' '),
  entry.description.split(' '),
  [...entry.keywords],
  entry.columns.map(({ name }) => name),
  [entry.publisher.name ?? ''],
];
const WEIGHTS = [10, 3, 5, 4, 2];

/** How often a word, a beginning or a phrase stands in the columns, weighted and not. */
function occurrences(entry: CatalogueEntry, term: string): { weighted: number; plain: number } {
  const wanted = term.replaceAll('"', '').split(' ');
  const isPrefix = term.endsWith('*');
  const fits = (given: string | undefined, want: string) =>
    isPrefix ? given?.startsWith(want.slice(0, -1)) === true : given === want;
  const counts = textsOf(entry).map(
    (texts) => texts.filter((_, at) => wanted.every((want, k) => fits(texts[at + k], want))).length,
  );
  const sum = (weights: readonly number[]) =>
    counts.reduce((total, count, i) => total + count * (weights[i] ?? 0), 0);
  return { weighted: sum(WEIGHTS), plain: sum([1, 1, 1, 1, 1]) };
}

const termsIn = (text = '') => text.match(/"[^"]*"|\S+/g) ?? [];

function matches(entry: CatalogueEntry, search: CatalogueSearch): boolean {
  const { facets = {}, maxPrice, place, from, to } = search;
  const { temporal, spatial } = entry;
  const iris = entry.themes.map(({ iri }) => iri);
  const within = spatial ?? { west: Infinity, east: -Infinity, south: 0, north: 0 };
  return (
    termsIn(search.text).every((term) => occurrences(entry, term).plain > 0) &&
    (facets.theme ?? []).every((value) => iris.includes(value)) &&
    (facets.mediaType ?? []).every((value) => entry.mediaTypes.includes(value)) &&
    (maxPrice === undefined || (entry.price !== undefined && Number(entry.price) <= maxPrice)) &&
    (from === undefined || (temporal !== undefined && (temporal.end ?? '') >= from)) &&
    (to === undefined || (temporal !== undefined && (temporal.start ?? '') <= to)) &&
    (place === undefined || (within.west <= place.east && within.east >= place.west)) &&
    (place === undefined || (within.south <= place.north && within.north >= place.south))
  );
}

/** As sqlite.org/fts5.html defines bm25: smaller is better. */
function scoresOf(all: readonly CatalogueEntry[], text: string): Map<CatalogueEntry, number> {
  const lengths = new Map(
    // One word more for each facet: keyword, theme, column, media type, mechanism, publisher.
    all.map((entry) => [entry, textsOf(entry).flat().length + 6]),
  );
  const average = [...lengths.values()].reduce((a, b) => a + b, 0) / all.length;
  const scores = new Map<CatalogueEntry, number>();
  for (const term of new Set(termsIn(text))) {
    const having = all.filter((entry) => occurrences(entry, term).plain > 0).length;
    const idf = Math.max(1e-6, Math.log((all.length - having + 0.5) / (having + 0.5)));
    for (const entry of all) {
      const { weighted } = occurrences(entry, term);
      const norm = 1.2 * (0.25 + (0.75 * (lengths.get(entry) ?? 0)) / average);
      const score = (idf * weighted * 2.2) / (weighted + norm);
      scores.set(entry, (scores.get(entry) ?? 0) - score);
    }
  }
  return scores;
}

function randomSearch(): CatalogueSearch {
  const term = () =>
    oneOf([word(), word(), word(), `w${oneOf(['1', 'a', 'b'])}*`, `"${words(2).join(' ')}"`]);
  const [from, to] = [oneOf(DAYS), oneOf(DAYS)].toSorted() as [string, string];
  const [west, south] = [randomness.below(20), randomness.below(20)];
  const maybe = <T extends object>(part: T) => (randomness.below(4) === 0 ? part : {});
  return {
    ...(randomness.below(3) > 0 && {
      text: Array.from({ length: 1 + randomness.below(3) }, term).join(' '),
    }),
    ...maybe({ facets: { theme: [oneOf(THEMES)], mediaType: [oneOf(MEDIA)] } }),
    ...maybe({ maxPrice: randomness.below(100) / 10 }),
    ...maybe({ from }),
    ...maybe({ to }),
    ...maybe({ place: { west, south, east: west + 4, north: south + 4 } }),
  };
}

function filled(entries: readonly CatalogueEntry[]): CatalogueReader {
  const database = openCatalogueTables(':memory:', 'genesis');
  const writer = new CatalogueWriter(database);
  writer.inTransaction(() => {
    for (const [i, entry] of entries.entries()) writer.putEntry(i + 1, entry);
  });
  return new CatalogueReader(database);
}

describe('a search beside one that looks at every dataset', () => {
  const all = Array.from({ length: DATASETS }, (_, i) => randomEntry(i));
  const reader = filled(all);

  it('finds the same, counts the same, best matches first', () => {
    let orderChecked = 0;
    for (let i = 0; i < 120; i++) {
      const search = randomSearch();
      const expected = all.filter((entry) => matches(entry, search));
      const pages = [0, 100, 200].flatMap(
        (offset) => reader.search({ ...search, limit: 100, offset }).entries,
      );
      const uais = (entries: readonly CatalogueEntry[]) => entries.map(({ uai }) => uai);
      expect({ search, found: uais(pages).toSorted() }).toEqual({
        search,
        found: uais(expected).toSorted(),
      });
      const { found, atLeast, facets } = reader.search({ ...search, limit: 0, withFacets: true });
      expect({ found, atLeast }).toEqual({ found: expected.length, atLeast: false });
      for (const { value, datasets } of facets?.mediaType ?? [])
        expect(datasets).toBe(expected.filter((each) => each.mediaTypes.includes(value)).length);
      const scores = scoresOf(all, search.text ?? '');
      const byUai = new Map(all.map((entry) => [entry.uai, scores.get(entry) ?? 0]));
      const ordered = pages.map(({ uai }) => byUai.get(uai) ?? 0);
      if (search.text !== undefined && ordered.length > 1) orderChecked++;
      const isOrdered = ordered.every((score, at) => score >= (ordered[at - 1] ?? score) - 1e-9);
      expect({ search, isOrdered }).toEqual({ search, isOrdered: true });
      if (search.text === undefined && search.facets === undefined)
        expect(pages.map(({ modified }) => modified)).toEqual(
          pages.map(({ modified }) => modified).toSorted((a, b) => (a < b ? 1 : -1)),
        );
    }
    expect(orderChecked).toBeGreaterThan(25);
  });

  it('texts cannot pass for facets', () => {
    const [first] = all as [CatalogueEntry];
    const hidden = filled([{ ...first, title: 'a \u{E000}0123456789abcdef b' }]);
    expect(hidden.search({ text: '\u{E000}0123456789abcdef' }).found).toBe(1);
    expect(reader.search({ text: '0123456789abcdef' }).found).toBe(0);
    expect(reader.search({ facets: { theme: ['none'] } }).found).toBe(0);
  });
});

describe('a search with more results than are counted', () => {
  const many = Array.from({ length: 2_200 }, (_, i) => ({
    ...randomEntry(i),
    title: i % 10 === 0 ? 'common title' : 'title',
    description: 'common text',
    price: String(i % 2),
  }));
  const reader = filled(many);
  const number = ({ uai }: CatalogueEntry) => Number(uai.slice('chain://c/o/d'.length));

  it('says "at least", and shows the newest first, with the words in the title before', () => {
    const { found, atLeast, entries } = reader.search({ text: 'common', limit: 100 });
    expect({ found, atLeast }).toEqual({ found: 1_000, atLeast: true });
    // Of the 1,000 indexed last, a hundred have it in the title.
    const titled = Array.from({ length: 100 }, (_, i) => 2_190 - 10 * i);
    expect(entries.map(number)).toEqual(titled);
    const next = reader.search({ text: 'common', offset: 100, limit: 2 });
    expect(next.entries.map(number)).toEqual([2_199, 2_198]);
  });

  it('looks at the newest of them for a price, and says so', () => {
    const { found, atLeast, entries } = reader.search({ text: 'common', maxPrice: 0, limit: 100 });
    expect({ found, atLeast }).toEqual({ found: 1_000, atLeast: true });
    expect(entries.every(({ price }) => price === '0')).toBe(true);
    expect(reader.search({ maxPrice: 0 })).toMatchObject({ found: 1_000, atLeast: true });
    expect(reader.search({})).toMatchObject({ found: 1_000, atLeast: true });
    const place = { west: 0, south: 0, east: 1, north: 1 };
    const inPlace = many.filter((entry) => matches(entry, { place })).length;
    expect(reader.search({ place })).toMatchObject({ found: inPlace, atLeast: false });
  });
});
