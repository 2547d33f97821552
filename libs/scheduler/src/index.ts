/**
 * Scheduler: which machine takes which task. Machines of a cell are typed arrays, tasks are shapes,
 * GPUs are shared by thousandths.
 *
 * Owns: capacity, placement policies and the quality of packing. Does not own: orders, leases and money
 * (`market`), who is admitted to a domain (`contracts`).
 *
 * @example
 * const cluster = createCluster([{ name: 'n1', cpuMilli: 8000, memoryMib: 32768, gpuCount: 2, model: 'T4' }]);
 * const policy = createRandomPolicy(cluster, createSeededRandomness(1));
 * const choice = policy.choose(createShapeTable().intern({
 *   cpuMilli: 1000, memoryMib: 1024, gpuCount: 1, gpuMilli: 500, modelBits: ANY_MODEL }));
 */
export * from './capacity-index.ts';
export * from './cluster.ts';
export * from './demand.ts';
export * from './errors.ts';
export * from './fragment-memo.ts';
export * from './fragmentation.ts';
export * from './gpus.ts';
export * from './policies/best-fit.ts';
export * from './policies/fgd.ts';
export * from './policies/random.ts';
export * from './policies/seele.ts';
export * from './policy.ts';
export * from './shape.ts';
export * from './cells.ts';
export * from './error-pool.ts';
export * from './fair-share.ts';
export * from './gangs.ts';
export * from './graph.ts';
export * from './interference.ts';
export * from './prediction.ts';
