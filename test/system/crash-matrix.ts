/**
 * The crash matrix: real processes are killed (SIGKILL) at every named failpoint while orders run, and
 * whoever holds leases is stopped (SIGSTOP) there for twice the length of a lease. Afterwards every
 * order must have ended exactly once, no money may be made or lost, every receipt must verify, and
 * everything that storage acknowledged must still be there.
 *
 * Usage: node dist/test/system/crash-matrix.js [--only PREFIX] [--seed N] [--sample N]
 */
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import {
  type Randomness,
  type SeededRandomness,
  createSeededRandomness,
  parseAccount,
  utf8,
} from '#libs/kernel';
import { encodeManifest } from '#libs/market';
import { createMarketClient, describeJob, signOrder } from '#libs/sdk';
import { readBlob } from '#libs/storage';
import { type LocalMachine, startLocalMachine } from '../support/local-machine.ts';
import {
  type FatesReport,
  type InFlight,
  allReady,
  keepInFlight,
  noteOnStderr,
  secondsSince,
  tellFates,
} from '../support/order-fates.ts';
import { paidUnits } from '../bench/e2e-paid.ts';
import { PLACES, type Place } from './failpoint-list.ts';

/** Some ten milliseconds of work; jobs have no clock. */
const CODE = `export default async ({ params, log, save }) => {
  save('begun');
  let x = params.n;
  for (let i = 0; i < 8e6; i++) x = (x * 1103515245 + 12345) % 2147483648;
  log('order ' + params.n);
  return { n: params.n, x };
};`;

/** Every third order is of many tasks, each of some milliseconds. */
const TASKS_CODE = `export default async ({ task }) => {
  let x = task.index;
  for (let i = 0; i < 3e5; i++) x = (x * 1103515245 + 12345) % 2147483648;
  return { x };
};`;
const TASKS = 120;

/** Run again by the market, each of them: little work, since it is done twice. */
const METERED_CODE = `export default ({ params }) => {
  let x = params.n;
  for (let i = 0; i < 2e4; i++) x = (x * 1103515245 + 12345) % 2147483648;
  return { x };
};`;
const FUEL = 2_000_000_000n;
/** Takes every result. */
const VALIDATOR_CODE = `export default async ({ inputs }) => JSON.parse(await inputs.result.text()).n >= 0;`;
const VALIDATED_BYTES = 10_000;
const TASK_LIMITS = { wallMs: 1_000, cpuMs: 1_000, memoryBytes: 64 * 2 ** 20 };

const PRICE_CAP = 300_000_000n;
const TASK_PRICE = 100_000_000n;
const LEASE_MS = 2_000;
const STOP_MS = 2 * LEASE_MS;
const IN_FLIGHT = 3;
const STRIKE_LIMIT_MS = 30_000;
const KILL_EVERY_MS = 3_000;
const SUBMIT_LIMIT_MS = 60_000;
const GC_GRACE_MS = 1_500;

export interface Case {
  readonly place: Place;
  readonly action: 'kill' | 'stop';
}

/** Every place × kill, and × stop where leases are held. */
export const CASES: readonly Case[] = PLACES.flatMap((place): Case[] => [
  { place, action: 'kill' },
  ...(place.name.startsWith('provider.') ? [{ place, action: 'stop' } as const] : []),
]);

export interface MatrixReport extends FatesReport {
  readonly killsTried: number;
  readonly stopsTried: number;
  /** Cases whose place no process passed in time. */
  readonly notReached: readonly string[];
  /** Acknowledged, pinned content that storage no longer has. */
  readonly blobsLost: number;
  /** Of the orders of many tasks: tasks that the chain never paid, and those it paid more than once. */
  readonly tasks: number;
  readonly tasksLost: number;
  readonly tasksPaidTwice: number;
  readonly seconds: number;
}

