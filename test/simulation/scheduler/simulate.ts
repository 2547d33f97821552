/** Runs seeds of a trace through a policy and adds them up. */
import { createSeededRandomness } from '#libs/kernel';
import {
  type Cluster,
  createBestFitPolicy,
  createCluster,
  createFgdPolicy,
  createRandomPolicy,
  type Policy,
  schedulerError,
  SeelePolicy,
  type TypicalKind,
  typicalKinds,
} from '#libs/scheduler';
import { parseNodes, parseNumberLines, parseTasks, readTrace } from './openb.ts';
import { inflatedOrder, shuffledRanks } from './orders.ts';
import { replay, type ReplayResult } from './replay.ts';
import { nodesForProcessors, parseSwf, replaySwf, type SwfResult } from './swf.ts';

export const POLICIES = ['seele', 'fgd', 'best-fit', 'random'] as const;
export type PolicyName = (typeof POLICIES)[number];

/** The seed whose order is on the first line of the published files. */
const FIRST_PUBLISHED_SEED = 42;

export interface SchedulerSimulationOptions {
  /** Node table. SWF files may do without: their header states the processors. */
  readonly nodes?: string;
  readonly tasks: string;
  readonly policy: PolicyName;
  readonly from: number;
  readonly to: number;
  /** Demand to build, as a multiple of the GPU capacity. */
  readonly inflation: number;
  /** File of arrival orders, one line per seed from 42. */
  readonly arrivals?: string;
  /** File of tie ranks, one line per seed from 42. */
  readonly ranks?: string;
  readonly onSeed?: (seed: number) => void;
}

export interface SchedulerSimulationReport {
  readonly format: 'openb' | 'swf';
  readonly policy: PolicyName;
  readonly nodes: number;
  readonly tasks: number;
  readonly unallocatedGpuPercent: number | null;
  readonly unallocatedGpuPercentSd: number | null;
  readonly failedTasks: number;
  readonly arrivedTasks: number;
  readonly fragmentation: number | null;
  readonly waits: { readonly [name: string]: number } | null;
  readonly costVsLowerBound: number | null;
  readonly jain: number | null;
  readonly seeds: readonly ({ readonly seed: number } & Partial<ReplayResult>)[];
  /** Why a figure is null, by its name. */
  readonly skipped?: Readonly<Record<string, string>>;
}

function createPolicy(
  name: PolicyName,
  cluster: Cluster,
  ranks: ArrayLike<number>,
  kinds: readonly TypicalKind[],
  seed: number,
): Policy {
  const draws = createSeededRandomness(seed).fork('policy');
  if (name === 'random') return createRandomPolicy(cluster, draws);
  if (name === 'best-fit') return createBestFitPolicy({ cluster, ranks });
  if (name === 'fgd') return createFgdPolicy({ cluster, ranks }, kinds);
  return new SeelePolicy({ cluster, draws });
}

const mean = (values: readonly number[]): number | null =>
  values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;

/** Standard deviation of a sample; null for fewer than two values. */
function deviation(values: readonly number[]): number | null {
  const middle = mean(values);
  if (middle === null || values.length < 2) return null;
  const squares = values.reduce((sum, value) => sum + (value - middle) ** 2, 0);
  return Math.sqrt(squares / (values.length - 1));
}

const rounded = (value: number | null, digits = 4): number | null =>
  value === null ? null : Number(value.toFixed(digits));

/** The line of a file that belongs to the seed. */
function lineOf(lines: readonly Int32Array[], seed: number, path: string): Int32Array {
  const line = lines[seed - FIRST_PUBLISHED_SEED];
  if (line) return line;
  const last = FIRST_PUBLISHED_SEED + lines.length - 1;
  throw schedulerError(
    'SCHEDULER_TRACE_INVALID',
    `${path} has no line for seed ${seed}, only for ${FIRST_PUBLISHED_SEED}-${last}`,
  );
}

/** The value below which `share` of the sorted values lie. */
const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;

