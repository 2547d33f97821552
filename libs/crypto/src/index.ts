/**
 * Crypto: hashes, accounts, signatures, key files and signed HTTP messages.
 *
 * Owns: SHA-256, domain separation, ed25519 keys and their accounts, keystores, RFC 9421 signatures,
 * VRF (RFC 9381), HKDF.
 * Does not own: trees (`merkle`), where key files lie (apps), which nonce was seen by whom (apps keep
 * a `NonceWindow` each). May use node:crypto and nothing else of Node.
 *
 * @example
 * const signer = createSigner(generateKeyPair(randomness).seed);
 * const signature = signer.sign('seele/order/1', bytes);
 * verifySignature(signer.publicKey, 'seele/order/1', bytes, signature); // true
 */
export * from './accounts.ts';
export * from './content-digest.ts';
export { type BatchVerifier, type SignedMessage, createBatchVerifier } from './ed25519-tables.ts';
export * from './errors.ts';
export * from './hashes.ts';
export * from './hkdf.ts';
export * from './http-signature-base.ts';
export * from './http-signature.ts';
export * from './keyed-hash.ts';
export * from './keystore.ts';
export * from './nonce-window.ts';
export * from './signatures.ts';
export * from './vrf.ts';