export interface MatrixOptions {
  readonly cases: readonly Case[];
  readonly seed: number;
  /** Receipts that are verified, spread over all; undefined: every one. */
  readonly receipts?: number;
  note(text: string): void;
}

interface Orders extends InFlight {
  readonly arrays: ReadonlyMap<string, number>;
  /** Every second order is from now on one that passes such places. */
  favour(passedBy: Place['passedBy']): void;
}

/** The kinds of orders, each by what it is described with. */
async function kindsOf({ store }: LocalMachine) {
  const put = async (text: string) => (await store.put(utf8(text), { pin: true })).cid;
  const [code, tasksCode] = [await put(CODE), await put(TASKS_CODE)];
  const [metered, validator] = [await put(METERED_CODE), await put(VALIDATOR_CODE)];
  const limits = { wallMs: 20_000, cpuMs: 20_000 };
  const whole = { code, limits };
  return {
    whole,
    many: { code: tasksCode, limits: TASK_LIMITS, tasks: TASKS },
    replayed: { ...whole, code: metered, kind: 'verifiable', metering: { fuel: FUEL } },
    validated: {
      ...whole,
      ...{ limits: { ...limits, outputBytes: VALIDATED_BYTES }, validator: { code: validator } },
    },
  } as const;
}

/** Orders whose submission is repeated until the market answers: what it took must end. */
async function createOrders(machine: LocalMachine): Promise<Orders> {
  const { market: account } = await machine.market.status();
  const kinds = await kindsOf(machine);
  const arrays = new Map<string, number>();
  let favoured: Place['passedBy'] = 'orders';
  // One attempt: the failpoints break calls, and this loop repeats them itself.
  const market = createMarketClient({
    url: machine.urls.market,
    signer: machine.signer,
    attemptsMax: 1,
    timeoutMs: 5_000,
  });
  let n = 0;

  /** Every third is of many tasks; of the others those that a place wants. */
  const kindOf = (number: number) => {
    if (number % 3 === 2) return kinds.many;
    if (number % 3 === 0) return kinds.whole;
    const source = [...arrays.keys()].at(-1);
    if (favoured === 'reading' && source !== undefined)
      return { ...kinds.whole, from: [{ name: 'before', order: source, task: number % TASKS }] };
    return favoured === 'replayed' || favoured === 'validated' ? kinds[favoured] : kinds.whole;
  };

  const submit = async (isOver: () => boolean) => {
    const kind = kindOf(n);
    const isArray = kind === kinds.many;
    const params = { n: n++ };
    const tier = n % 2 === 0 ? 'A' : 'B';
    const manifest = describeJob({ params, tier, minIsolation: 'S0', ...kind });
    const bytes = encodeManifest(manifest);
    let cid: string | undefined;
    while (cid === undefined && !isOver())
      cid = await machine.store.putBlock(bytes, { codec: 'dag-cbor' }).then(
        (stored) => stored.cid,
        () => sleep(100).then(() => undefined),
      );
    if (cid === undefined) return undefined;
    const { id, signed } = signOrder(machine.signer, {
      chain: machine.chain,
      market: parseAccount(account),
      manifest: cid,
      priceCap: isArray ? TASK_PRICE * BigInt(TASKS) : PRICE_CAP,
      nowUs: Date.now() * 1000,
      ...(isArray && { array: { tasks: TASKS, replicas: 1, unitPrice: TASK_PRICE } }),
    });
    const deadline = performance.now() + SUBMIT_LIMIT_MS;
    for (;;) {
      try {
        await market.submit(signed, manifest);
        if (isArray) arrays.set(id, TASKS);
        return id;
      } catch (error) {
        if (performance.now() > deadline) throw error;
        await sleep(100);
      }
    }
  };
  const favour = (passedBy: Place['passedBy']): void => void (favoured = passedBy);
  return { ...keepInFlight(market, IN_FLIGHT, submit), arrays, favour };
}

