/**
 * Erasure coding: content in k data shards and m parity shards, any k of which give all of it back.
 *
 * Owns: the Reed–Solomon code over GF(2^8), its kernel on WebAssembly SIMD and the scalar reference,
 * cutting content into shards. Does not own: where shards are kept, how they are named and checked
 * (`storage`), who is paid for keeping them (contract `deals`).
 *
 * @example
 * const code = createErasureCode(DEAL_SHAPE); // 10 + 6
 * const data = splitIntoShards(content, code.dataShards);
 * const shards = [...data, ...code.encode(data)];
 * const whole = code.rebuild(shards.map((shard, i) => (i < 6 ? undefined : shard)));
 * joinShards(whole.slice(0, code.dataShards), content.length); // content
 */
export { createScalarEngine, type Engine } from './engine.ts';
export * from './errors.ts';
export * from './reed-solomon.ts';
export { createSimdEngine } from './simd-engine.ts';
