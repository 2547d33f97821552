/** Reads the catalogue's index: search with facets, a dataset, its versions and their documents. */
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { inflateRawSync } from 'node:zlib';
import { type VersionRecord, versionRecord } from '#contracts';
import { type Bytes, decodeWith } from '#libs/kernel';
import { type CatalogueEntry, MDDS_LIMITS, rolloutBucket, percentAt } from '#libs/mdds';
import { FEED_PAGE_DATASETS } from './dcat-feed.ts';
import {
  type CatalogueSearch,
  FACETS,
  type Facet,
  SEARCH_LIMIT_MAX,
  SEARCH_OFFSET_MAX,
  type SearchPlan,
  planSearch,
} from './search-query.ts';

export interface FacetCount {
  readonly value: string;
  readonly datasets: number;
}

export interface SearchResult {
  readonly entries: readonly CatalogueEntry[];
  /** How many there are, counted up to `FACETED_MAX`. */
  readonly found: number;
  readonly facets?: Readonly<Record<Facet, readonly FacetCount[]>>;
}

export interface DatasetFacts {
  readonly owner: string;
  readonly path: string;
  readonly uai: string;
  readonly latest: number;
  readonly endpoint?: string;
  readonly grantEpoch: number;
  readonly withdrawn: boolean;
  /** The version that every reader takes. */
  readonly shown?: number;
}

export interface FeedDocument {
  /** Place in the feed. */
  readonly id: number;
  readonly uai: string;
  /** Canonical N-Quads. */
  readonly document: Bytes;
}

export interface VersionFacts {
  readonly record: VersionRecord;
  readonly entry?: CatalogueEntry;
  /** Why the document is not shown. */
  readonly problem?: string;
}

/** Above this many results counts and facets stop. */
export const FACETED_MAX = 1_000;
/**
 * FTS5 reads every place of a word to weigh it. Words in more datasets than this are not weighed; when
 * no other is asked for, the datasets indexed last are looked at, more of them with a price, place or
 * time besides.
 */
const RANKED_MAX = 1_000;
const FILTERED_MAX = 2_000;
/** A word in more datasets says nothing: it is left out beside others. */
const EVERYDAY_MIN = 20_000;
type Frequency = 'rare' | 'common' | 'everyday';
const FREQUENCIES_MAX = 10_000;
const FACET_VALUES = 12;
const FEED_PAGE_BYTES = 4 * 1024 * 1024;
const DEFAULT_LIMIT = 20;
const BM25 = 'bm25(words, 10.0, 3.0, 5.0, 4.0, 2.0)';

const SEARCHED = '{title description keywords columns publisher}';

/** Which datasets are meant, and in what order. */
interface Source {
  /** From `FROM` on; `e` is the entry. */
  readonly sql: string;
  readonly values: readonly SQLInputValue[];
  readonly order: string;
  readonly orderValues: readonly SQLInputValue[];
}

interface Found {
  /** At least those that are shown and counted. */
  readonly ids: readonly number[];
  readonly found: number;
}

const allOf = (expressions: readonly string[]): string => expressions.join(' AND ');

const byDate = ({ where, values }: SearchPlan): Source => ({
  sql: `FROM entry e ${where.length === 0 ? '' : `WHERE ${where.join(' AND ')}`}`,
  values,
  order: 'e.modified DESC, e.id',
  orderValues: [],
});

const wherever = (term: string): string => `${SEARCHED} : ${term}`;

/** Best match first: few enough datasets hold one of the words to weigh them all (bm25). */
function ranked(
  { facets, where, values }: SearchPlan,
  weighed: readonly string[],
  all: readonly string[],
): Source {
  const conditions = [
    'words MATCH ?',
    'words.rowid IN (SELECT rowid FROM words WHERE words MATCH ?)',
    ...facets.map(
      () => 'EXISTS (SELECT 1 FROM facet f WHERE f.id = e.id AND f.kind = ? AND f.value = ?)',
    ),
    ...where,
  ];
  return {
    sql: `FROM words JOIN entry e ON e.id = words.rowid WHERE ${conditions.join(' AND ')}`,
    values: [
      ...[weighed, all].map((terms) => allOf(terms.map(wherever))),
      ...facets.flatMap(({ kind, value }) => [kind, value]),
      ...values,
    ],
    order: `${BM25}, e.id`,
    orderValues: [],
  };
}

/** Of the datasets indexed last those with the words in title or keywords first. */
function newest({ facets, where, values }: SearchPlan, terms: readonly string[]): Source {
  const last = (column: string) =>
    `(SELECT rowid AS ${column} FROM words WHERE words MATCH ? ORDER BY rowid DESC LIMIT ?)`;
  const found = facets.map(({ expression }) => expression);
  const window = where.length === 0 ? RANKED_MAX : FILTERED_MAX;
  const conditions = where.length === 0 ? '' : `WHERE ${where.join(' AND ')}`;
  const inTitle = allOf([...terms.map((term) => `{title keywords} : ${term}`), ...found]);
  return {
    sql: `FROM ${last('id')} w JOIN entry e ON e.id = w.id ${conditions}`,
    values: [allOf([...terms.map(wherever), ...found]), window, ...values],
    order: `${terms.length === 0 ? '' : `(e.id IN ${last('id')}) DESC, `}e.id DESC`,
    orderValues: terms.length === 0 ? [] : [inTitle, window],
  };
}

