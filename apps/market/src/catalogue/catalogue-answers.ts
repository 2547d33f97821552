/** What the catalogue answers: datasets found, shown with their versions, documents in every format. */
import {
  BUILT_IN_CONTEXTS,
  MDDS_CONTEXT_IRI,
  type Quad,
  diffDirectories,
  exportCroissant,
  exportSchemaOrg,
  readRdf,
  writeJsonLd,
  writeRdf,
} from '#libs/mdds';
import { marketAppError } from '../errors.ts';
import {
  type CatalogueReader,
  type DatasetFacts,
  type VersionFacts,
  versionFor,
} from './catalogue-reader.ts';
import type { SearchResult } from './catalogue-search.ts';
import { type FeedPage, feedPageOf } from './dcat-feed.ts';
import type { CatalogueSearch } from './search-query.ts';

export const DOCUMENT_FORMATS = {
  turtle: 'text/turtle; charset=utf-8',
  'n-quads': 'application/n-quads; charset=utf-8',
  'json-ld': 'application/ld+json; charset=utf-8',
  'schema.org': 'application/ld+json; charset=utf-8',
  croissant: 'application/ld+json; charset=utf-8',
} as const;
export type DocumentFormat = keyof typeof DOCUMENT_FORMATS;

export interface ShownDataset {
  readonly dataset: DatasetFacts;
  /** The version asked for, or the one that the reader takes. */
  readonly version: VersionFacts;
}

export interface VersionChoice {
  readonly sequence?: number | undefined;
  /** Who reads: roll-outs choose by it. Without one, what every reader takes. */
  readonly reader?: string | undefined;
}

export interface DirectoryDifference {
  readonly from: number;
  readonly to: number;
  /** Canonical N-Quads lines. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

export class CatalogueAnswers {
  readonly #reader: CatalogueReader;

  constructor(reader: CatalogueReader) {
    this.#reader = reader;
  }

  status() {
    return this.#reader.status();
  }

  /** @throws MARKET_SEARCH */
  search(search: CatalogueSearch): SearchResult {
    return this.#reader.search(search);
  }

  #dataset(uai: string): DatasetFacts {
    const dataset = this.#reader.dataset(uai);
    if (!dataset) throw marketAppError('MARKET_DATASET_UNKNOWN', `there is no dataset ${uai}`);
    return dataset;
  }

  #version(dataset: DatasetFacts, { sequence, reader }: VersionChoice): VersionFacts {
    const { uai } = dataset;
    const version =
      sequence === undefined
        ? versionFor(
            this.#reader.versions(dataset),
            reader === undefined ? undefined : { id: reader, uai },
            this.#reader.status().height,
          )
        : this.#reader.version(dataset, sequence);
    if (version) return version;
    const problem = this.#reader.versions(dataset).find((each) => each.problem)?.problem;
    const what = sequence === undefined ? 'no version to show' : `no version ${sequence}`;
    const why = problem === undefined ? '' : `; of the newest: ${problem}`;
    throw marketAppError('MARKET_DATASET_UNKNOWN', `${uai} has ${what}${why}`);
  }

  /** @throws MARKET_DATASET_UNKNOWN */
  show(uai: string, choice: VersionChoice): ShownDataset {
    const dataset = this.#dataset(uai);
    return { dataset, version: this.#version(dataset, choice) };
  }

  /** Newest first. @throws MARKET_DATASET_UNKNOWN */
  versions(uai: string): readonly VersionFacts[] {
    return this.#reader.versions(this.#dataset(uai));
  }

  #quads(dataset: DatasetFacts, { record, problem }: VersionFacts): readonly Quad[] {
    const document = this.#reader.document(dataset, record.sequence);
    if (document === undefined)
      throw marketAppError(
        'MARKET_DATASET_UNKNOWN',
        `version ${record.sequence} of ${dataset.uai} is not shown: ${problem ?? 'its document is being read'}`,
      );
    return readRdf(document, { format: 'n-quads' });
  }

  /** @throws MARKET_DATASET_UNKNOWN */
  async document(uai: string, choice: VersionChoice, format: DocumentFormat): Promise<string> {
    const dataset = this.#dataset(uai);
    return rendered(this.#quads(dataset, this.#version(dataset, choice)), format);
  }

  /**
   * What two versions' public directories say differently.
   *
   * @param from the version before `to` when left out
   */
  diff(uai: string, from: number | undefined, to: number | undefined): DirectoryDifference {
    const dataset = this.#dataset(uai);
    const newer = this.#version(dataset, { sequence: to ?? dataset.latest });
    if (from === undefined && newer.record.sequence === 1)
      throw marketAppError(
        'MARKET_DATASET_UNKNOWN',
        `${uai} has nothing before version 1 to compare it with`,
      );
    const older = this.#version(dataset, { sequence: from ?? newer.record.sequence - 1 });
    const difference = diffDirectories(this.#quads(dataset, older), this.#quads(dataset, newer));
    return { from: older.record.sequence, to: newer.record.sequence, ...difference };
  }

  /** A page of the harvestable catalogue. */
  feed(afterId: number, base: string, title: string): FeedPage {
    const page = this.#reader.feedPage(afterId);
    return feedPageOf(
      page.map(({ id, document }) => ({ id, quads: readRdf(document, { format: 'n-quads' }) })),
      { base, title, total: this.#reader.status().datasets, afterId },
    );
  }
}

async function rendered(quads: readonly Quad[], format: DocumentFormat): Promise<string> {
  const text = (document: unknown) => `${JSON.stringify(document, null, 2)}\n`;
  switch (format) {
    case 'turtle':
    case 'n-quads':
      return writeRdf(quads, format);
    case 'json-ld':
      return text(await writeJsonLd(quads, MDDS_CONTEXT_IRI, BUILT_IN_CONTEXTS));
    case 'schema.org':
      return text(exportSchemaOrg(quads));
    case 'croissant':
      return text(exportCroissant(quads));
  }
}
