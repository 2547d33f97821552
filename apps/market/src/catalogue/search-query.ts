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
  /** Count the facets of what was found, up to `FACETED_MAX` datasets. */
  readonly withFacets?: boolean;
}

export const SEARCH_LIMIT_MAX = 100;
export const SEARCH_OFFSET_MAX = 10_000;
const WORDS_MAX = 16;
const WORD_MAX = 64;
const FACET_VALUES_MAX = 16;

/** FTS5 syntax of what was typed: every word quoted, so that none is an operator. @throws MARKET_SEARCH */
export function termsOf(text: string): readonly string[] {
  const terms = [...text.matchAll(/"([^"]*)"|([^\s"]+)/gu)].flatMap(([, phrase, word]) => {
    const isPrefix = word !== undefined && word.length > 1 && word.endsWith('*');
    const plain = (phrase ?? (isPrefix ? word.slice(0, -1) : word) ?? '').trim();
    // A term without a letter or digit would match nothing.
    if (!/[\p{L}\p{N}]/u.test(plain)) return [];
    if (plain.length > WORD_MAX)
      throw marketAppError('MARKET_SEARCH', `a word of over ${WORD_MAX} characters`);
    return [`"${plain}"${isPrefix ? '*' : ''}`];
  });
  if (terms.length > WORDS_MAX)
    throw marketAppError('MARKET_SEARCH', `over ${WORDS_MAX} words to search for`);
  return terms;
}

export interface FacetTerm {
  readonly kind: Facet;
  readonly value: string;
  /** FTS5 expression that finds it. */
  readonly expression: string;
}

export interface SearchPlan {
  /** FTS5 expressions that all have to match: words, and facets as words. */
  readonly terms: readonly string[];
  readonly facets: readonly FacetTerm[];
  /** Conditions on `entry e` for the rest. */
  readonly where: readonly string[];
  readonly values: readonly (string | number)[];
}

const FACET_DOMAIN = 'seele/catalogue-facet/1';

/** A facet's value as one word of the full-text index: there it is found together with the words. */
export const facetWord = (kind: Facet, value: string): string =>
  `f${hashOf(FACET_DOMAIN, utf8(`${kind}\n${value}`)).slice(0, 16)}`;

function facetTerms(facets: CatalogueSearch['facets']): readonly FacetTerm[] {
  const terms = FACETS.flatMap((kind) =>
    (facets?.[kind] ?? []).map((value) => ({
      ...{ kind, value },
      expression: `facets : "${facetWord(kind, value)}"`,
    })),
  );
  if (terms.length > FACET_VALUES_MAX)
    throw marketAppError('MARKET_SEARCH', `over ${FACET_VALUES_MAX} facets at once`);
  return terms;
}

const isFinitePlace = ({ west, south, east, north }: BoundingBox): boolean =>
  [west, south, east, north].every(Number.isFinite) && west <= east && south <= north;

/** @throws MARKET_SEARCH */
export function planSearch(search: CatalogueSearch): SearchPlan {
  const where: string[] = [];
  const values: (string | number)[] = [];
  const { maxPrice, place, from, to } = search;
  if (maxPrice !== undefined) {
    where.push('e.price <= ?');
    values.push(maxPrice);
  }
  if (place !== undefined) {
    if (!isFinitePlace(place))
      throw marketAppError('MARKET_SEARCH', 'a place is west,south,east,north in degrees');
    where.push(
      'e.id IN (SELECT id FROM place WHERE west <= ? AND east >= ? AND south <= ? AND north >= ?)',
    );
    values.push(place.east, place.west, place.north, place.south);
  }
  if (from !== undefined) {
    where.push('e.ends >= ?');
    values.push(from);
  }
  if (to !== undefined) {
    where.push('e.starts <= ?');
    values.push(to);
  }
  return { where, values, terms: termsOf(search.text ?? ''), facets: facetTerms(search.facets) };
}
