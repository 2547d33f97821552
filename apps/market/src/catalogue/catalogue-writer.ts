/** Keeps the catalogue's index in step with the chain; every write may be repeated. */
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { deflateRawSync } from 'node:zlib';
import { type DatasetRecord, type VersionRecord, versionRecord } from '#contracts';
import { type Bytes, encodeWith } from '#libs/kernel';
import type { CatalogueEntry } from '#libs/mdds';
import { CatalogueReader, versionFor } from './catalogue-reader.ts';
import { facetIdAfter } from './facet-counts.ts';
import { FACETS, type Facet, facetWord, plainText } from './search-query.ts';

/** A version whose document the index does not hold yet. */
export interface MissingDocument {
  readonly owner: string;
  readonly path: string;
  readonly sequence: number;
}

/** One whose document is to be read now. */
export interface DueDocument extends MissingDocument {
  readonly record: Uint8Array;
  /** How often it was begun before. */
  readonly tries: number;
}

const SECOND_MS = 1_000;
const RETRY_MS_MAX = 3_600_000;
const PROBLEM_MAX = 500;
const FACET_IDS_MAX = 50_000;

export class CatalogueWriter {
  readonly #database: DatabaseSync;
  readonly #reader: CatalogueReader;
  readonly #statements = new Map<string, StatementSync>();
  readonly #facetIds = new Map<string, number>();

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#reader = new CatalogueReader(database);
  }

  #run(sql: string, ...values: SQLInputValue[]): void {
    this.#prepare(sql).run(...values);
  }
  #prepare(sql: string): StatementSync {
    const statement = this.#statements.get(sql) ?? this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
  #idOf(owner: string, path: string): number | undefined {
    const row = this.#prepare('SELECT id FROM dataset WHERE owner = ? AND path = ?').get(
      owner,
      path,
    );
    return row?.['id'] as number | undefined;
  }

  /** All of what `work` writes, or nothing. */
  inTransaction<T>(work: () => T): T {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.#database.exec('COMMIT');
      return result;
    } catch (error) {
      this.#facetIds.clear();
      this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  get height(): number {
    return this.#reader.status().height;
  }

  /** Everything up to this height is in; roll-outs whose steps begin by then take effect. */
  advance(height: number): void {
    this.#run("INSERT OR REPLACE INTO meta VALUES ('height', ?)", String(height));
    const due = this.#prepare('SELECT id, owner, path FROM dataset WHERE dueHeight <= ?').all(
      height,
    );
    for (const { id, owner, path } of due)
      this.#show(id as number, owner as string, path as string, height);
  }

  /** @param uai with the owner's account */
  putDataset(uai: string, record: DatasetRecord, height: number): void {
    const { owner, path, latest, endpoint = null, grantEpoch, withdrawn } = record;
    this.#run(
      `INSERT INTO dataset (owner, path, uai, latest, endpoint, grantEpoch, withdrawn)
       VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (owner, path) DO UPDATE SET latest = excluded.latest,
         endpoint = excluded.endpoint, grantEpoch = excluded.grantEpoch,
         withdrawn = excluded.withdrawn`,
      ...[owner, path, uai, latest, endpoint, grantEpoch, withdrawn ? 1 : 0],
    );
    this.#show(this.#idOf(owner, path) as number, owner, path, height);
  }

  /** The chain's record of a version of a dataset that was put before. */
  putVersion(record: VersionRecord, height: number): void {
    const { owner, path, sequence } = record;
    const id = this.#idOf(owner, path);
    if (id === undefined) return;
    this.#run(
      `INSERT INTO version (dataset, sequence, record, retryAtMs) VALUES (?, ?, ?, 0)
       ON CONFLICT (dataset, sequence) DO UPDATE SET record = excluded.record`,
      ...[id, sequence, encodeWith(versionRecord, record)],
    );
    this.#show(id, owner, path, height);
  }

  /** Its document was read and is what the chain committed to. */
  admit(of: MissingDocument, entry: CatalogueEntry, document: Bytes, height: number): void {
    const id = this.#idOf(of.owner, of.path);
    if (id === undefined) return;
    this.#run(
      `UPDATE version SET entry = ?, document = ?, problem = NULL, retryAtMs = NULL
       WHERE dataset = ? AND sequence = ?`,
      ...[JSON.stringify(entry), deflateRawSync(document), id, of.sequence],
    );
    this.#show(id, of.owner, of.path, height);
  }

  /** Its document is not what the chain committed to, and never will be. */
  refuse(of: MissingDocument, problem: string): void {
    this.#run(
      `UPDATE version SET problem = ?, retryAtMs = NULL
       WHERE sequence = ? AND dataset = (SELECT id FROM dataset WHERE owner = ? AND path = ?)`,
      ...[problem.slice(0, PROBLEM_MAX), of.sequence, of.owner, of.path],
    );
  }

  /**
   * Its document is about to be read: next time after a while that doubles up to an hour, so that one
   * that takes the reader down with it does not do so all the time.
   */
  begin(of: MissingDocument, nowMs: number): void {
    this.#run(
      `UPDATE version SET tries = tries + 1, retryAtMs = ? + min(?, ? * (1 << min(tries, 12)))
       WHERE sequence = ? AND dataset = (SELECT id FROM dataset WHERE owner = ? AND path = ?)`,
      ...[nowMs, RETRY_MS_MAX, SECOND_MS, of.sequence, of.owner, of.path],
    );
  }

  /** Its document could not be read this time. */
  postpone(of: MissingDocument, problem: string): void {
    this.#run(
      `UPDATE version SET problem = ?
       WHERE sequence = ? AND dataset = (SELECT id FROM dataset WHERE owner = ? AND path = ?)`,
      ...[problem.slice(0, PROBLEM_MAX), of.sequence, of.owner, of.path],
    );
  }

  /** Versions whose documents are to be read now. */
  missing(nowMs: number, count: number): readonly DueDocument[] {
    return this.#prepare(
      `SELECT d.owner, d.path, v.sequence, v.record, v.tries FROM version v JOIN dataset d ON d.id = v.dataset
       WHERE v.retryAtMs <= ? ORDER BY v.retryAtMs LIMIT ?`,
    ).all(nowMs, count) as unknown as DueDocument[];
  }

  /** Makes what is searched agree with what every reader takes at `height`. */
  #show(id: number, owner: string, path: string, height: number): void {
    const versions = this.#reader.versions({ owner, path });
    const steps = versions.flatMap(({ record }) => record.rollout);
    const ahead = steps.map((step) => step.activationHeight).filter((at) => at > height);
    const version = versionFor(versions, undefined, height);
    const { withdrawn } = this.#prepare('SELECT withdrawn FROM dataset WHERE id = ?').get(id) as {
      withdrawn: number;
    };
    this.#run(
      'UPDATE dataset SET shown = ?, alias = ?, dueHeight = ? WHERE id = ?',
      version?.record.sequence ?? null,
      version?.entry?.uai ?? null,
      ahead.length === 0 ? null : Math.min(...ahead),
      id,
    );
    this.#forget(id);
    if (version?.entry !== undefined && withdrawn === 0) this.putEntry(id, version.entry);
  }

  #forget(id: number): void {
    for (const table of ['entry', 'entryText', 'place'])
      this.#run(`DELETE FROM ${table} WHERE id = ?`, id);
    this.#run('DELETE FROM words WHERE rowid = ?', id);
  }

  /** What is searched of one dataset. */
  putEntry(id: number, entry: CatalogueEntry): void {
    const { publisher, price, modified, temporal, spatial } = entry;
    const facets = FACETS.flatMap((kind) =>
      [...new Set(facetValues(entry, kind))].map((value) => [kind, value] as const),
    );
    const box = spatial ? [spatial.west, spatial.east, spatial.south, spatial.north] : [];
    const facetIds = Uint32Array.from(facets, ([kind, value]) => this.#facetId(kind, value));
    this.#run(
      'INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
      ...[id, modified, price === undefined ? null : Number(price), ...datesOf(temporal)],
      ...(spatial ? box : [null, null, null, null]),
      new Uint8Array(facetIds.buffer),
    );
    this.#run('INSERT INTO entryText VALUES (?, ?)', id, JSON.stringify(entry));
    const themes = entry.themes.map(({ label = '' }) => label);
    this.#run(
      'INSERT INTO words (rowid, title, description, keywords, columns, publisher, facets) VALUES (?, ?, ?, ?, ?, ?, ?)',
      ...[id, plainText(entry.title), plainText(entry.description)],
      plainText([...entry.keywords, ...themes].join(' \n ')),
      plainText(entry.columns.map(({ name }) => name).join(' \n ')),
      plainText(publisher.name ?? ''),
      facets.map(([kind, value]) => facetWord(kind, value)).join(' '),
    );
    if (spatial) this.#run('INSERT INTO place VALUES (?, ?, ?, ?, ?)', id, ...box);
  }

  #facetId(kind: Facet, value: string): number {
    const key = `${kind}\n${value}`;
    const known = this.#facetIds.get(key);
    if (known !== undefined) return known;
    const kindIndex = FACETS.indexOf(kind);
    const found = this.#prepare('SELECT id FROM facetValue WHERE value = ? AND kind = ?').get(
      ...[value, kindIndex],
    );
    const id = (found?.['id'] as number | undefined) ?? this.#newFacetId(value, kindIndex);
    if (this.#facetIds.size >= FACET_IDS_MAX) this.#facetIds.clear();
    this.#facetIds.set(key, id);
    return id;
  }

  #newFacetId(value: string, kindIndex: number): number {
    const { last } = this.#prepare('SELECT max(id) AS last FROM facetValue').get() as {
      last: number | null;
    };
    const id = facetIdAfter(last ?? 0, kindIndex);
    this.#run('INSERT INTO facetValue VALUES (?, ?, ?)', id, value, kindIndex);
    return id;
  }
}

/** Open ends become dates before and after all others, so that an index finds what overlaps. */
function datesOf(temporal: CatalogueEntry['temporal']): readonly (string | null)[] {
  return temporal ? [temporal.start ?? '0000', temporal.end ?? '9999'] : [null, null];
}

function facetValues(entry: CatalogueEntry, kind: Facet): readonly string[] {
  switch (kind) {
    case 'keyword':
      return entry.keywords;
    case 'theme':
      return entry.themes.map(({ iri }) => iri);
    case 'column':
      return entry.columns.map(({ name }) => name);
    case 'mediaType':
      return entry.mediaTypes;
    case 'mechanism':
      return entry.mechanisms;
    case 'purpose':
      return entry.purpose === undefined ? [] : [entry.purpose];
    case 'publisher':
      return [entry.publisher.iri];
  }
}
