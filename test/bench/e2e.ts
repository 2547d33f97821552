/**
 * From an order to the first statement of its guest, and how many separate orders a second, over
 * HTTP, with everything that production does: signatures, durable rows, queue, leases, slots.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { OrderDocument, QuoteDocument } from '#libs/sdk';
import { createSeededRandomness } from '#libs/kernel';
import { type ArrayRun, type Site, cpuMsPer, cpuSecondsBy, runArray } from './e2e-array.ts';
import { killMarkets } from './e2e-kills.ts';
import { type QuotedOrder, quoteFigures, quotedOrder } from './e2e-quotes.ts';
import { submitToStartMs } from './e2e-single.ts';
import { type Takeovers, prepareTakeover } from './e2e-takeover.ts';
import { startRedis } from '../support/redis-server.ts';
import { type LocalMachine, startLocalMachine } from '../support/local-machine.ts';
import { type OwnMarket, startOwnMarket } from '../support/own-market.ts';
import { type Bench, type BenchOptions, percentile, significant } from './harness.ts';

const NOOP = 'export default async ({ params }) => ({ n: params.n ?? 0 });';
const PRICE_CAP = 200_000_000n;
const LIMITS = { wallMs: 5_000, cpuMs: 5_000 };
/** One job for each cell of the machine; what tier C is for is not measured here. */
const MACHINES = [
  { tier: 'A' },
  { tier: 'B' },
  { tier: 'B', placement: { domains: ['confidential'] } },
] as const;
const WORKED: ReadonlySet<OrderDocument['status']> = new Set(['delivered', 'closing', 'settled']);
const LOST: ReadonlySet<OrderDocument['status']> = new Set(['refunded', 'cancelled', 'rejected']);
const STALL_MS = 30_000;
/** Seldom, because listing the orders is work of the market as well. */
const POLL_MS = 150;

/** Orders done per second when many are under way, spread over its providers. */
async function throughput(
  machine: LocalMachine,
  orders: number,
): Promise<{ readonly perSecond: number; readonly cpuMs: Record<string, number> }> {
  const orderers = await Promise.all(
    MACHINES.map((where, machineOf) =>
      machine.orderer({
        ...{ code: NOOP, limits: LIMITS, priceCap: PRICE_CAP, params: { machineOf } },
        ...where,
      }),
    ),
  );
  const cpuBefore = cpuSecondsBy(machine);
  const fromMs = performance.now();
  const ids = new Set<string>();
  let next = 0;
  const submit = async () => {
    for (let i = next++; i < orders; i = next++) {
      const order = orderers[i % orderers.length];
      if (order) ids.add(await order());
    }
  };
  await Promise.all(Array.from({ length: 8 }, submit));
  const open = new Set(ids);
  let lastMs = performance.now();
  while (open.size > 0) {
    if (performance.now() - lastMs > STALL_MS) throw new Error(`${open.size} orders do not end`);
    for (const { id, status } of await machine.market.orders({ limit: 200 })) {
      if (!open.has(id)) continue;
      if (LOST.has(status)) throw new Error(`order ${id} is ${status}`);
      if (WORKED.has(status) && open.delete(id)) lastMs = performance.now();
    }
    await sleep(POLL_MS);
  }
  const perSecond = ids.size / ((lastMs - fromMs) / 1000);
  return { perSecond, cpuMs: cpuMsPer(machine, cpuBefore, ids.size) };
}

const SPIN =
  'export default async ({ params }) => { let n = 0; for (let i = 0; i < params.loops; i++) n = (n * 31 + i) | 0; return { n }; };';
/** Three sizes of one program: what it will take must be learned, and is never quite the same. */
const LOOPS = [1_000_000, 6_000_000, 30_000_000];

/** Orders with a binding quote each, and what became of them. */
async function quotes({ market, orderer }: LocalMachine, count: number) {
  const given = new Map<string, QuotedOrder['quote']>();
  const onQuote = (id: string, { options }: QuoteDocument) => {
    if (options[0]) given.set(id, options[0]);
  };
  const orderers = await Promise.all(
    LOOPS.map((loops, i) =>
      orderer({
        ...{ code: SPIN, limits: LIMITS, priceCap: 'quoted', params: { loops }, onQuote },
        ...MACHINES[i],
      }),
    ),
  );
  const ended: QuotedOrder[] = [];
  let next = 0;
  const work = async () => {
    for (let i = next++; i < count; i = next++) {
      const id = (await orderers[i % orderers.length]?.()) ?? '';
      const quote = given.get(id);
      if (quote) ended.push(await quotedOrder(market, id, quote));
    }
  };
  await Promise.all(Array.from({ length: 4 }, work));
  return quoteFigures(ended);
}

const NOOP_PROVIDER = {
  SEELE_PROVIDER_NOOP: 'true',
  SEELE_PROVIDER_KINDS: 'js',
  SEELE_PROVIDER_SLOTS: '3',
  SEELE_PROVIDER_SPARES: '0',
};
/** Each of them is a process to start; what the market is asked for is how many batches are out. */
const NOOP_PROVIDERS = { 'noop-1': NOOP_PROVIDER, 'noop-2': NOOP_PROVIDER };
const TASKS = 10_000;
/** The first ones find a market that was just started: compilers and connections are cold. */
const ARRAYS = 5;
const SANDBOXED_TASKS = 1_000;

