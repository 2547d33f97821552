/** Which GPUs of a chosen machine a task takes. */
import { type Cluster, GPUS_PER_NODE } from './cluster.ts';
import type { TaskShape } from './shape.ts';

/** The first GPUs that have the room. The shape must fit. */
export function firstGpus(cluster: Cluster, node: number, shape: TaskShape): number {
  let mask = 0;
  let left = shape.gpuCount;
  for (let i = 0; left > 0 && i < GPUS_PER_NODE; i++)
    if (cluster.gpuFree[node * GPUS_PER_NODE + i]! >= shape.gpuMilli) {
      mask |= 1 << i;
      left--;
    }
  return mask;
}

/** The fitting GPUs with the least room, the first of equals. The shape must fit. */
export function tightestGpus(cluster: Cluster, node: number, shape: TaskShape): number {
  const base = node * GPUS_PER_NODE;
  const count = cluster.gpuCount[node]!;
  let mask = 0;
  for (let left = shape.gpuCount; left > 0; left--) {
    let best = -1;
    for (let i = 0; i < count; i++) {
      const free = cluster.gpuFree[base + i]!;
      if (free < shape.gpuMilli || mask & (1 << i)) continue;
      if (best < 0 || free < cluster.gpuFree[base + best]!) best = i;
    }
    mask |= 1 << best;
  }
  return mask;
}
