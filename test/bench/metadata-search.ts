/**
 * How fast a catalogue finds datasets: words with and without facets, against a scan of the same
 * titles and descriptions by a SPARQL store (oxigraph, `CONTAINS`) in the same process.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '../support/started.ts';
import oxigraph from 'oxigraph';
import type { CatalogueEntry } from '#libs/mdds';
import type { SeededRandomness } from '#libs/kernel';
import { CatalogueReader } from '../../apps/market/src/catalogue/catalogue-reader.ts';
import { CatalogueWriter } from '../../apps/market/src/catalogue/catalogue-writer.ts';
import {
  openCatalogueReader,
  openCatalogueTables,
} from '../../apps/market/src/catalogue/catalogue-tables.ts';
import { cpuSeconds, percentile, significant } from './harness.ts';

const VOCABULARY = 20_000;
const QUERIES = 400;
const WARM_UP = 50;
const SCANS = 8;
const BATCH = 2_000;
const DCT = 'http://purl.org/dc/terms/';

/** A word of the vocabulary; common ones more often, as in texts (Zipf). */
function wordOf(randomness: SeededRandomness): string {
  const rank = Math.floor(VOCABULARY ** (randomness.below(1_000_000) / 1_000_000));
  return `w${rank.toString(36)}x`;
}

const wordsOf = (randomness: SeededRandomness, count: number): string =>
  Array.from({ length: count }, () => wordOf(randomness)).join(' ');

function entryOf(randomness: SeededRandomness, i: number): CatalogueEntry {
  const theme = `https://example.org/theme/${randomness.below(40)}`;
  const west = randomness.below(3_000) / 10 - 150;
  const south = randomness.below(1_500) / 10 - 75;
  return {
    uai: `chain://bench/acc${i % 997}/data/set-${i}`,
    title: wordsOf(randomness, 6),
    description: wordsOf(randomness, 40),
    version: '1.0.0',
    modified: new Date(1.7e12 + i * 1_000).toISOString(),
    publisher: { iri: `chain://bench/acc${i % 997}`, name: `Owner ${i % 997}` },
    keywords: [wordOf(randomness), wordOf(randomness)],
    themes: [{ iri: theme }],
    columns: Array.from({ length: 6 }, () => ({ name: wordOf(randomness), datatype: 'string' })),
    mediaTypes: [i % 3 === 0 ? 'text/csv' : 'application/vnd.apache.parquet'],
    mechanisms: ['Ipfs'],
    price: String(randomness.below(10_000) / 100),
    temporal: { start: '2026-01-01', end: '2026-06-30' },
    spatial: { west, south, east: west + 5, north: south + 5 },
  };
}

function fill(
  database: ReturnType<typeof openCatalogueTables>,
  entries: () => CatalogueEntry,
  count: number,
) {
  const writer = new CatalogueWriter(database);
  for (let first = 1; first <= count; first += BATCH)
    writer.inTransaction(() => {
      for (let id = first; id < Math.min(first + BATCH, count + 1); id++)
        writer.putEntry(id, entries());
    });
}

/** One search: two words, and for every second one a theme and a price besides. */
function searchOnce(reader: CatalogueReader, randomness: SeededRandomness, i: number): number {
  const theme = `https://example.org/theme/${randomness.below(40)}`;
  const filters = i % 2 === 0 ? {} : { facets: { theme: [theme] }, maxPrice: 50 };
  const text = i % 4 < 2 ? wordOf(randomness) : wordsOf(randomness, 2);
  const began = performance.now();
  reader.search({ text, ...filters });
  return performance.now() - began;
}

function scanOnce(store: oxigraph.Store, word: string): number {
  const began = performance.now();
  store.query(
    `SELECT ?s WHERE { ?s <${DCT}title> ?t ; <${DCT}description> ?d .
       FILTER (CONTAINS(?t, "${word}") || CONTAINS(?d, "${word}")) } LIMIT 20`,
  );
  return performance.now() - began;
}

/**
 * @param datasets how many the index holds
 * @param scanned how many of them the SPARQL store holds; its memory ends before 400 000
 */
export function benchSearch(
  randomness: SeededRandomness,
  { datasets, scanned, note }: { datasets: number; scanned: number; note(text: string): void },
) {
  const home = temporaryFolder('seele-bench-');
  try {
    const file = join(home, 'catalogue.sqlite');
    const filled = fillBoth(file, randomness, { datasets, scanned, note });
    const database = openCatalogueReader(file);
    const reader = new CatalogueReader(database);
    for (let i = 0; i < WARM_UP; i++) searchOnce(reader, randomness, i);
    const cpuBegan = cpuSeconds();
    const times = Array.from({ length: QUERIES }, (_, i) => searchOnce(reader, randomness, i));
    const cpuMs = ((cpuSeconds() - cpuBegan) * 1_000) / QUERIES;
    const scans = Array.from({ length: SCANS }, () =>
      scanOnce(filled.store, wordsOf(randomness, 1)),
    );
    const rare = Array.from({ length: SCANS }, (_, i) => scanOnce(filled.store, `rare${i}`));
    const scanMs = percentile([...scans, ...rare], 0.95);
    database.close();
    const p95 = percentile(times, 0.95);
    return {
      searchDatasets: datasets,
      searchMsP50: significant(percentile(times, 0.5), 3),
      searchMsP95: significant(p95, 3),
      searchCpuMsMean: significant(cpuMs, 3),
      searchIndexedPerSecond: Math.round(filled.indexedPerSecond),
      searchOxigraphDatasets: scanned,
      searchOxigraphScanMsP95: significant(scanMs, 3),
      searchVsOxigraph: significant(scanMs / p95, 3),
    };
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

function fillBoth(
  file: string,
  randomness: SeededRandomness,
  { datasets, scanned, note }: { datasets: number; scanned: number; note(text: string): void },
) {
  const database = openCatalogueTables(file, 'bench');
  const store = new oxigraph.Store();
  const terms: string[] = [];
  let made = 0;
  const began = performance.now();
  fill(
    database,
    () => {
      const entry = entryOf(randomness, made++);
      if (made <= scanned)
        terms.push(
          `<${entry.uai}> <${DCT}title> ${JSON.stringify(entry.title)} .`,
          `<${entry.uai}> <${DCT}description> ${JSON.stringify(entry.description)} .`,
        );
      if (made % 100_000 === 0) note(`${made} datasets indexed`);
      return entry;
    },
    datasets,
  );
  const indexedPerSecond = datasets / ((performance.now() - began) / 1_000);
  database.close();
  store.load(terms.join('\n'), { format: 'application/n-triples' });
  return { store, indexedPerSecond };
}
