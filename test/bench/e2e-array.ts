/**
 * One order of many tasks, from its submission to the last delivery that the market has stored, and from
 * there to the last payment. With providers that run nothing it is the market that is measured.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type LocalMachine, startLocalMachine } from '../support/local-machine.ts';
import { treeCpuSeconds } from '../support/process-tree.ts';
import { significant } from './harness.ts';

const CODE = 'export default async ({ task }) => task.index * 2;';
/** Little work, so that the price at the limits of ten thousand of them is small. */
const LIMITS = { wallMs: 1_000, cpuMs: 1_000, memoryBytes: 64 * 2 ** 20 };
const UNIT_PRICE = 100_000_000n;
/** Seldom, because looking is work of the market as well. */
const POLL_MS = 25;
const STALL_MS = 60_000;

export interface ArrayRun {
  readonly tasksPerSecond: number;
  readonly settleMs: number;
  readonly cpuMsPerTaskBy: Record<string, number>;
}

async function until(what: string, isDone: () => Promise<boolean>, pollMs: number): Promise<void> {
  for (const fromMs = performance.now(); !(await isDone()); await sleep(pollMs))
    if (performance.now() - fromMs > STALL_MS) throw new Error(`${what} takes too long`);
}

/** Each call orders a new array of so many tasks. */
export const createArrayOrderer = (machine: LocalMachine, tasks: number) =>
  machine.orderer({
    ...{ code: CODE, limits: LIMITS, tier: 'B', tasks },
    priceCap: UNIT_PRICE * BigInt(tasks),
  });

export async function runArray(machine: LocalMachine, tasks: number): Promise<ArrayRun> {
  const { market } = machine;
  const order = await createArrayOrderer(machine, tasks);
  const cpuBefore = treeCpuSeconds(machine.supervisorPid);
  const fromMs = performance.now();
  const id = await order();
  const view = () => market.order(id);
  await until(
    `the array of ${tasks}`,
    async () => {
      const { array, status, reason } = await view();
      if (status === 'cancelled' || status === 'closing') throw new Error(reason?.text ?? status);
      return array !== undefined && array.done >= tasks;
    },
    POLL_MS,
  );
  const doneMs = performance.now();
  const cpuAfter = treeCpuSeconds(machine.supervisorPid);
  await until('settling', async () => (await view()).status === 'settled', 20);
  const used = Object.entries(cpuAfter).map(([part, seconds]): [string, number] => [
    part,
    significant((1000 * (seconds - (cpuBefore[part] ?? 0))) / tasks, 3),
  ]);
  return {
    tasksPerSecond: significant(tasks / ((doneMs - fromMs) / 1000)),
    settleMs: significant(performance.now() - doneMs),
    cpuMsPerTaskBy: Object.fromEntries(used.toSorted(([a], [b]) => (a < b ? -1 : 1))),
  };
}

/** On a machine of its own, with these settings; `then` does more on it. */
export async function arrayOnNewMachine<T>(
  env: Readonly<Record<string, string>>,
  tasks: number,
  then: (machine: LocalMachine) => Promise<T>,
): Promise<ArrayRun & { readonly further: T }> {
  const machine = await startLocalMachine(env, 5_000);
  try {
    // The first one warms connections and compilers.
    await runArray(machine, Math.min(tasks, 400));
    const run = await runArray(machine, tasks);
    return { ...run, further: await then(machine) };
  } finally {
    await machine.stop();
  }
}
