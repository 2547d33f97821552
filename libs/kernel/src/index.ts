/**
 * Kernel: what every other library speaks. Canonical bytes, typed shapes, identifiers, money, typed
 * errors, and the ports through which pure code meets clocks, randomness and disks.
 *
 * Owns: the one canonical encoding (DAG-CBOR), `SeeleError`, units. Does not own: hashes and
 * signatures (`crypto`), trees (`merkle`), files and sockets (adapters in `store`, `platform`, apps).
 *
 * @example
 * const point = record({ x: uint(), y: uint() });
 * decodeWith(point, encodeWith(point, { x: 1, y: 2 }));
 */
export * from './account-id.ts';
export * from './amount.ts';
export * from './bytes.ts';
export * from './cbor-cursor.ts';
export * from './cbor-decode.ts';
export * from './cbor-encode.ts';
export * from './codec.ts';
export { directRelative } from './direct.ts';
export * from './errors.ts';
export * from './ports.ts';
export * from './randomness.ts';
