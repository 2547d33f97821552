import { type Cluster, fits, GPU_MILLI, GPUS_PER_NODE } from '../cluster.ts';
import { firstGpus } from '../gpus.ts';
import type { Draws, Policy } from '../policy.ts';

/** A uniform machine with room, a uniform GPU of it for a shared task. */
export function createRandomPolicy(cluster: Cluster, draws: Draws): Policy {
  const candidates = new Int32Array(cluster.nodeCount);
  return {
    name: 'random',
    choose(shape) {
      let found = 0;
      for (let n = 0; n < cluster.nodeCount; n++)
        if (fits(cluster, n, shape)) candidates[found++] = n;
      if (found === 0) return undefined;
      const node = candidates[draws.below(found)]!;
      if (shape.gpuCount !== 1 || shape.gpuMilli === GPU_MILLI)
        return { node, gpuMask: firstGpus(cluster, node, shape) };
      const gpus: number[] = [];
      for (let i = 0; i < cluster.gpuCount[node]!; i++)
        if (cluster.gpuFree[node * GPUS_PER_NODE + i]! >= shape.gpuMilli) gpus.push(i);
      return { node, gpuMask: 1 << gpus[draws.below(gpus.length)]! };
    },
  };
}
