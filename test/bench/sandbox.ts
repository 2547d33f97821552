/**
 * Figures of the job sandbox: how long a slot takes to start and, once warm, to reach the first guest
 * statement; what isolates, host calls and input cost; whether the hostile programs are contained.
 */
import { utf8, utf8Decode } from '#libs/kernel';
import { DEFAULT_JOB_LIMITS } from '#libs/market';
import { type SandboxTask, type SlotOutcome, type SlotPool, createSlotPool } from '#sandbox';
import { corpusFolder, corpusPrograms, isHostAlive, runProgram } from '../security/corpus.ts';
import { type Bench, percentile, significant } from './harness.ts';

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

async function latencies(spares: number, runs: number, pauseMs: number) {
  const pool = await createSlotPool({ slots: 2, spares });
  const samples: { started: number; done: number }[] = [];
  for (let i = 0; i < runs; i++) {
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    samples.push(await timed(pool));
  }
  pool.close();
  const of = (p: number, which: 'started' | 'done') =>
    significant(
      percentile(
        samples.map((sample) => sample[which]),
        p,
      ),
      3,
    );
  return { startP50: of(0.5, 'started'), startP95: of(0.95, 'started'), doneP50: of(0.5, 'done') };
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
  const tasks = 50;
  let began = performance.now();
  for (let i = 0; i < tasks; i++) await run(task(NOOP));
  const isolatesPerSecond = significant((tasks * 1000) / (performance.now() - began), 3);
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
  began = performance.now();
  const { output } = await run({ ...task(count), inputs: { data } });
  if (utf8Decode(output as Uint8Array) !== String(INPUT_BYTES)) throw new Error('input was lost');
  const inputMbPerSecond = significant(INPUT_BYTES / 1000 / (performance.now() - began), 3);
  session.close();
  return { isolatesPerSecond, hostCallUs, inputMbPerSecond };
}

async function corpus(pool: SlotPool, full: boolean, note: (text: string) => void) {
  const { folder, reason } = corpusFolder();
  if (folder === undefined) return { reason };
  const programs = corpusPrograms(folder, full ? undefined : ['e', 'c', 'p']);
  const out: string[] = [];
  let peakMemoryBytes = 0;
  for (const path of programs) {
    const verdict = await runProgram(pool, path);
    peakMemoryBytes = Math.max(peakMemoryBytes, verdict.peakMemoryBytes);
    if (!verdict.contained) out.push(verdict.program);
  }
  for (const name of out) note(`not contained: ${name}`);
  const alive = (await isHostAlive(pool)) ? 1 : 0;
  return {
    figures: { tried: programs.length, escaped: out.length, hostAlive: alive, peakMemoryBytes },
  };
}

export const bench: Bench = async ({ full, note }) => {
  note('slots: cold, warm');
  const cold = await latencies(0, 10, 0);
  const warm = await latencies(1, 20, 300);
  const perSecond = await jobsPerSecond(5_000);
  const pool = await createSlotPool({ slots: 2 });
  try {
    note('inside one slot');
    const inside = await insideOneSlot(pool);
    note('hostile programs');
    const attacks = await corpus(pool, full, note);
    return {
      figures: {
        slotReadyMs: { cold, warm },
        separateJobsPerSecond: perSecond,
        ...inside,
        isolation: Number(pool.isolation.level.slice(1)),
        attacks: attacks.figures ?? null,
      },
      ...(attacks.reason === undefined ? {} : { skipped: { attacks: attacks.reason } }),
    };
  } finally {
    pool.close();
  }
};
