/**
 * One order of many tasks, from its submission to the last delivery that the market has stored, and from
 * there to the last payment. With providers that run nothing it is the market that is measured.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { MarketClient } from '#libs/sdk';
import type { LocalMachine, Orderer } from '../support/local-machine.ts';
import { treeCpuSeconds } from '../support/process-tree.ts';
import { significant } from './harness.ts';

const CODE = 'export default async ({ task }) => task.index * 2;';
/** Little work, so that the price at the limits of ten thousand of them is small. */
const LIMITS = { wallMs: 1_000, cpuMs: 1_000, memoryBytes: 64 * 2 ** 20 };
const UNIT_PRICE = 100_000_000n;
/** Looking is work of the market as well: seldom while much is left, and often only at the end. */
const POLL_MS = { least: 10, most: 150 };
const SETTLED_POLL_MS = 20;
const STALL_MS = 60_000;

/** A market to order at. */
export interface Site {
  readonly market: MarketClient;
  readonly orderer: Orderer;
}

export interface ArrayRun {
  readonly tasksPerSecond: number;
  readonly settleMs: number;
  readonly cpuMsPerTaskBy: Record<string, number>;
}

/** Until it says that nothing is left; `shareLeft` is of the whole. */
async function until(what: string, shareLeft: () => Promise<number>): Promise<void> {
  const fromMs = performance.now();
  for (let left = await shareLeft(); left > 0; left = await shareLeft()) {
    const tookMs = performance.now() - fromMs;
    if (tookMs > STALL_MS) throw new Error(`${what} takes too long`);
    const halfOfRestMs = left < 1 ? (tookMs * left) / (1 - left) / 2 : POLL_MS.most;
    await sleep(Math.min(POLL_MS.most, Math.max(POLL_MS.least, halfOfRestMs)));
  }
}

/** CPU seconds by part: of what the supervisor started, and of what this process did. */
export function cpuSecondsBy({ supervisorPid }: LocalMachine): Record<string, number> {
  const used = treeCpuSeconds(supervisorPid);
  for (const [part, seconds] of Object.entries(treeCpuSeconds(process.pid)))
    used[part] = (used[part] ?? 0) + seconds;
  return used;
}

/** What was used since then, in milliseconds per piece of work. */
export function cpuMsPer(
  machine: LocalMachine,
  before: Readonly<Record<string, number>>,
  pieces: number,
): Record<string, number> {
  const used = Object.entries(cpuSecondsBy(machine)).map(([part, seconds]): [string, number] => [
    part,
    significant((1000 * (seconds - (before[part] ?? 0))) / pieces, 3),
  ]);
  return Object.fromEntries(used.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** Each call orders a new array of so many tasks. */
export const createArrayOrderer = ({ orderer }: Site, tasks: number) =>
  orderer({
    ...{ code: CODE, limits: LIMITS, tier: 'B', tasks },
    priceCap: UNIT_PRICE * BigInt(tasks),
  });

export async function runArray(
  machine: LocalMachine,
  site: Site,
  tasks: number,
): Promise<ArrayRun> {
  const { market } = site;
  const order = await createArrayOrderer(site, tasks);
  const cpuBefore = cpuSecondsBy(machine);
  const fromMs = performance.now();
  const id = await order();
  const view = () => market.order(id);
  await until(`the array of ${tasks}`, async () => {
    const { array, status, reason } = await view();
    if (status === 'cancelled' || status === 'closing') throw new Error(reason?.text ?? status);
    return 1 - (array?.done ?? 0) / tasks;
  });
  const doneMs = performance.now();
  const cpuMsPerTaskBy = cpuMsPer(machine, cpuBefore, tasks);
  while ((await view()).status !== 'settled') {
    if (performance.now() - doneMs > STALL_MS) throw new Error('settling takes too long');
    await sleep(SETTLED_POLL_MS);
  }
  return {
    tasksPerSecond: significant(tasks / ((doneMs - fromMs) / 1000)),
    settleMs: significant(performance.now() - doneMs),
    cpuMsPerTaskBy,
  };
}
