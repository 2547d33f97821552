/** Audit: the job's event log, receipts and their offline verification. */
export * from './event.ts';
