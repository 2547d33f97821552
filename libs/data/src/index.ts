/**
 * Data: the owner's side of datasets. Looks at files, folders and tables, proposes what of it becomes
 * public, encrypts and stores, keeps what is secret, records versions, notices changes, grants access.
 *
 * Owns: extraction (in a process of its own), the owner's store, the pipeline from a change to a
 * version, grants. Does not own: what a directory is and how it is proved (`mdds`), encryption
 * (`storage`), the rules of versions on the chain (contract `metadata`), the catalogue of readers.
 *
 * @example
 * const { profile } = await extractSource('claims.csv');
 * profile.parts[0]?.tables[0]?.columns; // names, types, ranges, what they mean
 */
export * from './errors.ts';
export * from './extract/extract-source.ts';
export {
  EXTRACTION_LIMITS,
  type ExtractionLimits,
  columnValues,
} from './extract/extraction-process.ts';
export type * from './extract/source-profile.ts';
export * from './describe/describe-file.ts';
export * from './describe/proposal.ts';
export { isTableUrl, parseTableUrl } from './extract/postgres.ts';
export * from './extract/open-source.ts';
export * from './owner/data-home.ts';
export * from './owner/owner-store.ts';
export * from './owner/prove.ts';
export { type PublishOutcome } from './owner/publish.ts';
export * from './owner/sealed-record.ts';
export * from './owner/version-recorder.ts';
export { dropSlot } from './watch/postgres-slot.ts';
export * from './watch/watch-datasets.ts';
export * from './grant/fetch-data.ts';
export * from './grant/grant.ts';
export { type DataServer, type ServedFacts, serveData } from './grant/serve-data.ts';
export { watchSource } from './watch/change-sources.ts';
