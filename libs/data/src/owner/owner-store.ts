/**
 * What an owner keeps, `$SEELE_HOME/data/owner.sqlite` (mode 0600): datasets, their versions with the
 * complete directories and all secrets (sealed), noticed changes, and uses of grants. Every write is
 * durable when it returns.
 */
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { makeDirectory } from '#libs/platform';
import type { DescribeFile } from '../describe/describe-file.ts';
import { dataError } from '../errors.ts';
import type { RecordSeal } from './sealed-record.ts';

export type DataMode = 'ipfs' | 'metadata-only';

export interface DatasetSettings {
  /** Absolute path, or URL of a table. */
  readonly source: string;
  readonly mode: DataMode;
  /** Each column in a container of its own. */
  readonly perColumn: boolean;
  readonly say: DescribeFile;
}

export interface StoredDataset {
  readonly name: string;
  readonly uai: string;
  /** Part of the UAI below the account. */
  readonly path: string;
  /** Name of the account in this home. */
  readonly account: string;
  readonly settings: DatasetSettings;
}

/** Everything secret about a version. */
export interface VersionSecrets {
  /** Canonical N-Quads. */
  readonly complete: string;
  readonly public: string;
  /** Secret of the commitment, hex. */
  readonly secret: string;
  readonly rootCid?: string;
  /** Salt of the commitment to the root CID, hex. */
  readonly contentSalt?: string;
}

export type VersionState = 'prepared' | 'stored' | 'recorded';

export interface StoredVersion {
  readonly sequence: number;
  readonly state: VersionState;
  readonly version: string;
  /** Hash of what is said, without what every version says anew. */
  readonly draftHash: string;
  readonly publicHash: string;
  readonly completeHash: string;
  readonly quadRoot: string;
  readonly quadCount: number;
  readonly contentCommitment?: string;
  /** When the public directory lies in storage. */
  readonly publicCid?: string;
  readonly rollout: readonly { readonly percent: number; readonly activationHeight: number }[];
  readonly fallback?: number;
  /** When the change that led to it was noticed, by the clock of this machine. */
  readonly noticedUs: number;
  readonly recordedUs?: number;
  readonly height?: number;
  readonly secrets: VersionSecrets;
}

type VersionHead = Omit<
  StoredVersion,
  'sequence' | 'state' | 'secrets' | 'draftHash' | 'completeHash'
>;

const SCHEMA = `
CREATE TABLE IF NOT EXISTS dataset (
  name TEXT PRIMARY KEY, uai TEXT NOT NULL UNIQUE, path TEXT NOT NULL, account TEXT NOT NULL,
  settings BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS version (
  name TEXT NOT NULL, sequence INTEGER NOT NULL, state TEXT NOT NULL, draft_hash TEXT NOT NULL,
  complete_hash TEXT NOT NULL, head TEXT NOT NULL, secrets BLOB NOT NULL,
  PRIMARY KEY (name, sequence)
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS version_by_hash ON version (name, complete_hash);
CREATE TABLE IF NOT EXISTS change (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, noticed_us INTEGER NOT NULL,
  taken INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE IF NOT EXISTS mark (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS grant_use (
  grant_id TEXT NOT NULL, use_id TEXT NOT NULL, used_us INTEGER NOT NULL,
  PRIMARY KEY (grant_id, use_id)
) STRICT;`;

interface VersionRow {
  readonly sequence: number;
  readonly state: VersionState;
  readonly draft_hash: string;
  readonly complete_hash: string;
  readonly head: string;
  readonly secrets: Uint8Array;
}

const settingsContext = (name: string) => `settings of ${name}`;
const secretsContext = (name: string, sequence: number) => `version ${sequence} of ${name}`;

export class OwnerStore {
  readonly #database: DatabaseSync;
  readonly #seal: (account: string) => RecordSeal;
  readonly #statements = new Map<string, StatementSync>();

  /** @param seal of an account of this home; called when something of it is read or written */
  constructor(folder: string, seal: (account: string) => RecordSeal) {
    makeDirectory(folder, 0o700);
    const path = join(folder, 'owner.sqlite');
    // SQLite gives the files beside it the mode of this one.
    closeSync(openSync(path, 'a', 0o600));
    this.#database = new DatabaseSync(path);
    this.#database.exec('PRAGMA busy_timeout = 10000');
    for (const pragma of ['journal_mode = WAL', 'synchronous = FULL', 'foreign_keys = ON'])
      this.#database.exec(`PRAGMA ${pragma}`);
    this.#database.exec(SCHEMA);
    this.#seal = seal;
  }

  close(): void {
    this.#database.close();
  }