/** The middle one of some arrays, one after the other. */
async function middleArray(machine: LocalMachine, site: Site, tasks: number): Promise<ArrayRun> {
  const runs: ArrayRun[] = [];
  for (let i = 0; i < ARRAYS; i++) runs.push(await runArray(machine, site, tasks));
  const sorted = runs.toSorted((a, b) => a.tasksPerSecond - b.tasksPerSecond);
  return sorted[Math.floor(ARRAYS / 2)] as ArrayRun;
}

/** Arrays with their queue in each of the two; the rows are in PostgreSQL always. */
async function arrays(machine: LocalMachine, own: OwnMarket, note: BenchOptions['note']) {
  note(`${ARRAYS} arrays of ${TASKS} tasks, queue in PostgreSQL`);
  const postgres = await middleArray(machine, own, TASKS);
  note(`${ARRAYS} arrays of ${TASKS} tasks, queue in Redis`);
  const server = await startRedis();
  try {
    if (!server) return { postgres, redis: undefined };
    await own.kill();
    await own.start({ REDIS_URL: server.url });
    await own.providersAreBack();
    return { postgres, redis: await middleArray(machine, own, TASKS) };
  } finally {
    await own.kill();
    server?.stop();
  }
}

function missedTakeovers({ takeoverMissed, takeoverTries }: Takeovers): Record<string, string> {
  const missed = (['standard', 'fast'] as const).filter((level) => takeoverMissed[level] > 0);
  return Object.fromEntries(
    missed.map((level) => [
      `takeoverMsP95.${level}`,
      `${takeoverMissed[level]} of ${takeoverTries[level]} tasks were not taken over in a minute`,
    ]),
  );
}

export const bench: Bench = async (options) => {
  const { full, kill, note, seed } = options;
  const closing: (() => Promise<void>)[] = [];
  const closedLater = <T extends { stop(): Promise<void> }>(one: T): T => {
    closing.push(() => one.stop());
    return one;
  };
  try {
    note('starting a local machine');
    const machine = closedLater(await startLocalMachine({}, 1_500));
    // What is measured by the second comes first, while nothing else runs beside the machine.
    const single = full ? 200 : 30;
    note(`${single} single orders`);
    const samples = await submitToStartMs(
      machine,
      { code: NOOP, limits: LIMITS, tier: 'B', priceCap: PRICE_CAP },
      single,
    );
    note(`${ARRAYS} arrays of ${SANDBOXED_TASKS} tasks in isolates`);
    const sandboxed = await middleArray(machine, machine, SANDBOXED_TASKS);
    const many = full ? 200 : 90;
    note(`${many} orders at once`);
    const { perSecond, cpuMs } = await throughput(machine, many);
    const tries = full ? 20 : 6;
    note(`${tries} tasks on each of two providers, which are killed`);
    const [own, prepared] = await Promise.all([
      startOwnMarket(machine, NOOP_PROVIDERS).then(closedLater),
      prepareTakeover(machine, tries).then(closedLater),
    ]);
    const takingOver = prepared.kill();
    takingOver.all.catch(() => {}); // met below, after what is done meanwhile
    await takingOver.of.fast;
    // The silence of a lease of the standard level is a time in which other things can be tried.
    const quoted = full ? 400 : 60;
    note(`${quoted} orders with a quote`);
    const kept = await quotes(machine, quoted);
    const kills = kill ?? (full ? 100 : 2);
    note(`${kills} markets killed in the midst of arrays`);
    const killed = await killMarkets(machine, own, kills, createSeededRandomness(seed));
    const takeover = await takingOver.all;
    await prepared.stop();
    const { postgres, redis } = await arrays(machine, own, note);
    const absent = 'no redis-server on this machine';
    const skipped = {
      ...(!redis && { 'arrayTasksPerSecond.redis': absent }),
      ...missedTakeovers(takeover),
    };
    return {
      skipped,
      figures: {
        arrayTasksPerSecond: {
          postgres: postgres.tasksPerSecond,
          redis: redis?.tasksPerSecond ?? null,
        },
        /** The rates are those of the middle one of so many arrays. */
        arrayTasks: TASKS,
        arrays: ARRAYS,
        settleMs: postgres.settleMs,
        ...killed,
        ...takeover,
        arrayCpuMsPerTaskBy: postgres.cpuMsPerTaskBy,
        sandboxedArrayTasksPerSecond: sandboxed.tasksPerSecond,
        sandboxedArrayCpuMsPerTaskBy: sandboxed.cpuMsPerTaskBy,
        submitToStartMsP50: significant(percentile(samples, 0.5)),
        submitToStartMsP95: significant(percentile(samples, 0.95)),
        singleOrders: samples.length,
        jobsPerSecond: significant(perSecond),
        jobs: many,
        ...kept,
        /** Of every process together, slots and what started them included. */
        cpuMsPerJob: significant(Object.values(cpuMs).reduce((sum, ms) => sum + ms, 0)),
        cpuMsPerJobBy: cpuMs,
        providers: machine.processes().filter(({ name }) => name.startsWith('provider-')).length,
      },
    };
  } finally {
    for (const close of closing.toReversed()) await close();
  }
};
