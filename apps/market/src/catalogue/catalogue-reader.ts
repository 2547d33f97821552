/** Reads the catalogue's index: search, a dataset, its versions and their documents. */
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { inflateRawSync } from 'node:zlib';
import { type VersionRecord, versionRecord } from '#contracts';
import { type Bytes, decodeWith } from '#libs/kernel';
import { type CatalogueEntry, MDDS_LIMITS, rolloutBucket, percentAt } from '#libs/mdds';
import { FEED_PAGE_DATASETS } from './dcat-feed.ts';
import { CatalogueSearcher, type SearchResult } from './catalogue-search.ts';
import type { CatalogueSearch } from './search-query.ts';

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

const FEED_PAGE_BYTES = 4 * 1024 * 1024;

type Row = Record<string, SQLInputValue>;

export class CatalogueReader {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #searcher: CatalogueSearcher;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#searcher = new CatalogueSearcher((sql) => this.#prepare(sql));
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

  /** @throws MARKET_SEARCH */
  search(search: CatalogueSearch): SearchResult {
    return this.#searcher.search(search);
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