  #sql(text: string): StatementSync {
    const known = this.#statements.get(text) ?? this.#database.prepare(text);
    this.#statements.set(text, known);
    return known;
  }

  putDataset({ name, uai, path, account, settings }: StoredDataset): void {
    const sealed = this.#seal(account).seal(settingsContext(name), settings);
    this.#sql(
      `INSERT INTO dataset VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET settings = excluded.settings`,
    ).run(name, uai, path, account, sealed);
  }

  datasets(): readonly Omit<StoredDataset, 'settings'>[] {
    return this.#sql(
      'SELECT name, uai, path, account FROM dataset ORDER BY name',
    ).all() as unknown as readonly Omit<StoredDataset, 'settings'>[];
  }

  /** @throws DATA_UNKNOWN, DATA_STORE */
  dataset(name: string): StoredDataset {
    const found = this.findDataset(name);
    if (found === undefined) throw dataError('DATA_UNKNOWN', `there is no dataset "${name}" here`);
    return found;
  }

  findDataset(name: string): StoredDataset | undefined {
    const row = this.#sql('SELECT * FROM dataset WHERE name = ?').get(name) as
      | (Omit<StoredDataset, 'settings'> & { settings: Uint8Array })
      | undefined;
    if (row === undefined) return undefined;
    const { settings, ...facts } = row;
    const opened = this.#seal(row.account).open(settingsContext(name), settings);
    return { ...facts, settings: opened as DatasetSettings };
  }

  /** @throws DATA_CONFLICT when there is such a version already */
  addVersion({ name, account }: StoredDataset, version: StoredVersion): void {
    const { sequence, state, secrets, draftHash, completeHash, ...head } = version;
    const sealed = this.#seal(account).seal(secretsContext(name, sequence), secrets);
    try {
      this.#sql('INSERT INTO version VALUES (?, ?, ?, ?, ?, ?, ?)').run(
        ...[name, sequence, state, draftHash, completeHash, JSON.stringify(head), sealed],
      );
    } catch (cause) {
      throw dataError('DATA_CONFLICT', `version ${sequence} of ${name} is being made elsewhere`, {
        cause,
      });
    }
  }

  advance(
    { name }: Pick<StoredDataset, 'name'>,
    {
      sequence,
      state: _state,
      secrets: _secrets,
      draftHash: _draft,
      completeHash: _hash,
      ...head
    }: StoredVersion,
    state: VersionState,
    more: Partial<VersionHead> = {},
  ): void {
    this.#sql('UPDATE version SET state = ?, head = ? WHERE name = ? AND sequence = ?').run(
      ...[state, JSON.stringify({ ...head, ...more }), name, sequence],
    );
  }

  versions(dataset: Pick<StoredDataset, 'name' | 'account'>): readonly StoredVersion[] {
    const rows = this.#sql('SELECT * FROM version WHERE name = ? ORDER BY sequence').all(
      dataset.name,
    );
    return (rows as unknown as VersionRow[]).map((row) => this.#versionOf(dataset, row));
  }

  latest(dataset: Pick<StoredDataset, 'name' | 'account'>): StoredVersion | undefined {
    const row = this.#sql(
      'SELECT * FROM version WHERE name = ? ORDER BY sequence DESC LIMIT 1',
    ).get(dataset.name) as unknown as VersionRow | undefined;
    return row && this.#versionOf(dataset, row);
  }

  #versionOf(
    { name, account }: Pick<StoredDataset, 'name' | 'account'>,
    row: VersionRow,
  ): StoredVersion {
    const { sequence, state, draft_hash: draftHash, complete_hash: completeHash } = row;
    const seal = this.#seal(account);
    return {
      ...(JSON.parse(row.head) as VersionHead),
      ...{ sequence, state, draftHash, completeHash },
      // Opened when asked for: lists of many versions need none of them.
      get secrets() {
        return seal.open(secretsContext(name, sequence), row.secrets) as VersionSecrets;
      },
    };
  }

  /** A change of the source was noticed; one that waits already stands for it, one in work does not. */
  noticeChange(name: string, noticedUs: number): void {
    this.#sql(
      'INSERT INTO change (name, noticed_us) SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM change WHERE name = ? AND taken = 0)',
    ).run(name, noticedUs, name);
  }

  /** The oldest change, which is now in work until it is settled; after a crash it is given again. */
  takeChange(name: string): { readonly id: number; readonly noticedUs: number } | undefined {
    return this.#sql(
      'UPDATE change SET taken = 1 WHERE id = (SELECT min(id) FROM change WHERE name = ?) RETURNING id, noticed_us AS noticedUs',
    ).get(name) as { id: number; noticedUs: number } | undefined;
  }

  hasChange(name: string): boolean {
    return this.#sql('SELECT 1 FROM change WHERE name = ?').get(name) !== undefined;
  }

  settleChange(id: number): void {
    this.#sql('DELETE FROM change WHERE id = ?').run(id);
  }

  mark(name: string): string | undefined {
    return (
      this.#sql('SELECT value FROM mark WHERE name = ?').get(name) as { value: string } | undefined
    )?.value;
  }

  setMark(name: string, value: string): void {
    this.#sql(
      'INSERT INTO mark VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
    ).run(name, value);
  }

  /** Counts a use of a grant once. @returns false when there are as many as allowed already */
  useGrant(grantId: string, useId: string, usesMax: number, nowUs: number): boolean {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const known = this.#sql('SELECT 1 FROM grant_use WHERE grant_id = ? AND use_id = ?');
      const count = this.#sql('SELECT count(*) AS uses FROM grant_use WHERE grant_id = ?');
      const isKnown = known.get(grantId, useId) !== undefined;
      const { uses } = count.get(grantId) as { uses: number };
      if (!isKnown && uses < usesMax)
        this.#sql('INSERT INTO grant_use VALUES (?, ?, ?)').run(grantId, useId, nowUs);
      this.#database.exec('COMMIT');
      return isKnown || uses < usesMax;
    } catch (error) {
      this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  usesOf(grantId: string): number {
    const row = this.#sql('SELECT count(*) AS uses FROM grant_use WHERE grant_id = ?').get(grantId);
    return (row as { uses: number }).uses;
  }
}

/** Names of datasets: the last part of their UAI. */
export function isDatasetName(name: string): boolean {
  return /^[a-z0-9][a-z0-9._-]{0,63}$/.test(name);
}
