/** Figures of the two trees: state updates with a root per 1 000, and log appends. One thread. */
import { createSeededRandomness, type KeyValueWrite, bytesToHex } from '#libs/kernel';
import { sha256 } from '#libs/crypto';
import { LogTree, createStateTree, verifyInclusion, verifyStateProof } from '#libs/merkle';
import { type Bench, cpuSeconds, significant } from './harness.ts';

const KEYS = 100_000;
const BATCH = 1_000;
const LOG_ENTRIES = 400_000;

export const bench: Bench = async ({ full, seed, note }) => {
  const randomness = createSeededRandomness(seed);
  const keys = Array.from({ length: KEYS }, () => sha256(randomness.bytes(8)));
  const values = Array.from({ length: BATCH }, () => sha256(randomness.bytes(8)));
  const nodes = new Map<string, Uint8Array>();
  const store = (writes: readonly KeyValueWrite[]) => {
    for (const { key, value } of writes)
      if (value) nodes.set(bytesToHex(key), value);
      else nodes.delete(bytesToHex(key));
  };
  const reader = { get: (key: Uint8Array) => nodes.get(bytesToHex(key)) };
  const tree = createStateTree({ reader });
  for (const [i, key] of keys.entries()) tree.update(key, values[i % BATCH] as Uint8Array);
  store(tree.commit().writes);
  note(`${KEYS} keys inserted`);

  const batches = full ? 1000 : 200;
  let writesBytes = 0;
  let seconds = 0;
  for (let batch = 0; batch < batches; batch++) {
    const chosen = values.map(() => keys[randomness.below(KEYS)] as Uint8Array);
    const began = cpuSeconds();
    for (let i = 0; i < BATCH; i++)
      tree.update(chosen[i] as Uint8Array, values[(i + batch) % BATCH] as Uint8Array);
    const { writes } = tree.commit();
    seconds += cpuSeconds() - began;
    for (const { key, value } of writes) writesBytes += key.length + (value?.length ?? 0);
    store(writes);
  }
  const updates = batches * BATCH;

  const sample = keys.slice(0, 2_000);
  const provingBegan = cpuSeconds();
  const proofs = sample.map((key) => tree.prove(key));
  const proving = cpuSeconds() - provingBegan;
  const hexes = sample.map((key) => [bytesToHex(key), bytesToHex(tree.get(key) as Uint8Array)]);
  const { root } = tree;
  const verifyingBegan = cpuSeconds();
  let verified = 0;
  for (const [i, proof] of proofs.entries()) {
    const [key, value] = hexes[i] as [string, string];
    if (verifyStateProof(root, key, value, proof)) verified++;
  }
  const verifying = cpuSeconds() - verifyingBegan;

  const cold = createStateTree({ reader, maxCachedNodes: 20_000 });
  const coldBegan = cpuSeconds();
  for (let i = 0; i < 20; i++) {
    for (let j = 0; j < BATCH; j++)
      cold.update(keys[randomness.below(KEYS)] as Uint8Array, values[j] as Uint8Array);
    store(cold.commit().writes);
  }
  const coldSeconds = cpuSeconds() - coldBegan;

  const entry = new Uint8Array(100);
  const log = new LogTree();
  const logBegan = performance.now();
  for (let i = 0; i < LOG_ENTRIES; i++) {
    entry[0] = i;
    entry[1] = i >> 8;
    entry[2] = i >> 16;
    log.append(entry);
  }
  const logSeconds = (performance.now() - logBegan) / 1000;
  const proofsBegan = performance.now();
  const logRoot = log.root();
  let included = 0;
  for (let i = 0; i < 2_000; i++) {
    const index = randomness.below(LOG_ENTRIES);
    const proof = log.inclusionProof(index);
    if (verifyInclusion(log.leafHash(index), index, log.size, proof, logRoot)) included++;
  }
  const proofSeconds = (performance.now() - proofsBegan) / 1000;

  return {
    figures: {
      keys: KEYS,
      smtUpdatesPerCpuSecond: Math.round(updates / seconds),
      smtBytesWrittenPerUpdate: Math.round(writesBytes / updates),
      smtUncachedUpdatesPerCpuSecond: Math.round((20 * BATCH) / coldSeconds),
      smtProofsPerCpuSecond: Math.round(sample.length / proving),
      smtVerifiedPerCpuSecond: Math.round(sample.length / verifying),
      smtProofsVerified: verified,
      logEntries: LOG_ENTRIES,
      logAppendsPerSecond: Math.round(LOG_ENTRIES / logSeconds),
      logProofsMadeAndVerifiedPerSecond: Math.round(included / proofSeconds),
      peakMemoryMiB: significant(process.memoryUsage().rss / 2 ** 20, 3),
    },
  };
};
