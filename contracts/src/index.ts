/**
 * System contracts: the rules of money, names, resources, orders and audit anchors that every chain
 * is born with. Pure TypeScript, run by the ledger; also the documents they understand.
 *
 * Owns: what a call does to a contract's state, state layouts, revert codes, events. Does not own:
 * transactions, fuel and proofs (`ledger`), when a market makes which call (`market`).
 *
 * @example
 * const id = orderId(order);
 * const call = ordersCalls.place({ order, publicKey, signature }); // goes into a transaction
 * decodeWith(orderRecord, stateOf('orders', ordersKeys.order(id))); // what became of it
 */
export * from './audit/anchors.ts';
export {
  type ContractCall,
  type ContractEvent,
  type EmittedEvent,
  readEvent,
} from './contract-kit.ts';
export * from './deals/deals.ts';
export { sectorsOfChallenge } from './deals/proving.ts';
export * from './deals/state.ts';
export { type UnitAnswer, unitAnswer } from './disputes/convicting-units.ts';
export * from './disputes/disputes.ts';
export * from './disputes/events.ts';
export { findingCommitment } from './disputes/panel.ts';
export {
  type BondRecord,
  type DisputeRecord,
  type DisputedClaim,
  type Finding,
  bondRecord,
  disputeId,
  disputeRecord,
  disputedClaim,
  disputesKeys,
  disputesSettings,
} from './disputes/state.ts';
export * from './errors.ts';
export * from './metadata/metadata.ts';
export { type RolloutStep, isRollout, mergeRollout } from './metadata/rollout.ts';
export * from './names/names.ts';
export * from './orders/batch-documents.ts';
export { batchKeys } from './orders/batches.ts';
export * from './orders/documents.ts';
export * from './orders/events.ts';
export * from './orders/orders.ts';
export * from './orders/rules.ts';
export * from './orders/state.ts';
export * from './orders/units.ts';
export * from './reputation/derive.ts';
export * from './reputation/reputation.ts';
export * from './resources/resources.ts';
export * from './stake/stake.ts';
export * from './system-contracts.ts';
export * from './token/token.ts';
export * from './user/test-chain.ts';
export * from './user/user-contracts.ts';
