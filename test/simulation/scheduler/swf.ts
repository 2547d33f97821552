/**
 * Replays a Standard Workload Format file (Feitelson's Parallel Workloads Archive): jobs arrive over
 * time, ask processors that must run together, and leave. First come, first served, with EASY backfill:
 * a later job may start if by its requested time it does not delay the first that waits.
 */
import {
  ANY_MODEL,
  type Cluster,
  createShapeTable,
  type GangPlace,
  jainIndex,
  placeGang,
  type Policy,
  releaseGang,
  schedulerError,
} from '#libs/scheduler';

export interface SwfJob {
  readonly submitSeconds: number;
  readonly runSeconds: number;
  readonly requestedSeconds: number;
  readonly processors: number;
  readonly user: number;
}

/** Header values by name, and the jobs that ran. */
export interface SwfTrace {
  readonly processors: number;
  readonly jobs: readonly SwfJob[];
}

const MAX_JOBS = 1_000_000;
const PROCESSOR_MILLI = 1000;

/** @throws SeeleError SCHEDULER_TRACE_INVALID naming the line */
export function parseSwf(text: string): SwfTrace {
  let processors = 0;
  const jobs: SwfJob[] = [];
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    const header = /^;\s*Max(?:Procs|Nodes):\s*(\d{1,9})\b/.exec(line);
    if (header) processors = Math.max(processors, Number(header[1]));
    if (line.startsWith(';') || line.trim() === '') continue;
    const fields = line.trim().split(/\s+/).map(Number);
    if (fields.length < 12 || !fields.every(Number.isFinite) || jobs.length >= MAX_JOBS)
      throw schedulerError('SCHEDULER_TRACE_INVALID', `line ${i + 1} is no SWF job`);
    const [, submit = 0, , run = 0, allocated = 0, , , wanted = 0, requested = 0, , , user = 0] =
      fields;
    const count = allocated > 0 ? allocated : wanted;
    // -1 means unknown; a job without time or processors never ran.
    if (run <= 0 || count <= 0 || submit < 0) continue;
    jobs.push({
      submitSeconds: submit,
      runSeconds: run,
      requestedSeconds: Math.max(run, requested),
      processors: count,
      user,
    });
  }
  if (jobs.length === 0) throw schedulerError('SCHEDULER_TRACE_INVALID', 'no job in it ever ran');
  return { processors, jobs: jobs.toSorted((a, b) => a.submitSeconds - b.submitSeconds) };
}

interface Running {
  readonly job: SwfJob;
  readonly endSeconds: number;
  readonly places: readonly GangPlace[];
}

export interface SwfResult {
  readonly ended: number;
  readonly failedTasks: number;
  readonly waitsSeconds: number[];
  /** Wait plus run over run, runs below 10 s counted as 10 s. */
  readonly boundedSlowdowns: number[];
  /** Time until all is done over the least it can take. */
  readonly costVsLowerBound: number;
  /** Jain's index of the users' mean bounded slowdowns. */
  readonly jain: number;
}

