import { Controller, Get, Inject, Query, Req, Res, SerializeOptions } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiProduces, ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { formatAccount } from '#libs/kernel';
import type { Catalogue } from '../catalogue/catalogue.ts';
import { DOCUMENT_FORMATS } from '../catalogue/catalogue-answers.ts';
import type { VersionFacts } from '../catalogue/catalogue-reader.ts';
import { type CatalogueSearch, FACETS } from '../catalogue/search-query.ts';
import { ApiProblems } from './api-problems.ts';
import {
  type DatasetQuery,
  type DiffQuery,
  type DocumentQuery,
  type FeedQuery,
  type SearchQuery,
  catalogueStatusDocument,
  datasetDocument,
  datasetQuery,
  diffDocument,
  diffQuery,
  documentQuery,
  feedQuery,
  searchDocument,
  searchQuery,
  sparqlQuery,
  versionsDocument,
  versionsQuery,
} from './catalogue-schemas.ts';

/** Injection token of the `Catalogue`. */
export const CATALOGUE = Symbol('Catalogue');

function searchOf(query: SearchQuery): CatalogueSearch {
  const { place, facets: withFacets, text, maxPrice, from, to, limit, offset } = query;
  const [west, south, east, north] = (place?.split(',') ?? []).map(Number) as number[];
  const facets = Object.fromEntries(
    FACETS.flatMap((facet) => (query[facet] === undefined ? [] : [[facet, [query[facet]].flat()]])),
  );
  const given = { text, from, to, limit, offset };
  return {
    ...(Object.fromEntries(
      Object.entries(given).filter(([, value]) => value !== undefined),
    ) as CatalogueSearch),
    facets,
    ...(maxPrice !== undefined && { maxPrice: Number(maxPrice) }),
    ...(place !== undefined && { place: { west, south, east, north } as never }),
    withFacets: withFacets === 'true',
  };
}

function versionToDocument({ record, problem }: VersionFacts) {
  const { document, timeUs, owner: _owner, path: _path, contentCommitment: _c, ...rest } = record;
  return {
    ...rest,
    recordedAt: new Date(timeUs / 1_000).toISOString(),
    ...(document.kind === 'stored' && { cid: document.cid }),
    ...(problem !== undefined && { problem }),
  };
}

@ApiTags('catalogue')
@Controller('v1/catalogue')
export class CatalogueController {
  readonly #catalogue: Catalogue;

  constructor(@Inject(CATALOGUE) catalogue: Catalogue) {
    this.#catalogue = catalogue;
  }

  @Get('datasets')
  @ApiOperation({
    operationId: 'searchDatasets',
    summary: 'Find datasets by words, facets, price, place and time',
    description:
      'All conditions hold together. Found is the version that every reader takes; a version that is rolled out to some readers only is shown to them by /v1/catalogue/dataset.',
  })
  @ApiOkResponse({ standardSchema: searchDocument })
  @ApiProblems(400, 429, 503)
  @SerializeOptions({ schema: searchDocument })
  async search(@Query({ schema: searchQuery }) query: SearchQuery) {
    const { entries, ...rest } = await this.#catalogue.search(searchOf(query));
    return { items: entries, ...rest };
  }

  @Get('dataset')
  @ApiOperation({
    operationId: 'showDataset',
    summary: 'One dataset and the version a reader takes',
  })
  @ApiOkResponse({ standardSchema: datasetDocument })
  @ApiProblems(400, 404, 429, 503)
  @SerializeOptions({ schema: datasetDocument })
  async show(@Query({ schema: datasetQuery }) { uai, ...choice }: DatasetQuery) {
    const { dataset, version } = await this.#catalogue.show(uai, choice);
    const { owner, path: _path, shown: _shown, ...facts } = dataset;
    return {
      ...facts,
      owner: formatAccount(owner),
      version: versionToDocument(version),
      ...(version.entry && { entry: version.entry }),
    };
  }

  @Get('versions')
  @ApiOperation({ operationId: 'listVersions', summary: 'Versions of a dataset, newest first' })
  @ApiOkResponse({ standardSchema: versionsDocument })
  @ApiProblems(400, 404, 429, 503)
  @SerializeOptions({ schema: versionsDocument })
  async versions(@Query({ schema: versionsQuery }) { uai }: { readonly uai: string }) {
    const versions = await this.#catalogue.versions(uai);
    return { uai, items: versions.map(versionToDocument) };
  }

  @Get('document')
  @ApiOperation({
    operationId: 'readDirectory',
    summary: 'A public directory as Turtle, N-Quads, JSON-LD, schema.org or Croissant',
  })
  @ApiProduces(...new Set(Object.values(DOCUMENT_FORMATS)))
  @ApiProblems(400, 404, 429, 503)
  async document(
    @Query({ schema: documentQuery }) { uai, format = 'turtle', ...choice }: DocumentQuery,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const text = await this.#catalogue.document(uai, choice, format);
    reply.type(DOCUMENT_FORMATS[format]);
    return text;
  }

  @Get('diff')
  @ApiOperation({
    operationId: 'diffVersions',
    summary: 'What two versions say differently, as canonical N-Quads lines',
  })
  @ApiOkResponse({ standardSchema: diffDocument })
  @ApiProblems(400, 404, 429, 503)
  @SerializeOptions({ schema: diffDocument })
  async diff(@Query({ schema: diffQuery }) { uai, from, to }: DiffQuery) {
    return { uai, ...(await this.#catalogue.diff(uai, from, to)) };
  }

  @Get('feed')
  @ApiOperation({
    operationId: 'harvest',
    summary: 'The whole catalogue as DCAT in Turtle, page by page (Hydra paging)',
  })
  @ApiProduces('text/turtle')
  @ApiProblems(400, 429, 503)
  async feed(
    @Query({ schema: feedQuery }) { after = 0 }: FeedQuery,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const base = `${request.protocol}://${request.host}/v1/catalogue/feed`;
    const page = await this.#catalogue.feed(after, base, 'Seele market');
    reply.type('text/turtle; charset=utf-8');
    if (page.nextAfterId !== undefined)
      reply.header('link', `<${base}?after=${page.nextAfterId}>; rel="next"`);
    return page.turtle;
  }

  @Get('sparql')
  @ApiOperation({
    operationId: 'sparql',
    summary: 'SPARQL 1.1 query (protocol: GET) over all public directories',
    description:
      'Off unless the market’s operator switched it on. Each directory is a graph named after its dataset; the default graph is their union, at most a minute old.',
  })
  @ApiProduces('application/sparql-results+json', 'text/turtle')
  @ApiProblems(400, 429, 503)
  async sparql(
    @Query({ schema: sparqlQuery }) { query }: { readonly query: string },
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const { text, mediaType } = await this.#catalogue.sparql(query);
    reply.type(mediaType);
    return text;
  }

  @Get('status')
  @ApiOperation({
    operationId: 'catalogueStatus',
    summary: 'How far the catalogue has read the chain',
  })
  @ApiOkResponse({ standardSchema: catalogueStatusDocument })
  @ApiProblems(429, 503)
  @SerializeOptions({ schema: catalogueStatusDocument })
  status() {
    return this.#catalogue.status();
  }
}
