/**
 * Ledger: signed transactions, blocks, contract execution, state with proofs.
 *
 * Owns: what a transaction, block, receipt, genesis and state proof is; the deterministic state
 * transition with its revert journal, fuel and fees; the bounded mempool; the ordering port and its
 * development adapter `solo`. Does not own: the contracts (`#contracts`), the disk (`store`), sockets,
 * clocks and processes (`apps/node`).
 */
export * from './block.ts';
export * from './chain.ts';
export * from './chain-reads.ts';
export * from './contract.ts';
export { isHashSignedBySet, isSignedBySet } from './eda-certificate.ts';
export * from './eda-ordering.ts';
export * from './errors.ts';
export * from './fees.ts';
export * from './finality-proof.ts';
export * from './fuel.ts';
export * from './fuel-price.ts';
export * from './genesis.ts';
export * from './harness.ts';
export * from './machine.ts';
export {
  type CallFailure,
  type CallOutcome,
  MAX_CALL_DEPTH,
  MAX_EVENTS,
  MAX_KEY_BYTES,
  MAX_VALUE_BYTES,
  type MachineRun,
  type VerifySignature,
} from './frames.ts';
export * from './mempool.ts';
export * from './ordering.ts';
export * from './producer.ts';
export * from './solo.ts';
export * from './state-copy.ts';
export * from './state-keys.ts';
export * from './state-proof.ts';
export * from './transaction.ts';
export {
  type DeployedContract,
  STATE_GROWTH_MAX_BYTES,
  type StateView,
  USER_FUEL,
  type UserContracts,
} from './user-frames.ts';
export { nonceKey, LEDGER_STATE } from './execute-transaction.ts';
export type { ChainHead } from './open-chain.ts';
export type { StateJournal, StateReader } from './journal.ts';
