import { fits } from '../cluster.ts';
import { tightestGpus } from '../gpus.ts';
import type { Policy, PolicyContext } from '../policy.ts';

/** The published comparison measures leftovers against a machine of this size. */
const CPU_MILLI_SCALE = 128_000;
const GPU_MILLI_SCALE = 8000;

/**
 * The machine with the least CPU and GPU left over, by the published integer scores: truncated, then
 * rescaled over the feasible machines by whole division. Source: the simulator of USENIX ATC 2023.
 */
export function createBestFitPolicy({ cluster, ranks }: PolicyContext): Policy {
  const candidates = new Int32Array(cluster.nodeCount);
  const scores = new Int32Array(cluster.nodeCount);
  return {
    name: 'best-fit',
    choose(shape) {
      let found = 0;
      let least = Infinity;
      let most = -Infinity;
      for (let n = 0; n < cluster.nodeCount; n++) {
        if (!fits(cluster, n, shape)) continue;
        const cpuLeft = cluster.cpuFree[n]! - shape.cpuMilli;
        const gpuLeft = cluster.gpuFreeTotal[n]! - shape.gpuCount * shape.gpuMilli;
        const left = (cpuLeft / CPU_MILLI_SCALE) * 0.5 + (gpuLeft / GPU_MILLI_SCALE) * 0.5;
        const score = Math.trunc((1 - left) * 100);
        candidates[found] = n;
        scores[found++] = score;
        least = Math.min(least, score);
        most = Math.max(most, score);
      }
      if (found === 0) return undefined;
      let best = -1;
      let bestScore = -1;
      for (let i = 0; i < found; i++) {
        const n = candidates[i]!;
        const score =
          most === least ? 0 : Math.trunc(((scores[i]! - least) * 100) / (most - least));
        if (score < bestScore || (score === bestScore && ranks[n]! > ranks[best]!)) continue;
        best = n;
        bestScore = score;
      }
      return { node: best, gpuMask: tightestGpus(cluster, best, shape) };
    },
  };
}