type Row = Record<string, SQLInputValue>;

export class CatalogueReader {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #frequencies = new Map<string, Frequency>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known) return known;
    const statement = this.#database.prepare(sql);
    if (this.#statements.size < 200) this.#statements.set(sql, statement);
    return statement;
  }
  #all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#prepare(sql).all(...values) as Row[];
  }
  #one(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#prepare(sql).get(...values) as Row | undefined;
  }

  /** Height up to which the index holds everything, and how many datasets it shows. */
  status(): { readonly height: number; readonly datasets: number; readonly problems: number } {
    const height = this.#one("SELECT value FROM meta WHERE key = 'height'")?.['value'];
    const { n } = this.#one('SELECT count(*) AS n FROM entry') as { n: number };
    const { m } = this.#one('SELECT count(*) AS m FROM version WHERE problem IS NOT NULL') as {
      m: number;
    };
    return { height: Number(height ?? 0), datasets: n, problems: m };
  }

  search(search: CatalogueSearch): SearchResult {
    const plan = planSearch(search);
    const limit = Math.min(search.limit ?? DEFAULT_LIMIT, SEARCH_LIMIT_MAX);
    const offset = Math.min(search.offset ?? 0, SEARCH_OFFSET_MAX);
    const { ids, found } =
      plan.terms.length + plan.facets.length > 0
        ? this.#foundByWords(plan)
        : this.#foundByDate(plan, offset + limit);
    return {
      entries: this.#entries(ids.slice(offset, offset + limit)),
      found,
      ...(search.withFacets === true && { facets: this.#facets(ids.slice(0, FACETED_MAX)) }),
    };
  }

  /** In their order. Full-text expressions are read once: that is what a search costs. */
  #foundByWords(plan: SearchPlan): Found {
    const { sql, values, order, orderValues } = this.#byWords(plan);
    const statement = `SELECT e.id AS id ${sql} ORDER BY ${order} LIMIT ?`;
    const rows = this.#all(statement, ...values, ...orderValues, FILTERED_MAX);
    return { ids: rows.map(({ id }) => id as number), found: Math.min(rows.length, FACETED_MAX) };
  }

  #foundByDate(plan: SearchPlan, wanted: number): Found {
    const { sql, values, order } = byDate(plan);
    const count = `SELECT count(*) AS n FROM (SELECT 1 ${sql} LIMIT ?)`;
    const { n } = this.#one(count, ...values, FACETED_MAX) as { n: number };
    // A few are sorted; many are read in the order of the index of dates.
    const sorted = n < FACETED_MAX ? order.replace('e.modified', '+e.modified') : order;
    const statement = `SELECT e.id AS id ${sql} ORDER BY ${sorted} LIMIT ?`;
    const rows = this.#all(statement, ...values, Math.max(wanted, FACETED_MAX));
    return { ids: rows.map(({ id }) => id as number), found: n };
  }

  #entries(ids: readonly number[]): readonly CatalogueEntry[] {
    return ids.flatMap((id) => {
      const row = this.#one('SELECT json FROM entry WHERE id = ?', id);
      return row ? [JSON.parse(row['json'] as string) as CatalogueEntry] : [];
    });
  }

  #isInOver(term: string, datasets: number): boolean {
    const sql = 'SELECT 1 FROM words WHERE words MATCH ? LIMIT 1 OFFSET ?';
    return this.#one(sql, term, datasets) !== undefined;
  }

  /** How common a word is. Remembered, since counting an everyday word takes milliseconds. */
  #frequency(term: string): Frequency {
    const known = this.#frequencies.get(term);
    if (known !== undefined) return known;
    const frequency = !this.#isInOver(term, RANKED_MAX)
      ? 'rare'
      : this.#isInOver(term, EVERYDAY_MIN)
        ? 'everyday'
        : 'common';
    if (this.#frequencies.size >= FREQUENCIES_MAX) this.#frequencies.clear();
    // A rare word is looked up fast, and may become common.
    if (frequency !== 'rare') this.#frequencies.set(term, frequency);
    return frequency;
  }

  #byWords(plan: SearchPlan): Source {
    const { terms } = plan;
    const of = (frequency: Frequency) =>
      terms.filter((term) => this.#frequency(term) === frequency);
    const [rare, common] = [of('rare'), of('common')];
    if (rare.length > 0) return ranked(plan, rare, [...rare, ...common]);
    return newest(plan, common.length > 0 ? common : terms);
  }

  #facets(ids: readonly number[]) {
    const counts = this.#all(
      `SELECT kind, value, count(*) AS n FROM facet
       WHERE id IN (SELECT value FROM json_each(?))
       GROUP BY kind, value ORDER BY n DESC, value`,
      JSON.stringify(ids),
    );
    const of = (kind: Facet) =>
      counts
        .filter((row) => row['kind'] === kind)
        .slice(0, FACET_VALUES)
        .map(({ value, n }) => ({ value: value as string, datasets: n as number }));
    return Object.fromEntries(FACETS.map((kind) => [kind, of(kind)])) as SearchResult['facets'] &
      object;
  }

  /** By its UAI with the owner's account or the owner's name. */
  dataset(uai: string): DatasetFacts | undefined {
    const row = this.#one(
      'SELECT * FROM dataset WHERE uai = ? UNION ALL SELECT * FROM dataset WHERE alias = ? LIMIT 1',
      uai,
      uai,
    );
    return row && factsOf(row);
  }

  /** Newest first. */
  versions({ owner, path }: Pick<DatasetFacts, 'owner' | 'path'>): readonly VersionFacts[] {
    const rows = this.#all(
      `SELECT v.record, v.entry, v.problem FROM version v JOIN dataset d ON d.id = v.dataset
       WHERE d.owner = ? AND d.path = ? ORDER BY v.sequence DESC LIMIT 1000`,
      owner,
      path,
    );
    return rows.map(versionOf);
  }

  version(
    { owner, path }: Pick<DatasetFacts, 'owner' | 'path'>,
    sequence: number,
  ): VersionFacts | undefined {
    const row = this.#one(
      `SELECT v.record, v.entry, v.problem FROM version v JOIN dataset d ON d.id = v.dataset
       WHERE d.owner = ? AND d.path = ? AND v.sequence = ?`,
      owner,
      path,
      sequence,
    );
    return row && versionOf(row);
  }

  /** Canonical N-Quads of an admitted version. */
  document(
    { owner, path }: Pick<DatasetFacts, 'owner' | 'path'>,
    sequence: number,
  ): Bytes | undefined {
    const row = this.#one(
      `SELECT v.document FROM version v JOIN dataset d ON d.id = v.dataset
       WHERE d.owner = ? AND d.path = ? AND v.sequence = ?`,
      owner,
      path,
      sequence,
    );
    return inflated(row?.['document']);
  }

  /** Documents of datasets that are shown, a page at a time, in a stable order. */
  feedPage(afterId: number): readonly FeedDocument[] {
    const rows = this.#all(
      `SELECT e.id, d.uai, v.document FROM entry e JOIN dataset d ON d.id = e.id
       JOIN version v ON v.dataset = d.id AND v.sequence = d.shown
       WHERE e.id > ? ORDER BY e.id LIMIT ?`,
      afterId,
      FEED_PAGE_DATASETS,
    );
    const page: FeedDocument[] = [];
    let bytes = 0;
    for (const { id, uai, document: stored } of rows) {
      const document = inflated(stored);
      if (document === undefined) continue;
      bytes += document.length;
      // At least one, so that the feed always goes on.
      if (bytes > FEED_PAGE_BYTES && page.length > 0) break;
      page.push({ id: id as number, uai: uai as string, document });
    }
    return page;
  }
}

