/**
 * Figures of an EDA chain of real processes on one machine: signed, durable transfers per second with
 * their time to finality, or with `--kill` the time until killed validators take part again.
 *
 * Finality is from sending a batch to the receipt of its last transfer: the cut that lists it is
 * final, executed, certified and stored. All processes share the machine's cores, and every validator
 * checks every signature, so the limit is the machine's verification rate divided by their number.
 */
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { extname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { Worker } from 'node:worker_threads';
import { type Cluster, createCluster } from '../support/cluster.ts';
import { WrongUsage } from '../support/refusal.ts';
import { divergences, loadSigners, sameHead, startLoad } from '../support/cluster-load.ts';
import { type ClusterLoadOrder, type ClusterLoadReport, payer } from './cluster-load.ts';
import { type Bench, type BenchResult, percentile, significant } from './harness.ts';

const FUNDS = 10n ** 15n;
const NODES = 4;
const BATCH = 50;
const MEASURE_MS = 12_000;
/**
 * By the number of nodes. More transfers under way only wait longer. Sixteen nodes on the cores of one
 * machine tick half as often: ticks of all to all would take a large part of it. Before the measurement
 * every process compiles its code, on the cores of all: that lasts longer the more there are.
 */
const SHAPES = [
  { nodes: 4, transfers: 2_200, deltaUs: 50_000, warmMs: 10_000 },
  { nodes: 7, transfers: 1_400, deltaUs: 50_000, warmMs: 15_000 },
  { nodes: Number.POSITIVE_INFINITY, transfers: 950, deltaUs: 100_000, warmMs: 25_000 },
] as const;
/** Transfers signed in advance, per second of the run. */
const SIGNED_PER_SECOND = 4_500;
const VERIFY_MS = 1_000;

const shapeFor = (nodes: number) => SHAPES.find((shape) => nodes <= shape.nodes) ?? SHAPES[2];

/** Signatures that this machine verifies per second on all its cores. */
async function verificationsPerSecond(): Promise<number> {
  const file = new URL(`./cluster-verify-worker${extname(import.meta.filename)}`, import.meta.url);
  const counts = await Promise.all(
    Array.from(
      { length: availableParallelism() },
      () =>
        new Promise<number>((resolve, reject) => {
          const worker = new Worker(file, { workerData: { forMs: VERIFY_MS } });
          worker.once('message', resolve);
          worker.once('error', reject);
        }),
    ),
  );
  return counts.reduce((sum, count) => sum + count, 0) / (VERIFY_MS / 1000);
}

async function generate(order: ClusterLoadOrder, onReady: () => void): Promise<ClusterLoadReport> {
  const file = join(import.meta.dirname, `cluster-load${extname(import.meta.filename)}`);
  const child = spawn(process.execPath, [...process.execArgv, file, JSON.stringify(order)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exit = new Promise((resolve) => child.once('exit', resolve));
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      if (line !== 'ready') return JSON.parse(line) as ClusterLoadReport;
      onReady();
      child.stdin.write('go\n');
    }
  } finally {
    child.kill('SIGKILL');
    await exit;
  }
  throw new Error('the load generator ended without a report');
}

/** What the nodes count, added up over all of them. */
interface Counted {
  readonly cpuSeconds: number;
  /** Of each stage of finality: seconds, and blocks that they are of. */
  readonly stages: ReadonlyMap<string, { readonly sum: number; readonly count: number }>;
}

const STAGE =
  /^seele_node_finality_stage_seconds_(sum|count)\{[^}]*stage="([a-z-]+)"[^}]*\} (\S+)$/gm;

async function countedBy(cluster: Cluster, nodes: number): Promise<Counted> {
  let cpuSeconds = 0;
  const stages = new Map<string, { sum: number; count: number }>();
  const read = async (node: number): Promise<void> => {
    const text = await (await fetch(`${cluster.client(node).url}/metrics`)).text();
    cpuSeconds += Number(/^process_cpu_seconds\S* (\S+)$/m.exec(text)?.[1] ?? Number.NaN);
    for (const [, what, stage, value] of text.matchAll(STAGE)) {
      const counted = stages.get(stage as string) ?? { sum: 0, count: 0 };
      counted[what as 'sum' | 'count'] += Number(value);
      stages.set(stage as string, counted);
    }
  };
  await Promise.all(Array.from({ length: nodes }, (_, node) => read(node)));
  return { cpuSeconds, stages };
}

/** Mean time of own blocks in each stage, in ms. */
function stageMeans(before: Counted, after: Counted): Record<string, number> {
  const means: Record<string, number> = {};
  for (const [stage, { sum, count }] of after.stages) {
    const old = before.stages.get(stage) ?? { sum: 0, count: 0 };
    if (count > old.count)
      means[stage] = Math.round(((sum - old.sum) / (count - old.count)) * 1000);
  }
  return means;
}

const all = (nodes: number) => Array.from({ length: nodes }, (_, node) => node);

