/** From what a person asks for to SQL: words, facets, price, place and time, all of them to hold. */
import { hashOf } from '#libs/crypto';
import { utf8 } from '#libs/kernel';
import type { BoundingBox } from '#libs/mdds';
import { marketAppError } from '../errors.ts';

export const FACETS = [
  'keyword',
  'theme',
  'column',
  'mediaType',
  'mechanism',
  'purpose',
  'publisher',
] as const;
export type Facet = (typeof FACETS)[number];

export interface CatalogueSearch {
  /** Words that all occur; `word*` finds beginnings, `"two words"` a phrase. */
  readonly text?: string;
  /** Each value given has to be there. */
  readonly facets?: Readonly<Partial<Record<Facet, readonly string[]>>>;
  readonly maxPrice?: number;
  /** Overlaps with this box. */
  readonly place?: BoundingBox;
  /** Overlaps with this time; ISO 8601 dates. */
  readonly from?: string;
  readonly to?: string;
  readonly limit?: number;
  readonly offset?: number;
  /** Count the facets of what was found, up to `COUNTED_MAX` datasets. */
  readonly withFacets?: boolean;
}

export const SEARCH_LIMIT_MAX = 100;
export const SEARCH_OFFSET_MAX = 10_000;
const WORDS_MAX = 16;
const WORD_MAX = 64;
const FACET_VALUES_MAX = 16;

/** Private characters begin the words that stand for facets: no text of a dataset or a search has them. */
const PRIVATE = /[\u{E000}-\u{F8FF}\u{F0000}-\u{10FFFF}]/gu;
export const plainText = (text: string): string => text.replace(PRIVATE, ' ');

/** Beginnings of one letter would be beginnings of everything. */
const PREFIX_MIN = 2;

/** FTS5 syntax of what was typed: every word quoted, so that none is an operator. @throws MARKET_SEARCH */
export function termsOf(text: string): readonly string[] {
  const terms = [...plainText(text).matchAll(/"([^"]*)"|([^\s"]+)/gu)].flatMap(
    ([, phrase, word]) => {
      const isPrefix = word !== undefined && word.length > 1 && word.endsWith('*');
      const plain = (phrase ?? (isPrefix ? word.slice(0, -1) : word) ?? '').trim();
      // A term without a letter or digit would match nothing.
      if (!/[\p{L}\p{N}]/u.test(plain)) return [];
      if (plain.length > WORD_MAX)
        throw marketAppError('MARKET_SEARCH', `a word of over ${WORD_MAX} characters`);
      if (isPrefix && plain.length < PREFIX_MIN)
        throw marketAppError(
          'MARKET_SEARCH',
          `${plain}*: give ${PREFIX_MIN} letters of the beginning`,
        );
      return [`"${plain}"${isPrefix ? '*' : ''}`];
    },
  );
  if (terms.length > WORDS_MAX)
    throw marketAppError('MARKET_SEARCH', `over ${WORDS_MAX} words to search for`);
  return terms;
}

export interface SearchPlan {
  /** FTS5 expressions of words and phrases. */
  readonly terms: readonly string[];
  /** FTS5 expressions of facets. */
  readonly facets: readonly string[];
  /** Conditions on `entry e` for the rest. */
  readonly where: readonly Condition[];
}

export interface Condition {
  readonly sql: string;
  readonly values: readonly (string | number)[];
  /** Ids of the entries that fulfil it, read off an index. */
  readonly ids?: string;
}

const FACET_DOMAIN = 'seele/catalogue-facet/1';

/** A facet's value as one word of the full-text index: there it is found together with the words. */
export const facetWord = (kind: Facet, value: string): string =>
  `\u{E000}${hashOf(FACET_DOMAIN, utf8(`${kind}\n${value}`)).slice(0, 16)}`;

function facetTerms(facets: CatalogueSearch['facets']): readonly string[] {
  const terms = FACETS.flatMap((kind) =>
    (facets?.[kind] ?? []).map((value) => `"${facetWord(kind, value)}"`),
  );
  if (terms.length > FACET_VALUES_MAX)
    throw marketAppError('MARKET_SEARCH', `over ${FACET_VALUES_MAX} facets at once`);
  return terms;
}

const isFinitePlace = ({ west, south, east, north }: BoundingBox): boolean =>
  [west, south, east, north].every(Number.isFinite) && west <= east && south <= north;

function placeCondition(place: BoundingBox): Condition {
  if (!isFinitePlace(place))
    throw marketAppError('MARKET_SEARCH', 'a place is west,south,east,north in degrees');
  const overlaps = (of: string) =>
    `${of}west <= ? AND ${of}east >= ? AND ${of}south <= ? AND ${of}north >= ?`;
  return {
    sql: overlaps('e.'),
    values: [place.east, place.west, place.north, place.south],
    ids: `SELECT id FROM place WHERE ${overlaps('')}`,
  };
}

/** @throws MARKET_SEARCH */
export function planSearch(search: CatalogueSearch): SearchPlan {
  const { maxPrice, place, from, to } = search;
  const where: Condition[] = [];
  if (maxPrice !== undefined)
    where.push({
      ...{ sql: 'e.price <= ?', values: [maxPrice] },
      ids: 'SELECT id FROM entry WHERE price <= ?',
    });
  if (place !== undefined) where.push(placeCondition(place));
  if (from !== undefined) where.push({ sql: 'e.ends >= ?', values: [from] });
  if (to !== undefined) where.push({ sql: 'e.starts <= ?', values: [to] });
  return { where, terms: termsOf(search.text ?? ''), facets: facetTerms(search.facets) };
}
