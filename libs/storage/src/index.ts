/**
 * Storage: content-addressed blobs behind one port, `BlobStore`.
 *
 * Owns: the port, its Kubo RPC and in-memory adapters, the CID profile, the reading and checking of
 * UnixFS files, encryption before anything is stored. Does not own: the process that keeps the blocks
 * (`apps/storage`, or any Kubo), deals and proofs, who is granted a key.
 *
 * @example
 * const store = createKuboBlobStore({ url: 'http://127.0.0.1:7402', token });
 * const { cid } = await store.put(utf8('hello'));
 * utf8Decode(await readBlob(store, cid, { maxBytes: 1024 })); // 'hello'
 */
export * from './blob-store.ts';
export * from './cids.ts';
export * from './errors.ts';
export * from './file-reader.ts';
export * from './file-writer.ts';
export * from './kubo-archive.ts';
export * from './kubo-blob-store.ts';
export { ERROR_CODE_HEADER } from './kubo-errors.ts';
export * from './memory-blob-store.ts';
export * from './possession/sectors.ts';
export * from './pull-content.ts';
export * from './read-blob.ts';
export * from './sealed/index.ts';
