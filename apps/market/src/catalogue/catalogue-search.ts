/**
 * Finds datasets. What matches is read off the full-text index newest first, as far as a window; then
 * price, place and time are looked at; then what is left is put in order. FTS5 reads a whole list of
 * places to weigh a word, and nothing of it to step over: so common words decide what is found, and
 * only rarer ones in which order.
 */
import type { SQLInputValue, StatementSync } from 'node:sqlite';
import type { CatalogueEntry } from '#libs/mdds';
import { type FacetCounts, countFacets } from './facet-counts.ts';
import {
  type CatalogueSearch,
  SEARCH_LIMIT_MAX,
  SEARCH_OFFSET_MAX,
  type SearchPlan,
  planSearch,
} from './search-query.ts';

export interface SearchResult {
  readonly entries: readonly CatalogueEntry[];
  /** How many were found. */
  readonly found: number;
  /** There are more than `found` says: a bound of the search was reached. */
  readonly atLeast: boolean;
  readonly facets?: FacetCounts;
}

/** How many are counted, put in order and have their facets counted. */
export const COUNTED_MAX = 1_000;
/** How many with the words are looked at for price, place and time. */
const FILTERED_MAX = 2_000;
/** A word in more datasets is not weighed. */
const WEIGHED_MAX = 20_000;
/** How many datasets with the weighed words are gone through to weigh those found. */
const PASSED_MAX = 4_000;
/** Up to so many with a price or place are sorted; of more the newest are looked for one by one. */
const SORTED_MAX = 10_000;
const COUNTS_MAX = 10_000;
/** With more words, titles are not looked at: hardly one has them all. */
const TITLED_MAX = 3;
const DEFAULT_LIMIT = 20;
/** Facets weigh nothing. */
const BM25 = 'bm25(words, 10.0, 3.0, 5.0, 4.0, 2.0, 0.0)';

interface Found {
  /** In their order. */
  readonly ids: readonly number[];
  readonly atLeast: boolean;
}

const allOf = (expressions: readonly string[]): string => expressions.join(' AND ');

export class CatalogueSearcher {
  readonly #prepare: (sql: string) => StatementSync;
  /** In how many datasets words are that are in many, as of when they were counted. */
  readonly #counts = new Map<string, number>();

  /** @param prepare may give a statement again */
  constructor(prepare: (sql: string) => StatementSync) {
    this.#prepare = prepare;
  }

  /** @throws MARKET_SEARCH */
  search(search: CatalogueSearch): SearchResult {
    const plan = planSearch(search);
    const limit = Math.min(search.limit ?? DEFAULT_LIMIT, SEARCH_LIMIT_MAX);
    const offset = Math.min(search.offset ?? 0, SEARCH_OFFSET_MAX);
    const { ids, atLeast } =
      plan.terms.length + plan.facets.length > 0
        ? this.#byWords(plan, offset + limit)
        : this.#byDate(plan, offset + limit);
    const found = Math.min(ids.length, COUNTED_MAX);
    return {
      entries: this.#entries(ids.slice(offset, offset + limit)),
      ...{ found, atLeast: atLeast || ids.length > found },
      ...(search.withFacets === true && { facets: this.#facets(ids.slice(0, COUNTED_MAX)) }),
    };
  }

  #read(sql: string, values: readonly SQLInputValue[]): Record<string, SQLInputValue>[] {
    return this.#prepare(sql).all(...values) as Record<string, SQLInputValue>[];
  }

  /**
   * Ids in the order of `sql`, as one JSON text: rows one by one cost more than finding them.
   *
   * @param sql with an order and, so that SQLite keeps it, a limit
   */
  #ids(sql: string, values: readonly SQLInputValue[]): number[] {
    const [row] = this.#read(`SELECT json_group_array(id) AS ids FROM (${sql})`, values);
    return JSON.parse(row?.['ids'] as string) as number[];
  }