/** Replays an SWF trace; its arrivals are its own, so seeds differ in the policy's draws only. */
function simulateSwf(options: SchedulerSimulationOptions, text: string): SchedulerSimulationReport {
  const trace = parseSwf(text);
  const nodes =
    options.nodes === undefined
      ? nodesForProcessors(trace.processors)
      : parseNodes(readTrace(options.nodes));
  if (nodes.length === 0)
    throw schedulerError('SCHEDULER_TRACE_INVALID', 'neither --nodes nor a MaxProcs header');
  const runs: ({ readonly seed: number } & SwfResult)[] = [];
  for (let seed = options.from; seed <= options.to; seed++) {
    const cluster = createCluster(nodes);
    const ranks = shuffledRanks(nodes.length, createSeededRandomness(seed).fork('ranks'));
    const policy = createPolicy(options.policy, cluster, ranks, [], seed);
    runs.push({ seed, ...replaySwf(cluster, policy, trace) });
    options.onSeed?.(seed);
  }
  const waits = runs.flatMap((run) => run.waitsSeconds).toSorted((a, b) => a - b);
  const slowdowns = runs.flatMap((run) => run.boundedSlowdowns).toSorted((a, b) => a - b);
  const none = 'the trace asks no GPUs';
  return {
    format: 'swf',
    policy: options.policy,
    nodes: nodes.length,
    tasks: trace.jobs.length,
    unallocatedGpuPercent: null,
    unallocatedGpuPercentSd: null,
    failedTasks: runs.reduce((sum, run) => sum + run.failedTasks, 0),
    arrivedTasks: runs.length * trace.jobs.length,
    fragmentation: null,
    waits: {
      meanSeconds: rounded(mean(waits)) ?? 0,
      p50Seconds: quantile(waits, 0.5),
      p95Seconds: quantile(waits, 0.95),
      p99Seconds: quantile(waits, 0.99),
      boundedSlowdownMean: rounded(mean(slowdowns)) ?? 0,
      boundedSlowdownP95: rounded(quantile(slowdowns, 0.95)) ?? 0,
    },
    costVsLowerBound: rounded(mean(runs.map((run) => run.costVsLowerBound))),
    jain: rounded(mean(runs.map((run) => run.jain))),
    seeds: runs.map(({ seed, failedTasks }) => ({
      seed,
      arrived: trace.jobs.length,
      failedTasks,
    })),
    skipped: { unallocatedGpuPercent: none, unallocatedGpuPercentSd: none, fragmentation: none },
  };
}

/** True for Standard Workload Format: comments with a semicolon, then lines of numbers. */
const isSwf = (text: string): boolean => /^\s*(?:;|-?[\d.]+\s+-?[\d.]+\s)/.test(text);

/** Replays a trace: openb by the published protocol, SWF with its own arrivals. */
export function simulateScheduler(options: SchedulerSimulationOptions): SchedulerSimulationReport {
  const text = readTrace(options.tasks);
  return isSwf(text) ? simulateSwf(options, text) : simulateOpenb(options, text);
}

function simulateOpenb(
  options: SchedulerSimulationOptions,
  text: string,
): SchedulerSimulationReport {
  if (options.nodes === undefined)
    throw schedulerError('SCHEDULER_TRACE_INVALID', 'an openb task table needs --nodes');
  const nodes = parseNodes(readTrace(options.nodes));
  const empty = createCluster(nodes);
  const tasks = parseTasks(text, empty);
  const { arrivals, ranks } = options;
  const orders =
    arrivals === undefined
      ? undefined
      : parseNumberLines(readTrace(arrivals), tasks.length, 'arrivals');
  const rankLines =
    ranks === undefined ? undefined : parseNumberLines(readTrace(ranks), nodes.length, 'ranks');
  const kinds = typicalKinds(tasks);
  const seeds: ({ readonly seed: number } & ReplayResult)[] = [];
  for (let seed = options.from; seed <= options.to; seed++) {
    const cluster = createCluster(nodes);
    const draws = createSeededRandomness(seed);
    const order =
      orders === undefined
        ? inflatedOrder(tasks, cluster.gpuMilliTotal, options.inflation, draws.fork('order'))
        : lineOf(orders, seed, arrivals ?? '');
    const tieRanks =
      rankLines === undefined
        ? shuffledRanks(nodes.length, draws.fork('ranks'))
        : lineOf(rankLines, seed, ranks ?? '');
    if (tieRanks.length !== nodes.length)
      throw schedulerError(
        'SCHEDULER_TRACE_INVALID',
        `${tieRanks.length} ranks for ${nodes.length} nodes`,
      );
    const policy = createPolicy(options.policy, cluster, tieRanks, kinds, seed);
    seeds.push({ seed, ...replay(cluster, policy, tasks, order, kinds) });
    options.onSeed?.(seed);
  }
  const isNumber = (value: number | null): value is number => value !== null;
  const unallocated = seeds.map((run) => run.unallocatedGpuPercent).filter(isNumber);
  const fragments = seeds.map((run) => run.fragmentationPercent).filter(isNumber);
  const still = 'in this protocol nothing departs and a refused task never returns';
  const never = 'the arrived GPU demand never reaches 100 % of capacity';
  return {
    format: 'openb',
    policy: options.policy,
    nodes: nodes.length,
    tasks: tasks.length,
    unallocatedGpuPercent: rounded(mean(unallocated)),
    unallocatedGpuPercentSd: rounded(deviation(unallocated)),
    failedTasks: seeds.reduce((sum, run) => sum + run.failedTasks, 0),
    arrivedTasks: seeds.reduce((sum, run) => sum + run.arrived, 0),
    fragmentation: rounded(mean(fragments)),
    waits: null,
    costVsLowerBound: null,
    jain: null,
    seeds: seeds.map((run) => ({
      ...run,
      unallocatedGpuPercent: rounded(run.unallocatedGpuPercent),
      fragmentationPercent: rounded(run.fragmentationPercent),
    })),
    skipped: {
      waits: still,
      costVsLowerBound: still,
      jain: 'the trace names no tenants',
      ...(unallocated.length === 0 && { unallocatedGpuPercent: never, fragmentation: never }),
    },
  };
}
