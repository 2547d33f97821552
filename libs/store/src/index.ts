/**
 * Store: the kernel's ordered key-value port on disk (LMDB) and in memory (with power cuts, for
 * simulations). One conformance suite runs on both.
 *
 * Owns: durability (one fsynced commit per batch), snapshots, refusing damaged or occupied files.
 * Does not own: what the keys mean (`ledger`), queues and tables (`apps/market`).
 *
 * @example
 * const store = openLmdbStore({ path: join(home, 'node') });
 * await store.commit([{ key: utf8('a'), value: utf8('1') }]); // durable once this resolves
 */
export * from './directory-lock.ts';
export * from './errors.ts';
export * from './lmdb-file.ts';
export * from './lmdb-store.ts';
export * from './memory-store.ts';
