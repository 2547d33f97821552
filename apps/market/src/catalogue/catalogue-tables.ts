/**
 * Tables of the catalogue's index. It is a cache of the chain: opened with another layout, for another
 * chain or damaged, it is thrown away and filled again.
 */
import { rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';

/** Raised whenever tables change. */
const LAYOUT = 3;

const TABLES = `
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE dataset (
  id INTEGER PRIMARY KEY,
  owner TEXT NOT NULL,
  path TEXT NOT NULL,
  uai TEXT NOT NULL UNIQUE,
  alias TEXT,
  latest INTEGER NOT NULL,
  endpoint TEXT,
  grantEpoch INTEGER NOT NULL,
  withdrawn INTEGER NOT NULL,
  -- The version that every reader takes at the height indexed; null while there is none.
  shown INTEGER,
  -- Next height at which a roll-out's step begins.
  dueHeight INTEGER,
  UNIQUE (owner, path)
);
CREATE INDEX dataset_alias ON dataset (alias);
CREATE INDEX dataset_due ON dataset (dueHeight) WHERE dueHeight IS NOT NULL;
CREATE TABLE version (
  dataset INTEGER NOT NULL REFERENCES dataset,
  sequence INTEGER NOT NULL,
  record BLOB NOT NULL,
  -- Null while the document was not admitted.
  entry TEXT,
  document BLOB,
  problem TEXT,
  tries INTEGER NOT NULL DEFAULT 0,
  retryAtMs INTEGER,
  PRIMARY KEY (dataset, sequence)
) WITHOUT ROWID;
CREATE INDEX version_retry ON version (retryAtMs) WHERE retryAtMs IS NOT NULL;
-- What is searched: one row for each dataset that shows a version and is not withdrawn. Narrow, since
-- a search looks at thousands of them; what it answers with is in entryText.
CREATE TABLE entry (
  id INTEGER PRIMARY KEY REFERENCES dataset,
  modified TEXT NOT NULL,
  price REAL,
  -- Dates; where one end is open '0000' and '9999'; null when nothing is said.
  starts TEXT,
  ends TEXT,
  west REAL,
  east REAL,
  south REAL,
  north REAL,
  -- Ids of facetValue, 32 bits each: for counting. Found by are facets as words.
  facets BLOB NOT NULL
);
CREATE TABLE entryText (id INTEGER PRIMARY KEY, json TEXT NOT NULL);
-- Holds all that a search without words looks at.
CREATE INDEX entry_newest
  ON entry (modified DESC, id, price, starts, ends, west, east, south, north);
CREATE INDEX entry_price ON entry (price);
-- The id's last bits say of which kind it is.
CREATE TABLE facetValue (id INTEGER PRIMARY KEY, value TEXT NOT NULL, kind INTEGER NOT NULL);
CREATE UNIQUE INDEX facetValue_value ON facetValue (value, kind);
CREATE VIRTUAL TABLE place USING rtree (id, west, east, south, north);
CREATE VIRTUAL TABLE words USING fts5 (
  title, description, keywords, columns, publisher, facets,
  content = '', contentless_delete = 1, prefix = '2 3', tokenize = 'unicode61 remove_diacritics 2'
);
`;

/** Words of a transaction are kept together up to this before they are written as one part of the index. */
const WORDS_HELD_BYTES = 16 * 2 ** 20;
/** Pages written twice between two checkpoints cost one write; 16 MiB of them. */
const CHECKPOINT_PAGES = 4_096;

// Mapped, pages of the index are read where the system caches them, not copied one by one.
const COMMON = `PRAGMA busy_timeout = 5000; PRAGMA cache_size = -32000; PRAGMA foreign_keys = OFF;
PRAGMA mmap_size = ${16 * 2 ** 30};`;

function open(file: string): DatabaseSync {
  const database = new DatabaseSync(file);
  // A cache: a power cut may cost the last seconds, which the chain gives again.
  database.exec(
    `PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
     PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}; ${COMMON}`,
  );
  return database;
}

function isOurs(database: DatabaseSync, chain: string): boolean {
  const { user_version: layout } = database.prepare('PRAGMA user_version').get() as {
    user_version: number;
  };
  if (layout !== LAYOUT) return false;
  const row = database.prepare("SELECT value FROM meta WHERE key = 'chain'").get();
  const { quick_check: check } = database.prepare('PRAGMA quick_check(1)').get() as {
    quick_check: string;
  };
  return row?.['value'] === chain && check === 'ok';
}

function throwAway(file: string): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true });
}

/**
 * Opens the index for writing; a new one when what is there is of no use.
 *
 * @param file path, or `:memory:`
 */
export function openCatalogueTables(file: string, chain: string): DatabaseSync {
  if (file !== ':memory:')
    try {
      const database = open(file);
      if (isOurs(database, chain)) return database;
      database.close();
      throwAway(file);
    } catch {
      throwAway(file);
    }
  const database = open(file);
  database.exec(
    `BEGIN; ${TABLES} INSERT INTO words (words, rank) VALUES ('hashsize', ${WORDS_HELD_BYTES});
     PRAGMA user_version = ${LAYOUT}; COMMIT;`,
  );
  database.prepare("INSERT INTO meta VALUES ('chain', ?)").run(chain);
  return database;
}

/** Opens an index that a writer keeps, for reading beside it. */
export function openCatalogueReader(file: string): DatabaseSync {
  const database = new DatabaseSync(file, { readOnly: true });
  database.exec(COMMON);
  return database;
}