  /** Whether more than so many match; reads no further. */
  #isInOver(match: string, datasets: number): boolean {
    const sql = 'SELECT rowid AS id FROM words WHERE words MATCH ? LIMIT 1 OFFSET ?';
    return this.#read(sql, [match, datasets]).length > 0;
  }

  /** In how many datasets a common word is; 0 for others. Remembered: counting takes milliseconds. */
  #commonness(term: string): number {
    const known = this.#counts.get(term);
    if (known !== undefined) return known > WEIGHED_MAX ? known : 0;
    const sql = 'SELECT count(*) AS n FROM words WHERE words MATCH ?';
    const [{ n }] = this.#read(sql, [term]) as [{ n: number }];
    if (this.#counts.size >= COUNTS_MAX) this.#counts.clear();
    // A rare one is counted fast, and may become common.
    if (n > COUNTED_MAX) this.#counts.set(term, n);
    return n > WEIGHED_MAX ? n : 0;
  }

  #byWords(plan: SearchPlan, wanted: number): Found {
    const { terms, facets, where } = plan;
    // Rare ones lead: the others are then only asked about what those have.
    const common = new Map([...facets, ...terms].map((term) => [term, this.#commonness(term)]));
    const commonness = (term: string) => common.get(term) ?? 0;
    const all = [...common.keys()].toSorted((a, b) => commonness(a) - commonness(b));
    const rare = all.filter((term) => commonness(term) === 0);
    const window = where.length === 0 ? COUNTED_MAX : FILTERED_MAX;
    const newest = this.#ids(
      'SELECT rowid AS id FROM words WHERE words MATCH ? ORDER BY rowid DESC LIMIT ?',
      [allOf(all), window + 1],
    );
    const atLeast = newest.length > window;
    const ids = this.#fulfilling(plan, newest.slice(0, window));
    if (terms.length === 0 || ids.length < 2) return { ids, atLeast };
    if (!atLeast && ids.length <= COUNTED_MAX && rare.some((term) => terms.includes(term))) {
      const ranked = this.#ranked(allOf(rare), ids, rare.length < all.length);
      if (ranked) return { ids: ranked, atLeast };
    }
    if (terms.length > TITLED_MAX) return { ids, atLeast };
    const inTitle = all.map((term) => (terms.includes(term) ? `{title keywords} : ${term}` : term));
    return { ids: this.#titlesFirst(allOf(inTitle), ids, wanted), atLeast };
  }

  #fulfilling({ where }: SearchPlan, ids: readonly number[]): readonly number[] {
    if (where.length === 0) return ids;
    const conditions = allOf(where.map(({ sql }) => sql));
    return this.#ids(
      `SELECT e.id AS id FROM json_each(?) j JOIN entry e ON e.id = j.value WHERE ${conditions}
       ORDER BY e.id DESC LIMIT ?`,
      [JSON.stringify(ids), ...where.flatMap(({ values }) => values), FILTERED_MAX],
    );
  }

  /** Best match first; undefined when too much would have to be gone through. */
  #ranked(
    match: string,
    ids: readonly number[],
    hasOthers: boolean,
  ): readonly number[] | undefined {
    if (hasOthers && this.#isInOver(match, PASSED_MAX)) return undefined;
    // "+" keeps SQLite from asking for one row after another, each time a query of its own.
    return this.#ids(
      `SELECT rowid AS id FROM words WHERE words MATCH ?
       AND +rowid IN (SELECT value FROM json_each(?)) ORDER BY ${BM25}, rowid DESC LIMIT ?`,
      [match, JSON.stringify(ids), COUNTED_MAX],
    );
  }

  /** The ones with the words in title or keywords first, the newest of them first; so many as are wanted. */
  #titlesFirst(inTitle: string, ids: readonly number[], wanted: number): readonly number[] {
    const last = ids.at(-1) as number;
    const known = new Set(ids);
    const titled = new Set<number>();
    // Backwards until past the last one: given a range of rows, FTS5 steps over all the others.
    const sql = 'SELECT rowid AS id FROM words WHERE words MATCH ? ORDER BY rowid DESC';
    for (const { id } of this.#prepare(sql).iterate(inTitle)) {
      if ((id as number) < last || titled.size >= wanted) break;
      if (known.has(id as number)) titled.add(id as number);
    }
    return [...ids.filter((id) => titled.has(id)), ...ids.filter((id) => !titled.has(id))];
  }

  /** The newest first. */
  #byDate({ where }: SearchPlan, wanted: number): Found {
    const window = Math.max(wanted, COUNTED_MAX);
    const conditions = [...where.map(({ sql }) => sql)];
    const values: SQLInputValue[] = where.flatMap((each) => each.values);
    const few = where.find(({ ids, values: given }) => {
      if (ids === undefined) return false;
      return this.#read(`${ids} LIMIT 1 OFFSET ?`, [...given, SORTED_MAX]).length === 0;
    });
    if (few?.ids !== undefined) {
      conditions.unshift(`e.id IN (${few.ids})`);
      values.unshift(...few.values);
    }
    const order = few ? '+e.modified DESC, e.id' : 'e.modified DESC, e.id';
    const from = few ? 'entry e' : 'entry e INDEXED BY entry_newest';
    const ids = this.#ids(
      `SELECT e.id AS id FROM ${from} ${conditions.length === 0 ? '' : `WHERE ${allOf(conditions)}`}
       ORDER BY ${order} LIMIT ?`,
      [...values, window + 1],
    );
    return { ids: ids.slice(0, window), atLeast: ids.length > window };
  }

  #entries(ids: readonly number[]): readonly CatalogueEntry[] {
    return ids.flatMap((id) => {
      const [row] = this.#read('SELECT json FROM entryText WHERE id = ?', [id]);
      return row ? [JSON.parse(row['json'] as string) as CatalogueEntry] : [];
    });
  }

  #facets(ids: readonly number[]): FacetCounts {
    const rows = this.#read(
      'SELECT e.facets AS facets FROM json_each(?) j JOIN entry e ON e.id = j.value',
      [JSON.stringify(ids)],
    );
    return countFacets(
      rows.map(({ facets }) => facets as Uint8Array),
      (id) => this.#read('SELECT value FROM facetValue WHERE id = ?', [id])[0]?.['value'] as string,
    );
  }
}
