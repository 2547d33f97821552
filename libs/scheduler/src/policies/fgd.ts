import { type Cluster, fits, GPU_MILLI } from '../cluster.ts';
import {
  createNodeState,
  fragmentOf,
  type NodeState,
  readNodeState,
  type TypicalKind,
} from '../fragmentation.ts';
import { firstGpus } from '../gpus.ts';
import type { Policy, PolicyContext } from '../policy.ts';
import type { TaskShape } from '../shape.ts';

/** Truncated like the authors': rounding noise decides ties there, so the same expression here. */
const scoreOf = (before: number, after: number): number =>
  Math.trunc((1 / (1 + Math.exp(-((before - after) / 1000)))) * 100);

/** Score and GPUs of one node for one shape: `score * 256 + gpuMask`. */
function scoreNode(
  cluster: Cluster,
  state: NodeState,
  node: number,
  shape: TaskShape,
  kinds: readonly TypicalKind[],
): number {
  readNodeState(cluster, node, state);
  const before = fragmentOf(state, kinds);
  state.cpuFree -= shape.cpuMilli;
  if (shape.gpuCount !== 1 || shape.gpuMilli === GPU_MILLI) {
    const gpuMask = firstGpus(cluster, node, shape);
    for (let i = 0; i < state.gpuCount; i++)
      if (gpuMask & (1 << i)) state.gpuFree[i]! -= shape.gpuMilli;
    return scoreOf(before, fragmentOf(state, kinds)) * 256 + gpuMask;
  }
  let best = -1;
  let bestGpu = 0;
  let last = -1;
  for (let i = 0; i < state.gpuCount; i++) {
    const free = state.gpuFree[i]!;
    // Equal neighbours score the same, and the first of equals wins.
    if (free < shape.gpuMilli || free === last) continue;
    last = free;
    state.gpuFree[i]! -= shape.gpuMilli;
    const score = scoreOf(before, fragmentOf(state, kinds));
    state.gpuFree[i]! += shape.gpuMilli;
    if (score > best) {
      best = score;
      bestGpu = i;
    }
  }
  return best * 256 + (1 << bestGpu);
}

/**
 * Fragmentation gradient descent: the machine and GPU whose expected unusable GPU grows least, by the
 * published truncated scores. Source: Weng et al., USENIX ATC 2023. Scores are kept per node and shape
 * until the node changes.
 */
export function createFgdPolicy(
  { cluster, ranks }: PolicyContext,
  kinds: readonly TypicalKind[],
): Policy {
  const state = createNodeState();
  const kept = new Map<number, { scores: Int32Array; versions: Int32Array }>();
  const tableOf = (shape: TaskShape) => {
    let table = kept.get(shape.id);
    if (!table) {
      const scores = new Int32Array(cluster.nodeCount);
      table = { scores, versions: new Int32Array(cluster.nodeCount).fill(-1) };
      kept.set(shape.id, table);
    }
    return table;
  };
  return {
    name: 'fgd',
    choose(shape) {
      const { scores, versions } = tableOf(shape);
      let best = -1;
      let bestScore = -1;
      for (let n = 0; n < cluster.nodeCount; n++) {
        if (!fits(cluster, n, shape)) continue;
        if (versions[n] !== cluster.version[n]!) {
          scores[n] = scoreNode(cluster, state, n, shape, kinds);
          versions[n] = cluster.version[n]!;
        }
        const score = scores[n]! >> 8;
        if (score < bestScore || (score === bestScore && ranks[n]! > ranks[best]!)) continue;
        best = n;
        bestScore = score;
      }
      if (best < 0) return undefined;
      return { node: best, gpuMask: scores[best]! & 255 };
    },
  };
}
