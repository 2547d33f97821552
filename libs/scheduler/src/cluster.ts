/**
 * The machines of a cell as a structure of arrays: one number per node and resource, eight thousandth
 * counters per node for its GPUs. Placement reads a few of these arrays for thousands of nodes per
 * millisecond; an object per node was ten times slower.
 */
import { schedulerError } from './errors.ts';
import type { TaskShape } from './shape.ts';

/** Thousandths of one GPU. */
export const GPU_MILLI = 1000;
/** GPUs a node may have. */
export const GPUS_PER_NODE = 8;
/** Tasks a node may hold at once: the openb protocol counts one more than the usual 1000. */
export const TASKS_PER_NODE = 1001;
const MAX_NODES = 1_000_000;
const MAX_MODELS = 31;
const MAX_AMOUNT = 0x7fffffff;

/** What a machine offers when it is empty. */
export interface NodeSpec {
  readonly name: string;
  /** Thousandths of a CPU core. */
  readonly cpuMilli: number;
  readonly memoryMib: number;
  readonly gpuCount: number;
  /** GPU model; empty when it has none or says nothing. */
  readonly model: string;
}

/** The mutable state of a cell's machines. Change it only by `bind` and `release`. */
export interface Cluster {
  readonly nodeCount: number;
  readonly names: readonly string[];
  readonly models: readonly string[];
  readonly cpuTotal: Int32Array;
  readonly cpuFree: Int32Array;
  readonly memoryTotal: Int32Array;
  readonly memoryFree: Int32Array;
  /** Free thousandths of GPU `i` of node `n` at `n * GPUS_PER_NODE + i`. */
  readonly gpuFree: Int16Array;
  readonly gpuCount: Uint8Array;
  /** Sum of `gpuFree` over the node's GPUs. */
  readonly gpuFreeTotal: Int32Array;
  /** One bit: the node's GPU model in `models`. */
  readonly modelBit: Uint32Array;
  readonly taskCount: Uint16Array;
  /** Grows with every change of the node and is odd while one is written: caches compare it. */
  readonly version: Uint32Array;
  readonly gpuMilliTotal: number;
}

const isAmount = (value: number): boolean =>
  Number.isInteger(value) && value >= 0 && value <= MAX_AMOUNT;

function checkNode(node: NodeSpec): void {
  const { name, cpuMilli, memoryMib, gpuCount } = node;
  if (!isAmount(cpuMilli) || !isAmount(memoryMib))
    throw schedulerError(
      'SCHEDULER_NODE_INVALID',
      `node ${name} has ${cpuMilli} thousandths of CPU and ${memoryMib} MiB`,
    );
  if (!Number.isInteger(gpuCount) || gpuCount < 0 || gpuCount > GPUS_PER_NODE)
    throw schedulerError('SCHEDULER_NODE_INVALID', `node ${name} has ${gpuCount} GPUs`);
}

/**
 * An empty cluster of these machines. `isShared` puts its arrays into shared memory: posted to worker
 * threads it is the same cluster there, changed by `tryBind` only.
 * @throws SeeleError SCHEDULER_NODE_INVALID, SCHEDULER_CLUSTER_LIMITS
 */
export function createCluster(nodes: readonly NodeSpec[], isShared = false): Cluster {
  const count = nodes.length;
  if (count > MAX_NODES)
    throw schedulerError('SCHEDULER_CLUSTER_LIMITS', `${count} nodes, at most ${MAX_NODES}`);
  const models: string[] = [];
  const memory = (bytes: number) =>
    isShared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes);
  const cluster = {
    nodeCount: count,
    names: nodes.map(({ name }) => name),
    models,
    cpuTotal: new Int32Array(memory(count * 4)),
    cpuFree: new Int32Array(memory(count * 4)),
    memoryTotal: new Int32Array(memory(count * 4)),
    memoryFree: new Int32Array(memory(count * 4)),
    gpuFree: new Int16Array(memory(count * GPUS_PER_NODE * 2)),
    gpuCount: new Uint8Array(memory(count)),
    gpuFreeTotal: new Int32Array(memory(count * 4)),
    modelBit: new Uint32Array(memory(count * 4)),
    taskCount: new Uint16Array(memory(count * 2)),
    version: new Uint32Array(memory(count * 4)),
    gpuMilliTotal: 0,
  };
  for (const [n, node] of nodes.entries()) {
    checkNode(node);
    let model = models.indexOf(node.model);
    if (model < 0) model = models.push(node.model) - 1;
    if (model >= MAX_MODELS)
      throw schedulerError('SCHEDULER_CLUSTER_LIMITS', `more than ${MAX_MODELS} GPU models`);
    cluster.cpuTotal[n] = cluster.cpuFree[n] = node.cpuMilli;
    cluster.memoryTotal[n] = cluster.memoryFree[n] = node.memoryMib;
    cluster.gpuCount[n] = node.gpuCount;
    cluster.gpuFreeTotal[n] = node.gpuCount * GPU_MILLI;
    cluster.modelBit[n] = 1 << model;
    cluster.gpuFree.fill(GPU_MILLI, n * GPUS_PER_NODE, n * GPUS_PER_NODE + node.gpuCount);
    cluster.gpuMilliTotal += node.gpuCount * GPU_MILLI;
  }
  return cluster;
}

