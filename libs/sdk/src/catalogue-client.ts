/** A market's catalogue for programs: datasets found, shown, compared, and their directories read. */
import createClient from 'openapi-fetch';
import { errorFromProblem } from './errors.ts';
import type { components, paths } from './generated/market-api.ts';
import { type TransportOptions, createTransport } from './transport.ts';

type Schemas = components['schemas'];
export type CatalogueEntryDocument = Schemas['CatalogueEntry'];
export type SearchResultDocument = Schemas['CatalogueSearchResult'];
export type DatasetDocument = Schemas['Dataset'];
export type DatasetVersionsDocument = Schemas['DatasetVersions'];
export type DirectoryDifferenceDocument = Schemas['DirectoryDifference'];
export type CatalogueStatusDocument = Schemas['CatalogueStatus'];
export type CatalogueQuery = NonNullable<
  paths['/v1/catalogue/datasets']['get']['parameters']['query']
>;
export type DirectoryFormat = NonNullable<
  NonNullable<paths['/v1/catalogue/document']['get']['parameters']['query']>['format']
>;

/** Which version of a dataset: by number, or the one that a reader takes. */
export interface VersionChoice {
  readonly sequence?: number;
  readonly reader?: string;
}

export interface CatalogueClient {
  readonly url: string;
  status(): Promise<CatalogueStatusDocument>;
  search(query: CatalogueQuery): Promise<SearchResultDocument>;
  show(uai: string, choice?: VersionChoice): Promise<DatasetDocument>;
  versions(uai: string): Promise<DatasetVersionsDocument>;
  document(uai: string, format: DirectoryFormat, choice?: VersionChoice): Promise<string>;
  diff(uai: string, from?: number, to?: number): Promise<DirectoryDifferenceDocument>;
}

export function createCatalogueClient(
  options: TransportOptions & { readonly url: string },
): CatalogueClient {
  const url = options.url.replace(/\/+$/, '');
  const transport = createTransport(options);
  const api = createClient<paths>({
    baseUrl: url,
    fetch: (request) => transport.send(request, { sign: false }),
  });
  const answer = async <T>(called: Promise<{ data?: T; error?: unknown; response: Response }>) => {
    const { data, error, response } = await called;
    if (data !== undefined && response.ok) return data;
    throw errorFromProblem(response.status, error, response.url || url);
  };
  return {
    url,
    status: () => answer(api.GET('/v1/catalogue/status')),
    search: (query) => answer(api.GET('/v1/catalogue/datasets', { params: { query } })),
    show: (uai, choice = {}) =>
      answer(api.GET('/v1/catalogue/dataset', { params: { query: { uai, ...choice } } })),
    versions: (uai) => answer(api.GET('/v1/catalogue/versions', { params: { query: { uai } } })),
    document: (uai, format, choice = {}) =>
      answer(
        api.GET('/v1/catalogue/document', {
          params: { query: { uai, format, ...choice } },
          parseAs: 'text',
        }),
      ),
    diff: (uai, from, to) =>
      answer(
        api.GET('/v1/catalogue/diff', {
          params: {
            query: {
              uai,
              ...(from !== undefined && { from }),
              ...(to !== undefined && { to }),
            },
          },
        }),
      ),
  };
}
