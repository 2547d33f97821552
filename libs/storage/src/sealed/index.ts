/** What of the sealed containers other parts use. */
export { SEALED_CHUNK_BYTES } from './chunk-cipher.ts';
export * from './commitment.ts';
export { readEnvelopeContent } from './envelope.ts';
export * from './key-wrap.ts';
export { isSealedCid, sealBlob } from './sealed-blob.ts';
export type { SealedBlob, SealedRef, SealOptions } from './sealed-blob.ts';
export * from './sealed-folder.ts';
export * from './x25519-key-wrap.ts';
