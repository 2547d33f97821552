/** Ledger: transactions, blocks, state and the execution of contracts. */
export * from './contract.ts';
