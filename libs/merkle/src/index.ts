/**
 * Merkle: the two trees everything is proved with. `LogTree` is append-only (RFC 6962, RFC 9162):
 * inclusion of an entry, consistency of two states of a log. `StateTree` is a compact sparse tree over
 * 32-byte keys: what a key holds, or that it holds nothing.
 *
 * Owns: tree hashing, proofs and their verification. Does not own: what is hashed into keys and
 * leaves (`ledger`, `audit`), where nodes are stored (a `NodeReader` and returned writes).
 *
 * @example
 * const tree = createStateTree({ reader });
 * tree.update(key, valueHash);
 * const { root, writes } = tree.commit();
 * verifyStateProof(root, keyHex, valueHashHex, tree.prove(key)); // true
 */
export { type ByteText, bytesToText } from './byte-text.ts';
export * from './errors.ts';
export * from './log-multi-proof.ts';
export * from './log-proofs.ts';
export * from './log-tree.ts';
export { NodeWrites } from './node-writes.ts';
export * from './sectors.ts';
export * from './state-proof.ts';
export * from './state-range.ts';
export * from './state-tree.ts';
