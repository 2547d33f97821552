/**
 * Figures of the job sandbox: how long a slot takes to start and, once warm, to reach the first guest
 * statement; what isolates, host calls and input cost; whether the hostile programs are contained.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { setTimeout as delay } from 'node:timers/promises';
import { utf8, utf8Decode } from '#libs/kernel';
import { DEFAULT_JOB_LIMITS } from '#libs/market';
import { type SandboxTask, type SlotOutcome, type SlotPool, createSlotPool } from '#sandbox';
import { type Bench, cpuSeconds, percentile, significant } from './harness.ts';
import { attack } from './sandbox-attacks.ts';

const NOOP = 'export default () => 1';
const CALLS = 5_000;
const INPUT_BYTES = 64 * 2 ** 20;
const limits = { ...DEFAULT_JOB_LIMITS, hostCalls: 10_000_000 };

const task = (source: string) => ({ code: utf8(source), inputs: {}, params: '{}', limits });

/** Milliseconds until the first guest statement and until the outcome. */
async function timed(pool: SlotPool): Promise<{ started: number; done: number }> {
  const began = performance.now();
  let started = 0;
  const { exit } = await pool.run(task(NOOP), {
    onStarted: () => {
      started = performance.now() - began;
    },
  });
  if (exit !== 'ok') throw new Error(`a job that does nothing ended as ${exit}`);
  return { started, done: performance.now() - began };
}

/** Milliseconds from asking for a slot until it is ready for a task. */
async function readyMs(spares: number, runs: number, pauseMs: number): Promise<number> {
  const pool = await createSlotPool({ slots: 2, spares });
  const samples: number[] = [];
  for (let i = 0; i < runs; i++) {
    await delay(pauseMs);
    const began = performance.now();
    const session = await pool.open();
    samples.push(performance.now() - began);
    session.close();
  }
  pool.close();
  return significant(percentile(samples, 0.5), 3);
}

/** Start of a bare Node process until it has written its first byte. */
async function plainSpawnMs(runs: number): Promise<number> {
  const samples: number[] = [];
  for (let i = 0; i < runs; i++) {
    const began = performance.now();
    const child = spawn(process.execPath, ['-e', 'process.stdout.write("r")']);
    await once(child.stdout, 'data');
    samples.push(performance.now() - began);
    await once(child, 'close');
  }
  return significant(percentile(samples, 0.5), 3);
}

/** One call into an isolate by isolated-vm alone, in a process of its own; CPU microseconds. */
async function ivmCallUs(): Promise<number> {
  const program = `
    const ivm = require(process.argv[1]);
    const isolate = new ivm.Isolate({ memoryLimit: 64 });
    const f = isolate.createContextSync().evalSync('(a) => a', { reference: true });
    for (let i = 0; i < 20000; i++) f.applySync(undefined, [i]);
    const before = process.cpuUsage();
    for (let i = 0; i < 100000; i++) f.applySync(undefined, [i]);
    const { user, system } = process.cpuUsage(before);
    process.stdout.write(String((user + system) / 100000));`;
  const path = createRequire(import.meta.url).resolve('isolated-vm');
  const child = spawn(process.execPath, ['--no-node-snapshot', '-e', program, path]);
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  await once(child, 'close');
  return significant(Number(said), 3);
}

/** How long after its time was up a loop was still alive, the worst of several. */
async function killAfterLimitMs(pool: SlotPool, runs: number): Promise<number> {
  const loop = {
    ...task('export default () => { for (;;); }'),
    limits: { ...limits, wallMs: 200 },
  };
  const late: number[] = [];
  for (let i = 0; i < runs; i++) {
    await delay(200);
    const { usage } = await pool.run(loop);
    late.push(usage.wallMs - 200);
  }
  return Math.max(...late);
}

