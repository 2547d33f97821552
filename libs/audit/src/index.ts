/**
 * Audit: the job's event log, the operator's log over all jobs, receipts and their offline
 * verification.
 *
 * Owns: log entries and batches, checkpoints, the receipt file and what verifying it means. Does not
 * own: who holds the log when (`market`), anchoring (`#contracts` audit), storing any of it (apps).
 *
 * @example
 * const verdict = verifyReceipt(bytes, { trust: genesisId });
 * for (const { ok, words } of verdict.checks) console.log(ok ? 'ok' : 'FAILED', words);
 */
export * from './entry-kinds.ts';
export * from './errors.ts';
export * from './event.ts';
export * from './log-chain.ts';
export * from './operator-log.ts';
export * from './receipt-file.ts';
export { type PaidBatch, buildTaskReceipt, settledOf } from './units.ts';
export * from './verify-receipt.ts';
