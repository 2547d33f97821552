/** Erasure coding 10+6 in one thread: encoding, rebuilding, and every way to lose six of sixteen. */
import { createErasureCode, DEAL_SHAPE, splitIntoShards } from '#libs/erasure';

import { percentile, significant, type BenchFigures } from './harness.ts';

const SHARD_BYTES = 1024 * 1024;
const ROUNDS = 15;

/** Every choice of `count` out of `total`. */
function* choices(total: number, count: number, from = 0): Generator<number[]> {
  if (count === 0) yield [];
  else
    for (let first = from; first <= total - count; first++)
      for (const rest of choices(total, count - 1, first + 1)) yield [first, ...rest];
}

function megabytesPerSecond(dataBytes: number, run: () => unknown): number {
  run();
  const rates: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const before = performance.now();
    run();
    rates.push(dataBytes / 1e3 / (performance.now() - before));
  }
  return significant(percentile(rates, 0.5), 3);
}

export function erasureFigures(content: (length: number, seed: number) => Buffer, seed: number) {
  const code = createErasureCode(DEAL_SHAPE);
  const { dataShards, parityShards } = code;
  const dataBytes = dataShards * SHARD_BYTES;
  const data = splitIntoShards(content(dataBytes, seed), dataShards);
  const shards = [...data, ...code.encode(data)];
  const lost = shards.map((shard, index) => (index < parityShards ? undefined : shard));

  const small = splitIntoShards(content(4096, seed + 1), dataShards);
  const all = [...small, ...code.encode(small)];
  let rebuildsTried = 0;
  let rebuildFailures = 0;
  for (const missing of choices(all.length, parityShards)) {
    rebuildsTried++;
    const back = code.rebuild(all.map((s, index) => (missing.includes(index) ? undefined : s)));
    const isWhole = missing.every(
      (index) => Buffer.compare(back[index] as Uint8Array, all[index] as Uint8Array) === 0,
    );
    if (!isWhole) rebuildFailures++;
  }
  return {
    erasureEngine: code.engine,
    erasureEncodeMbPerSecond: megabytesPerSecond(dataBytes, () => code.encode(data)),
    erasureRebuildMbPerSecond: megabytesPerSecond(dataBytes, () => code.rebuild(lost)),
    rebuildsTried,
    rebuildFailures,
  } satisfies BenchFigures;
}