/** What was lost in a provider that dies is taken back. */
function killProvider(machine: LocalMachine, randomness: SeededRandomness): void {
  const running = machine
    .processes()
    .filter(({ name, state }) => name.startsWith('provider') && state === 'ready');
  const one = running[randomness.below(running.length || 1)];
  if (one?.pid !== undefined) process.kill(one.pid, 'SIGKILL');
}

/** Stores and collects until told to stop; remembers what storage said it has. */
function keepStoring(machine: LocalMachine, randomness: Randomness) {
  const kept = new Set<string>();
  const token = readFileSync(join(machine.home, 'storage-token'), 'utf8').trim();
  const call = (path: string, body?: FormData) =>
    fetch(`${machine.urls.storage}/api/v0/${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      ...(body && { body }),
      signal: AbortSignal.timeout(5_000),
    }).then((response) => response.text());
  const add = async (bytes: Uint8Array) => {
    const body = new FormData();
    body.append('file', new Blob([Uint8Array.from(bytes)]));
    const { Hash } = JSON.parse(await call('add?cid-version=1', body)) as { Hash?: string };
    if (Hash !== undefined) kept.add(Hash);
  };
  return {
    kept,
    async step(collects: boolean) {
      try {
        // Two blocks of two files: one is kept, the other is garbage once its grace is over.
        const { cid } = await machine.store.put(randomness.bytes(300_000), { pin: true });
        kept.add(cid);
        await machine.store.put(randomness.bytes(1_000), { pin: false });
        await add(randomness.bytes(300_000));
        if (collects) await call('repo/gc');
      } catch {
        // Struck in the middle: nothing was acknowledged.
      }
    },
  };
}

/** Arms the place, waits until a process strikes there, and until it serves again. */
async function strike(
  machine: LocalMachine,
  file: string,
  { place, action }: Case,
  storing: ReturnType<typeof keepStoring>,
  randomness: SeededRandomness,
): Promise<boolean> {
  const hit = 1 + randomness.below(2);
  const struck = `${file}.struck`;
  rmSync(struck, { force: true });
  writeFileSync(`${file}.new`, `${place.name}=${action}@${hit}`);
  renameSync(`${file}.new`, file);
  const isLoss = place.passedBy === 'losses';
  const deadline = performance.now() + (isLoss ? 4 : 1) * STRIKE_LIMIT_MS;
  let killAt = 0;
  while (!existsSync(struck) && performance.now() < deadline) {
    if (isLoss && performance.now() > killAt) {
      killProvider(machine, randomness);
      killAt = performance.now() + KILL_EVERY_MS;
    }
    if (place.passedBy === 'add' || place.passedBy === 'collect')
      await storing.step(place.passedBy === 'collect');
    else await sleep(10);
  }
  rmSync(file, { force: true });
  if (!existsSync(struck)) return false;
  const pid = Number(readFileSync(struck, 'utf8'));
  if (action === 'stop') {
    await sleep(STOP_MS);
    process.kill(pid, 'SIGCONT');
  } else {
    // Until the supervisor saw it die; then until its successor serves.
    while (machine.processes().some((one) => one.pid === pid && one.state === 'ready'))
      await sleep(10);
  }
  await allReady(machine);
  return true;
}

/** What the orders under way are waiting for. */
async function describeOrders(machine: LocalMachine, { note }: MatrixOptions): Promise<void> {
  const orders = await machine.market.orders({ limit: 6 }).catch(() => []);
  for (const order of orders) note(`  ${JSON.stringify(order).slice(0, 600)}`);
}

export async function runMatrix(options: MatrixOptions): Promise<MatrixReport> {
  const startedMs = performance.now();
  const folder = mkdtempSync(join(tmpdir(), 'seele-failpoints-'));
  const file = join(folder, 'armed');
  const machine = await startLocalMachine(
    {
      SEELE_FAILPOINTS_FILE: file,
      SEELE_MARKET_HEARTBEAT_MS: '500',
      SEELE_MARKET_LEASE_MS: String(LEASE_MS),
      SEELE_STORAGE_GC_GRACE_MS: String(GC_GRACE_MS),
      SEELE_MARKET_REPLAY_SHARE: '1',
    },
    5_000,
  );
  try {
    const randomness = createSeededRandomness(options.seed);
    const storing = keepStoring(machine, randomness);
    const orders = await createOrders(machine);
    const notReached: string[] = [];
    const tried = { kill: 0, stop: 0 };
    for (const one of options.cases) {
      const at = performance.now();
      orders.favour(one.place.passedBy);
      const isStruck = await strike(machine, file, one, storing, randomness);
      if (isStruck) tried[one.action]++;
      else notReached.push(`${one.place.name} ${one.action}`);
      if (!isStruck) await describeOrders(machine, options);
      const seconds = ((performance.now() - at) / 1000).toFixed(1);
      options.note(
        `${one.action} ${one.place.name}: ${isStruck ? 'struck' : 'MISSED'}, ${seconds} s`,
      );
    }
    await orders.stop();
    const { arrays } = orders;
    const whole = [...orders.taken].filter((id) => !arrays.has(id));
    const fates = await tellFates(machine, whole, options.note, options.receipts);
    const ofMany = await tellFates(machine, arrays.keys(), options.note, 0);
    const paid = await paidUnits(machine.urls.node, arrays);
    let blobsLost = 0;
    for (const cid of storing.kept)
      await readBlob(machine.store, cid, { maxBytes: 1_000_000 }).catch(() => blobsLost++);
    return {
      killsTried: tried.kill,
      stopsTried: tried.stop,
      notReached,
      ...fates,
      jobs: fates.jobs + ofMany.jobs,
      jobsLost: fates.jobsLost + ofMany.jobsLost,
      jobsGivenBack: fates.jobsGivenBack + ofMany.jobsGivenBack,
      paidTwice: fates.paidTwice + ofMany.paidTwice,
      tasks: arrays.size * TASKS,
      tasksLost: paid.lost,
      tasksPaidTwice: paid.paidTwice,
      blobsLost,
      seconds: secondsSince(startedMs),
    };
  } finally {
    await machine.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A few cases of every kind of process, chosen by the seed. */
export function sampleCases(seed: number, kills: number, stops: number): readonly Case[] {
  const randomness = createSeededRandomness(seed);
  const take = (cases: readonly Case[], count: number) => {
    const left = [...cases];
    return Array.from({ length: Math.min(count, left.length) }, () => {
      const [one] = left.splice(randomness.below(left.length), 1);
      return one as Case;
    });
  };
  return [
    ...take(
      CASES.filter(({ action }) => action === 'kill'),
      kills,
    ),
    ...take(
      CASES.filter(({ action }) => action === 'stop'),
      stops,
    ),
  ];
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: '' },
      seed: { type: 'string', default: '1' },
      sample: { type: 'string' },
      receipts: { type: 'string', default: '30' },
    },
  });
  const seed = Number(values.seed);
  const chosen = values.sample === undefined ? CASES : sampleCases(seed, Number(values.sample), 1);
  const report = await runMatrix({
    cases: chosen.filter(({ place }) =>
      values.only.split(',').some((prefix) => place.name.startsWith(prefix)),
    ),
    seed,
    receipts: Number(values.receipts),
    note: noteOnStderr,
  });
  process.stdout.write(`${JSON.stringify(report)}\n`);
  const { jobsLost, paidTwice, receiptsFailed, unbalanced, blobsLost, notReached } = report;
  const { tasksLost, tasksPaidTwice } = report;
  const money = paidTwice + unbalanced + tasksPaidTwice;
  const bad = jobsLost + tasksLost + money + receiptsFailed + blobsLost + notReached.length;
  process.exitCode = bad > 0 || report.killsTried === 0 ? 1 : 0;
}