async function measureThroughput(
  nodes: number,
  seed: number,
  note: (text: string) => void,
): Promise<BenchResult['figures']> {
  const { transfers: window, deltaUs, warmMs } = shapeFor(nodes);
  const workers = Math.max(nodes, Math.round(window / BATCH));
  const allocations = Array.from({ length: workers * BATCH }, (_, i) => ({
    account: payer(seed, i).account,
    amount: FUNDS,
  }));
  const cluster = await createCluster({ nodes, allocations, seed, deltaUs });
  try {
    const limit = (await verificationsPerSecond()) / nodes;
    await Promise.all(all(nodes).map((node) => cluster.start(node)));
    note(`${nodes} nodes up; signatures allow ${Math.round(limit)} transfers a second`);
    const seconds = (warmMs + MEASURE_MS) / 1000;
    const order: ClusterLoadOrder = {
      urls: all(nodes).map((node) => cluster.client(node).url),
      window,
      batch: BATCH,
      warmMs,
      measureMs: MEASURE_MS,
      transfers: Math.round(Math.min(limit, SIGNED_PER_SECOND) * seconds),
      seed,
    };
    let before: Promise<Counted> | undefined;
    const load = await generate(order, () => {
      note(`${order.transfers} transfers signed, ${window} under way at a time`);
      before = countedBy(cluster, nodes);
    });
    const after = await countedBy(cluster, nodes);
    const counted = (await before) ?? after;
    const cpu = after.cpuSeconds - counted.cpuSeconds;
    const tps = load.final === 0 ? 0 : load.final / load.seconds;
    note(
      `${load.final} final in ${load.seconds.toFixed(2)} s, ${load.refused} refused, ${load.lost} lost`,
    );
    const height = await sameHead(cluster, all(nodes), 1);
    const different = await divergences(cluster, all(nodes), height);
    return {
      nodes,
      tps: significant(tps),
      finalityMsP50: Math.round(percentile(load.finalityMs, 0.5)),
      finalityMsP99: Math.round(percentile(load.finalityMs, 0.99)),
      shareOfSignatureLimit: significant(tps / limit, 3),
      generatorCpuShare: significant(load.cpuSeconds / (load.seconds * availableParallelism()), 3),
      transfersTried: load.sent,
      transfersRefused: load.refused,
      transfersLost: load.lost,
      deltaMs: deltaUs / 1000,
      /** All nodes together, warm-up included. */
      cpuMicrosPerTransfer: Math.round((cpu * 1e6) / load.sent),
      /** Where that time goes, warm-up included (docs/consensus.md). */
      stageMsMean: stageMeans(counted, after),
      blocks: height,
      divergences: different.length,
      heightsCompared: height,
    };
  } finally {
    await cluster.stop();
  }
}

async function measureRecovery(
  nodes: number,
  killed: number,
  note: (text: string) => void,
): Promise<BenchResult['figures']> {
  const signers = loadSigners(2 * nodes);
  const allocations = signers.map(({ account }) => ({ account, amount: FUNDS }));
  const cluster = await createCluster({ nodes, allocations });
  const victims = all(nodes).slice(nodes - killed);
  try {
    await Promise.all(all(nodes).map((node) => cluster.start(node)));
    const load = startLoad(cluster, nodes, signers);
    let resumedMs: number;
    let recoveryMs: number;
    try {
      for (let i = 0; i < 2 * nodes; i++) await load.progress(30_000);
      await Promise.all(victims.map((node) => cluster.kill(node)));
      const killedMs = performance.now();
      note(`${killed} of ${nodes} killed`);
      await load.progress(60_000);
      resumedMs = performance.now() - killedMs;
      const restartedMs = performance.now();
      await Promise.all(victims.map((node) => cluster.start(node)));
      const startedMs = performance.now() - restartedMs;
      // Each must have stored what was final when it was up again.
      const heights = await Promise.all(
        all(nodes - killed).map(async (node) => (await cluster.client(node).status()).height),
      );
      await Promise.all(victims.map((node) => reached(cluster, node, Math.max(...heights))));
      recoveryMs = performance.now() - restartedMs;
      note(
        `finality resumed in ${Math.round(resumedMs)} ms; started again in ${Math.round(startedMs)} ms, caught up after ${Math.round(recoveryMs)} ms`,
      );
      await load.progress(30_000);
    } finally {
      await load.stop();
    }
    const height = await sameHead(cluster, all(nodes), Math.max(...load.final.values()));
    const different = await divergences(cluster, all(nodes), height);
    return {
      nodes,
      killed,
      /** From starting the killed nodes again until all have caught up and finality goes on. */
      recoveryMs: Math.round(recoveryMs),
      /** From the kill to the next transfer that became final. */
      resumedMs: Math.round(resumedMs),
      divergences: different.length,
      heightsCompared: height,
      transfersFinal: load.final.size,
    };
  } finally {
    await cluster.stop();
  }
}

async function reached(cluster: Cluster, node: number, height: number): Promise<void> {
  const limitMs = performance.now() + 60_000;
  while ((await cluster.client(node).status()).height < height) {
    if (performance.now() > limitMs) throw new Error(`node ${node} did not reach ${height}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export const bench: Bench = async ({ full, seed, nodes, kill, note }) => {
  if (kill !== undefined && kill >= (nodes ?? 10))
    throw new WrongUsage(`--kill ${kill} of ${nodes ?? 10} nodes leaves none to measure with`);
  if (kill !== undefined) return { figures: await measureRecovery(nodes ?? 10, kill, note) };
  if (!full || nodes !== undefined)
    return { figures: await measureThroughput(nodes ?? NODES, seed, note) };
  const figures: Record<string, BenchResult['figures']> = {};
  for (const count of [4, 7, 16]) figures[count] = await measureThroughput(count, seed, note);
  figures['kill4of10'] = await measureRecovery(10, 4, note);
  return { figures };
};
