/** Documents of the catalogue's part of the HTTP API. */
import { z } from 'zod';
import { FACETS, SEARCH_LIMIT_MAX, SEARCH_OFFSET_MAX } from '../catalogue/search-query.ts';
import { DOCUMENT_FORMATS, type DocumentFormat } from '../catalogue/catalogue-answers.ts';

const hash = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .describe('32 bytes in lower-case hex');
const count = z.int().min(0);
const TEXT_MAX = 500;

/** One value or several, as a query string repeats them. */
const facetValue = z.string().min(1).max(TEXT_MAX);
const several = z.union([facetValue, z.array(facetValue).max(16)]).optional();
const wholeNumber = (max: number) => z.coerce.number<string>().int().min(0).max(max);
const uai = z.string().min(9).max(1_024).describe('UAI, chain://…');
const sequence = wholeNumber(0xffff_ffff).describe('Number of a version');
const date = z.string().regex(/^\d{4}-\d{2}-\d{2}$/, 'expected a date, as 2026-01-31');
const degrees = /^-?\d{1,3}(\.\d{1,9})?(,-?\d{1,3}(\.\d{1,9})?){3}$/;

export const searchQuery = z.strictObject({
  text: z.string().max(TEXT_MAX).optional().describe('Words that all occur; word* and "a phrase"'),
  ...(Object.fromEntries(FACETS.map((facet) => [facet, several])) as Record<
    (typeof FACETS)[number],
    typeof several
  >),
  maxPrice: z
    .string()
    .regex(/^\d{1,12}(\.\d{1,9})?$/, 'expected an amount, as 12.5')
    .optional(),
  place: z
    .string()
    .regex(degrees, 'expected west,south,east,north in degrees')
    .optional()
    .describe('west,south,east,north in degrees'),
  from: date.optional(),
  to: date.optional(),
  limit: wholeNumber(SEARCH_LIMIT_MAX).optional(),
  offset: wholeNumber(SEARCH_OFFSET_MAX).optional(),
  facets: z.enum(['true', 'false']).optional(),
});
export type SearchQuery = z.infer<typeof searchQuery>;

export const datasetQuery = z.strictObject({
  uai,
  sequence: sequence.optional(),
  reader: z.string().min(1).max(TEXT_MAX).optional().describe('Who reads: roll-outs choose by it'),
});
export type DatasetQuery = z.infer<typeof datasetQuery>;
export const versionsQuery = z.strictObject({ uai });
export const documentQuery = datasetQuery.extend({
  format: z.enum(Object.keys(DOCUMENT_FORMATS) as [DocumentFormat]).optional(),
});
export type DocumentQuery = z.infer<typeof documentQuery>;
export const diffQuery = z.strictObject({
  uai,
  from: sequence.optional(),
  to: sequence.optional(),
});
export type DiffQuery = z.infer<typeof diffQuery>;
export const sparqlQuery = z.strictObject({
  query: z.string().min(1).max(16_384).describe('SPARQL 1.1 query; updates are refused'),
});
export const feedQuery = z.strictObject({
  after: wholeNumber(Number.MAX_SAFE_INTEGER).optional(),
});
export type FeedQuery = z.infer<typeof feedQuery>;

const named = z.object({ iri: z.string(), name: z.string().optional() });
const entryDocument = z
  .object({
    uai: z.string(),
    title: z.string(),
    description: z.string(),
    version: z.string(),
    modified: z.string(),
    publisher: named,
    keywords: z.array(z.string()),
    themes: z.array(z.object({ iri: z.string(), label: z.string().optional() })),
    columns: z.array(z.object({ name: z.string(), datatype: z.string().optional() })),
    mediaTypes: z.array(z.string()),
    mechanisms: z.array(z.string()),
    price: z.string().optional(),
    purpose: z.string().optional(),
    uses: count.optional(),
    byteSize: count.optional(),
    rowCount: count.optional(),
    temporal: z.object({ start: z.string().optional(), end: z.string().optional() }).optional(),
    spatial: z
      .object({ west: z.number(), south: z.number(), east: z.number(), north: z.number() })
      .optional(),
  })
  .meta({ id: 'CatalogueEntry' });

const facetCount = z.object({ value: z.string(), datasets: count });
export const searchDocument = z
  .object({
    items: z.array(entryDocument),
    found: count.describe('How many there are, counted up to 1,000'),
    atLeast: z
      .boolean()
      .describe('There may be more than `found`: a bound of the search was reached'),
    facets: z
      .object(Object.fromEntries(FACETS.map((facet) => [facet, z.array(facetCount)])))
      .optional(),
  })
  .meta({ id: 'CatalogueSearchResult' });

const versionDocument = z
  .object({
    sequence: count,
    version: z.string(),
    recordedAt: z.string(),
    height: count,
    publicHash: hash,
    completeHash: hash,
    quadRoot: hash,
    quadCount: count,
    cid: z.string().optional().describe('Of the document, when it does not stand on the chain'),
    rollout: z.array(z.object({ percent: count, activationHeight: count })),
    fallback: count.optional(),
    problem: z.string().optional().describe('Why its document is not shown'),
  })
  .meta({ id: 'DatasetVersion' });
export const versionsDocument = z
  .object({ uai: z.string(), items: z.array(versionDocument) })
  .meta({ id: 'DatasetVersions' });
export const datasetDocument = z
  .object({
    uai: z.string(),
    owner: z.string(),
    latest: count,
    endpoint: z.string().optional(),
    grantEpoch: count,
    withdrawn: z.boolean(),
    version: versionDocument,
    entry: entryDocument.optional(),
  })
  .meta({ id: 'Dataset' });
export const diffDocument = z
  .object({
    uai: z.string(),
    from: count,
    to: count,
    added: z.array(z.string()),
    removed: z.array(z.string()),
  })
  .meta({ id: 'DirectoryDifference' });
export const catalogueStatusDocument = z
  .object({
    height: count.describe('Block up to which the catalogue holds everything'),
    datasets: count,
    problems: count.describe('Versions whose documents are not shown'),
  })
  .meta({ id: 'CatalogueStatus' });
