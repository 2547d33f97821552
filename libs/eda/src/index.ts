/**
 * EDA consensus: positions of blocks by sampled approximate agreement, finality by certificates. Pure:
 * `(state, event, now) → effects`.
 *
 * Owns: validator sets and what they tolerate, messages, positions, cuts, votes, attestations,
 * sortition. Does not own: sockets and disks (apps/node), what is in a block (`ledger`), stakes
 * (contracts).
 *
 * @example
 * const node = new EdaNode(config, nowUs, journal);
 * for (const effect of node.handle({ kind: 'wake' }, nowUs)) await carryOut(effect);
 */
export * from './authenticator.ts';
export * from './axis.ts';
export * from './aggregate.ts';
export * from './base.ts';
export * from './bls.ts';
export { BlsTally } from './bls-tally.ts';
export * from './certified-cuts.ts';
export * from './cuts.ts';
export * from './errors.ts';
export * from './evidence.ts';
export * from './journal.ts';
export * from './messages.ts';
export * from './node.ts';
export { OPEN_PER_AUTHOR } from './open-block.ts';
export { blockHash } from './positions.ts';
export * from './profiles.ts';
export * from './rules.ts';
export * from './sortition.ts';
export * from './types.ts';
export * from './validator-set.ts';
export * from './vote-rules.ts';
export * from './weighted.ts';
