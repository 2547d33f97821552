/**
 * System contracts: the rules of money, names, resources, orders and audit anchors that every chain
 * is born with. Pure TypeScript, run by the ledger; also the documents they understand.
 */
export * from './orders/documents.ts';
