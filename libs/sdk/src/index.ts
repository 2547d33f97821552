/**
 * SDK: what programs use to buy computing: describing and signing jobs, talking to a market, a node
 * and storage, following what happens.
 *
 * Owns: request signing and retries on the caller's side, the market client. Does not own: keys on
 * disk (the caller's), any rule of orders (`#libs/market`, `#contracts`).
 */
export * from './catalogue-client.ts';
export * from './chain.ts';
export * from './errors.ts';
export * from './event-stream.ts';
export * from './array-outputs.ts';
export * from './jobs.ts';
export {
  type FileJob,
  type JobFile,
  type JobSource,
  type UaiSource,
  JOB_FILE_MAX_BYTES,
  readJobFile,
  sourceOf,
} from './job-file/read-job-file.ts';
export { type FileJobText, jobFileSchema } from './job-file/schema.ts';
export * from './transport.ts';
export { type NodeClient, createNodeClient } from '#libs/platform';
export * from './market-client.ts';
export type * from './market-types.ts';
export * from './webhooks.ts';