function inflated(stored: SQLInputValue | undefined): Bytes | undefined {
  if (!(stored instanceof Uint8Array)) return undefined;
  return inflateRawSync(stored, { maxOutputLength: MDDS_LIMITS.documentBytesMax });
}

function factsOf(row: Row): DatasetFacts {
  const { endpoint, shown } = row;
  return {
    owner: row['owner'] as string,
    path: row['path'] as string,
    uai: row['uai'] as string,
    latest: row['latest'] as number,
    grantEpoch: row['grantEpoch'] as number,
    withdrawn: row['withdrawn'] === 1,
    ...(typeof endpoint === 'string' && { endpoint }),
    ...(typeof shown === 'number' && { shown }),
  };
}

function versionOf({ record, entry, problem }: Row): VersionFacts {
  return {
    record: decodeWith(versionRecord, record as Uint8Array),
    ...(typeof entry === 'string' && { entry: JSON.parse(entry) as CatalogueEntry }),
    ...(typeof problem === 'string' && { problem }),
  };
}

/**
 * The version that a reader takes at a height: the newest one admitted whose roll-out reaches it, else
 * that one's fallback, and so on.
 *
 * @param reader undefined asks for what every reader takes
 */
export function versionFor(
  versions: readonly VersionFacts[],
  reader: { readonly id: string; readonly uai: string } | undefined,
  height: number,
): VersionFacts | undefined {
  const bySequence = new Map(versions.map((version) => [version.record.sequence, version]));
  const bucket = reader === undefined ? 99 : rolloutBucket(reader.id, reader.uai);
  const newest = Math.max(0, ...versions.filter(isShowable).map(({ record }) => record.sequence));
  let current = bySequence.get(newest);
  while (current !== undefined) {
    const { rollout, fallback, sequence } = current.record;
    const takes = rollout.length === 0 || bucket < percentAt(rollout, height);
    if (takes && isShowable(current)) return current;
    // A fallback is earlier than what falls back on it, so this ends.
    current = bySequence.get(fallback ?? sequence - 1);
  }
  return undefined;
}

const isShowable = ({ entry }: VersionFacts): boolean => entry !== undefined;