/** The bits of the named models in this cluster; 0 when it has none of them. */
export function modelBits(cluster: Cluster, models: readonly string[]): number {
  let bits = 0;
  for (const [i, model] of cluster.models.entries()) if (models.includes(model)) bits |= 1 << i;
  return bits;
}

/** How many GPUs of the node have `milli` thousandths free. */
export function fittingGpus(cluster: Cluster, node: number, milli: number): number {
  const base = node * GPUS_PER_NODE;
  let fitting = 0;
  for (let i = cluster.gpuCount[node]! - 1; i >= 0; i--)
    if (cluster.gpuFree[base + i]! >= milli) fitting++;
  return fitting;
}

/** True when the node can take the shape now: models, CPU, memory, task count, GPUs. */
export function fits(cluster: Cluster, node: number, shape: TaskShape): boolean {
  if (cluster.cpuFree[node]! < shape.cpuMilli || cluster.memoryFree[node]! < shape.memoryMib)
    return false;
  if ((cluster.modelBit[node]! & shape.modelBits) === 0) return false;
  if (cluster.taskCount[node]! >= TASKS_PER_NODE) return false;
  if (shape.gpuCount === 0) return true;
  if (cluster.gpuFreeTotal[node]! < shape.gpuCount * shape.gpuMilli) return false;
  return fittingGpus(cluster, node, shape.gpuMilli) >= shape.gpuCount;
}

const bitCount = (mask: number): number => {
  let count = 0;
  for (let rest = mask; rest !== 0; rest &= rest - 1) count++;
  return count;
};

/** True when the shape fits the node on exactly these GPUs. */
function fitsOn(cluster: Cluster, node: number, gpuMask: number, shape: TaskShape): boolean {
  if (bitCount(gpuMask) !== shape.gpuCount || gpuMask >>> cluster.gpuCount[node]! !== 0)
    return false;
  for (let i = 0; i < GPUS_PER_NODE; i++)
    if (gpuMask & (1 << i) && cluster.gpuFree[node * GPUS_PER_NODE + i]! < shape.gpuMilli)
      return false;
  return fits(cluster, node, shape);
}

function move(c: Cluster, node: number, gpuMask: number, shape: TaskShape, sign: 1 | -1): void {
  c.cpuFree[node]! += sign * shape.cpuMilli;
  c.memoryFree[node]! += sign * shape.memoryMib;
  for (let i = 0; i < GPUS_PER_NODE; i++)
    if (gpuMask & (1 << i)) c.gpuFree[node * GPUS_PER_NODE + i]! += sign * shape.gpuMilli;
  c.gpuFreeTotal[node]! += sign * shape.gpuMilli * shape.gpuCount;
  c.taskCount[node]! -= sign;
}

/**
 * Takes the shape's resources from the node, the GPUs named by the bits of `gpuMask`.
 * @throws SeeleError SCHEDULER_BINDING_INVALID when they are not free; nothing is taken then
 */
export function bind(cluster: Cluster, node: number, gpuMask: number, shape: TaskShape): void {
  if (!(node >= 0 && node < cluster.nodeCount) || !fitsOn(cluster, node, gpuMask, shape))
    throw schedulerError('SCHEDULER_BINDING_INVALID', `node ${node} cannot take the task now`);
  move(cluster, node, gpuMask, shape, -1);
  cluster.version[node]! += 2;
}

/**
 * Takes the resources if they are still free, safe beside schedulers in other threads that work on the
 * same shared cluster: a sequence lock per node, whole vectors checked under it. Only an overcommitted
 * resource is a conflict (as in Omega, EuroSys 2013), not every change of the node since it was scored.
 * @returns false on a conflict; nothing is taken then
 */
export function tryBind(
  cluster: Cluster,
  node: number,
  gpuMask: number,
  shape: TaskShape,
): boolean {
  const { version } = cluster;
  const before = Atomics.load(version, node);
  // Odd: another scheduler is writing this very node.
  if (before & 1 || Atomics.compareExchange(version, node, before, before + 1) !== before)
    return false;
  const isFree = fitsOn(cluster, node, gpuMask, shape);
  if (isFree) move(cluster, node, gpuMask, shape, -1);
  Atomics.store(version, node, isFree ? before + 2 : before);
  return isFree;
}

/**
 * Gives back what `bind` took.
 * @throws SeeleError SCHEDULER_BINDING_INVALID when the node would own more than it has
 */
export function release(cluster: Cluster, node: number, gpuMask: number, shape: TaskShape): void {
  const isOver =
    !(node >= 0 && node < cluster.nodeCount) ||
    bitCount(gpuMask) !== shape.gpuCount ||
    gpuMask >>> cluster.gpuCount[node]! !== 0 ||
    cluster.taskCount[node] === 0 ||
    cluster.cpuFree[node]! + shape.cpuMilli > cluster.cpuTotal[node]! ||
    cluster.memoryFree[node]! + shape.memoryMib > cluster.memoryTotal[node]!;
  let isGpuOver = false;
  for (let i = 0; i < GPUS_PER_NODE; i++)
    if (gpuMask & (1 << i))
      isGpuOver ||= cluster.gpuFree[node * GPUS_PER_NODE + i]! + shape.gpuMilli > GPU_MILLI;
  if (isOver || isGpuOver)
    throw schedulerError('SCHEDULER_BINDING_INVALID', `node ${node} does not hold such a task`);
  move(cluster, node, gpuMask, shape, 1);
  cluster.version[node]! += 2;
}