async function jobsPerSecond(durationMs: number): Promise<number> {
  const pool = await createSlotPool({ slots: 2, spares: 2 });
  const until = performance.now() + durationMs;
  let done = 0;
  const worker = async () => {
    while (performance.now() < until) {
      await timed(pool);
      done++;
    }
  };
  const began = performance.now();
  await Promise.all([worker(), worker()]);
  const elapsed = performance.now() - began;
  pool.close();
  return significant((done * 1000) / elapsed, 3);
}

async function insideOneSlot(pool: SlotPool) {
  const session = await pool.open();
  const run = async (what: SandboxTask): Promise<SlotOutcome> => {
    const outcome = await session.run(what);
    if (outcome.exit !== 'ok') throw new Error(`ended as ${outcome.exit}: ${outcome.error}`);
    return outcome;
  };
  const tasks = 200;
  for (let i = 0; i < 20; i++) await run(task(NOOP));
  const [cpuBefore, slotBefore] = [cpuSeconds(), session.cpuMs];
  let began = performance.now();
  for (let i = 0; i < tasks; i++) await run(task(NOOP));
  const isolatesByTheClock = significant((tasks * 1000) / (performance.now() - began), 3);
  const slotCpuSeconds = (session.cpuMs - slotBefore) / 1000;
  const parentCpuUsPerTask = significant(((cpuSeconds() - cpuBefore) * 1e6) / tasks, 3);
  const taskIsolatesPerSecond = significant(tasks / slotCpuSeconds, 3);
  const calls = `export default ({ progress }) => { for (let i = 0; i < ${CALLS}; i++) progress(0.5); return 1 }`;
  began = performance.now();
  await run(task(calls));
  const hostCallUs = significant(((performance.now() - began) * 1000) / CALLS, 3);
  const chunk = new Uint8Array(2 ** 20).fill(97);
  const data = {
    sizeBytes: INPUT_BYTES,
    async *read() {
      for (let i = 0; i < INPUT_BYTES / chunk.length; i++) yield await Promise.resolve(chunk);
    },
  };
  const count =
    'export default async ({ inputs }) => { let n = 0; for await (const c of inputs.data.chunks()) n += c.length; return n }';
  const rates: number[] = [];
  for (let i = 0; i < 3; i++) {
    began = performance.now();
    const { output } = await run({ ...task(count), inputs: { data } });
    if (utf8Decode(output as Uint8Array) !== String(INPUT_BYTES)) throw new Error('input was lost');
    rates.push(INPUT_BYTES / 1000 / (performance.now() - began));
  }
  const ingestMbPerSecond = significant(percentile(rates, 0.5), 3);
  session.close();
  return {
    ...{ taskIsolatesPerSecond, isolatesByTheClock, parentCpuUsPerTask },
    ...{ hostCallUs, ingestMbPerSecond },
  };
}

const NO_ATTACKS = {
  ...{ attacksTotal: null, attacksContained: null, hostDeaths: null },
  peakMemoryOverLimitMb: null,
};

export const bench: Bench = async ({ full, attacks: folder, note }) => {
  note('slots: cold, warm');
  const slotReadyMsCold = await readyMs(0, 8, 0);
  const slotReadyMsWarm = await readyMs(1, 8, 400);
  const plain = await plainSpawnMs(8);
  const perSecond = await jobsPerSecond(3_000);
  const pool = await createSlotPool({ slots: 2 });
  try {
    note('inside one slot');
    const inside = await insideOneSlot(pool);
    const late = await killAfterLimitMs(pool, 5);
    note('hostile programs');
    const attacks = await attack(pool, { given: folder, full, note });
    return {
      figures: {
        ...{ slotReadyMsCold, slotReadyMsWarm, plainSpawnMs: plain },
        separateJobsPerSecond: perSecond,
        ...inside,
        ...{ ivmCallUs: await ivmCallUs(), killAfterLimitMs: late },
        isolation: pool.isolation.level,
        ...(attacks.figures ?? NO_ATTACKS),
      },
      skipped: attacks.skipped,
    };
  } finally {
    pool.close();
  }
};