/** Runs the jobs on the empty cluster. Jobs larger than the cluster fail at once. */
export function replaySwf(cluster: Cluster, policy: Policy, { jobs }: SwfTrace): SwfResult {
  const table = createShapeTable();
  const shape = table.intern({
    cpuMilli: PROCESSOR_MILLI,
    memoryMib: 0,
    gpuCount: 0,
    gpuMilli: 0,
    modelBits: ANY_MODEL,
  });
  const capacity = cluster.cpuTotal.reduce(
    (sum, cpu) => sum + Math.trunc(cpu / PROCESSOR_MILLI),
    0,
  );
  const fitting = jobs.filter(({ processors }) => processors <= capacity);
  const waitsSeconds: number[] = [];
  const slowdowns: number[] = [];
  const byUser = new Map<number, number[]>();
  const queue: SwfJob[] = [];
  let running: Running[] = [];
  let free = capacity;
  let next = 0;
  let now = fitting[0]?.submitSeconds ?? 0;
  const firstSeconds = now;
  const start = (job: SwfJob): void => {
    const shapes = Array.from({ length: job.processors }, () => shape);
    const places = placeGang(cluster, policy, shapes);
    if (!places) throw new Error(`${job.processors} of ${free} processors found no room`);
    free -= job.processors;
    running.push({ job, endSeconds: now + job.runSeconds, places });
    const wait = now - job.submitSeconds;
    const slowdown = Math.max(1, (wait + job.runSeconds) / Math.max(10, job.runSeconds));
    waitsSeconds.push(wait);
    slowdowns.push(slowdown);
    const list = byUser.get(job.user) ?? [];
    list.push(slowdown);
    byUser.set(job.user, list);
  };
  while (next < fitting.length || running.length > 0) {
    const nextEnd = running.reduce(
      (least, { endSeconds }) => Math.min(least, endSeconds),
      Infinity,
    );
    now = Math.min(nextEnd, fitting[next]?.submitSeconds ?? Infinity);
    for (const ended of running.filter(({ endSeconds }) => endSeconds <= now)) {
      releaseGang(cluster, policy, ended.places);
      free += ended.job.processors;
    }
    running = running.filter(({ endSeconds }) => endSeconds > now);
    for (let job = fitting[next]; job && job.submitSeconds <= now; job = fitting[++next])
      queue.push(job);
    while (queue[0] && queue[0].processors <= free) start(queue.shift() as SwfJob);
    if (queue.length > 0)
      backfill(queue, running, free, now, (job) => {
        start(job);
        return free;
      });
  }
  const work = fitting.reduce((sum, job) => sum + job.runSeconds * job.processors, 0);
  // No schedule ends before all work is done at full use, nor before any job that starts on arrival.
  const least = fitting.reduce(
    (most, job) => Math.max(most, job.submitSeconds + job.runSeconds - firstSeconds),
    work / Math.max(1, capacity),
  );
  const means = [...byUser.values()].map(
    (list) => list.reduce((sum, value) => sum + value, 0) / list.length,
  );
  return {
    ended: waitsSeconds.length,
    failedTasks: jobs.length - fitting.length,
    waitsSeconds,
    boundedSlowdowns: slowdowns,
    costVsLowerBound: (now - firstSeconds) / Math.max(1, least),
    jain: jainIndex(means),
  };
}

/** EASY: starts later jobs that end before the first can start, or need only what it leaves over. */
function backfill(
  queue: SwfJob[],
  running: readonly Running[],
  freeNow: number,
  now: number,
  start: (job: SwfJob) => number,
): void {
  const [head] = queue;
  if (!head) return;
  let free = freeNow;
  let promised = free;
  let shadow = Infinity;
  const ends = running.map(({ job, endSeconds }) => ({
    at: endSeconds - job.runSeconds + job.requestedSeconds,
    processors: job.processors,
  }));
  for (const { at, processors } of ends.toSorted((a, b) => a.at - b.at)) {
    promised += processors;
    if (promised < head.processors) continue;
    shadow = at;
    break;
  }
  let spare = promised - head.processors;
  for (let i = 1; i < queue.length && free > 0;) {
    const job = queue[i] as SwfJob;
    const endsInTime = now + job.requestedSeconds <= shadow;
    if (job.processors > free || !(endsInTime || job.processors <= spare)) {
      i++;
      continue;
    }
    if (!endsInTime) spare -= job.processors;
    queue.splice(i, 1);
    free = start(job);
  }
}

/** A machine per 16 processors, for traces that come without a node table. */
export const nodesForProcessors = (processors: number) =>
  Array.from({ length: Math.ceil(processors / 16) }, (_, i) => ({
    name: `node-${i}`,
    cpuMilli: Math.min(16, processors - i * 16) * PROCESSOR_MILLI,
    memoryMib: 0,
    gpuCount: 0,
    model: '',
  }));
