/**
 * The kill test: while jobs run, each kind of process is killed (SIGKILL) in turn. Afterwards every
 * order must have ended exactly once, no money may be made or lost, and every receipt must verify.
 *
 * Usage: node dist/test/system/kill-run.js [--rounds N] [--seed N]
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createSeededRandomness } from '#libs/kernel';
import type { OrderDocument } from '#libs/sdk';
import { ENDED } from '#libs/sdk';
import { type LocalMachine, startLocalMachine } from '../support/local-machine.ts';
import { type MoneyReport, checkMoney } from '../support/money.ts';
import { descendants } from '../support/process-tree.ts';

/** Some hundred milliseconds of work (jobs have no clock) with log lines: a kill finds it in the middle. */
const CODE = `export default async ({ params, log, progress }) => {
  let x = params.n ?? 1;
  for (let step = 0; step < 6; step++) {
    for (let i = 0; i < 6e6; i++) x = (x * 1103515245 + 12345) % 2147483648;
    log('step ' + step);
    progress((step + 1) / 6);
  }
  return { done: true };
};`;

export const VICTIMS = ['node', 'market', 'postgres', 'storage', 'provider', 'slot'] as const;
export type Victim = (typeof VICTIMS)[number];

export interface KillReport extends MoneyReport {
  readonly killsTried: number;
  readonly killsByVictim: Readonly<Record<string, number>>;
  readonly jobs: number;
  /** Orders that did not end, or that the market does not know any more. */
  readonly jobsLost: number;
  /** Orders that were paid more than once, or more than their cap. */
  readonly paidTwice: number;
  /** Ended without a result; the money came back. */
  readonly jobsGivenBack: number;
  readonly receiptsTried: number;
  readonly receiptsFailed: number;
  readonly seconds: number;
}

export interface KillOptions {
  readonly rounds: number;
  readonly seed: number;
  note(text: string): void;
}

const PRICE_CAP = 500_000_000n;
const LIMITS = { wallMs: 20_000, cpuMs: 20_000 };
const IN_FLIGHT = 6;
const READY_LIMIT_MS = 60_000;
const END_LIMIT_MS = 120_000;

function pidOf(machine: LocalMachine, name: string): number | undefined {
  return machine.processes().find((process) => process.name === name)?.pid;
}

/** The process ids that stand for a victim now; empty when there is none at the moment. */
function victims(machine: LocalMachine, victim: Victim): number[] {
  const providers = machine.processes().filter(({ name }) => name.startsWith('provider-'));
  if (victim === 'provider') return providers.flatMap(({ pid }) => pid ?? []);
  if (victim === 'slot')
    return providers.flatMap(({ pid }) =>
      pid === undefined
        ? []
        : descendants(pid).flatMap((process) =>
            /slot/.test(process.command) ? [process.pid] : [],
          ),
    );
  const pid = pidOf(machine, victim);
  if (pid === undefined) return [];
  if (victim !== 'postgres') return [pid];
  // The server itself, not the process that watches it.
  return descendants(pid).flatMap((process) =>
    process.parent === pid && /postgres.* -D /.test(process.command) ? [process.pid] : [],
  );
}

async function allReady(machine: LocalMachine): Promise<void> {
  const deadline = performance.now() + READY_LIMIT_MS;
  for (;;) {
    const waiting = machine.processes().filter(({ state }) => state !== 'ready');
    if (waiting.length === 0) return;
    if (performance.now() > deadline)
      throw new Error(`not ready again: ${waiting.map(({ name }) => name).join(', ')}`);
    await sleep(50);
  }
}

/** Keeps some orders under way until told to stop. */
function keepOrdering(machine: LocalMachine, orderers: readonly (() => Promise<string>)[]) {
  const ids = new Set<string>();
  const open = new Set<string>();
  let stopped = false;
  const done = (async () => {
    for (let i = 0; !stopped; i++) {
      for (const id of open)
        await machine.market.order(id).then(
          ({ status }) => void (ENDED.has(status) && open.delete(id)),
          () => undefined,
        );
      while (open.size < IN_FLIGHT && !stopped) {
        const order = orderers[i % orderers.length];
        const id = await order?.().catch(() => undefined);
        if (id === undefined) break;
        ids.add(id);
        open.add(id);
        i++;
      }
      await sleep(100);
    }
  })();
  return {
    ids,
    async stop() {
      stopped = true;
      await done;
    },
  };
}

async function endOf(machine: LocalMachine, id: string): Promise<OrderDocument | undefined> {
  const deadline = performance.now() + END_LIMIT_MS;
  for (;;) {
    const order = await machine.market.order(id).catch(() => undefined);
    if (order && ENDED.has(order.status)) return order;
    if (performance.now() > deadline) return undefined;
    await sleep(100);
  }
}

async function receiptVerifies(machine: LocalMachine, id: string): Promise<boolean> {
  const receipt = await machine.market.receipt(id, { timeoutMs: 30_000 }).catch(() => undefined);
  if (!receipt) return false;
  const file = join(machine.home, `${id}.seele`);
  writeFileSync(file, receipt);
  const args = ['audit', 'verify', file, '--offline', '--trust', machine.chain];
  return (await machine.seele(...args)).code === 0;
}

async function killRounds(machine: LocalMachine, options: KillOptions) {
  const randomness = createSeededRandomness(options.seed);
  const killed: Record<string, number> = {};
  for (let round = 0; round < options.rounds; round++)
    for (const victim of VICTIMS) {
      await sleep(150 + randomness.below(350));
      const deadline = performance.now() + 5_000;
      let found = victims(machine, victim);
      while (found.length === 0 && performance.now() < deadline) {
        await sleep(5);
        found = victims(machine, victim);
      }
      if (found.length === 0) continue;
      const pid = randomness.pick(found);
      options.note(`kill ${victim} ${pid}`);
      try {
        process.kill(pid, 'SIGKILL');
        killed[victim] = (killed[victim] ?? 0) + 1;
      } catch {
        // It had ended by itself.
      }
      await sleep(300);
      await allReady(machine);
      const orders = await machine.market.orders({ limit: 20 }).catch(() => []);
      options.note(`  ready again; ${orders.map(({ status }) => status).join(' ')}`);
    }
  return killed;
}

export async function runKills(options: KillOptions): Promise<KillReport> {
  const startedMs = performance.now();
  // Short leases, so that a killed provider's work is soon somebody else's.
  const machine = await startLocalMachine({
    SEELE_MARKET_HEARTBEAT_MS: '700',
    SEELE_MARKET_LEASE_MS: '3000',
  });
  try {
    const orderers = await Promise.all(
      (['A', 'B', 'C'] as const).map((tier) =>
        machine.orderer({
          code: CODE,
          limits: LIMITS,
          tier,
          priceCap: PRICE_CAP,
          params: { tier },
        }),
      ),
    );
    const ordering = keepOrdering(machine, orderers);
    const killed = await killRounds(machine, options).finally(() => ordering.stop());
    const ids = [...ordering.ids];
    options.note(`${ids.length} orders; waiting for their ends`);
    const ends = new Map<string, OrderDocument | undefined>();
    for (const id of ids) ends.set(id, await endOf(machine, id));
    for (const order of ends.values())
      if (order && order.status !== 'settled')
        options.note(
          `${order.id} ${order.status}: ${order.reason?.text ?? ''} [${order.reason?.code}]`,
        );
    const ended = [...ends.values()].filter((order) => order !== undefined);
    const money = await checkMoney(machine, ids);
    const settled = ended.filter(({ status }) => status === 'settled').map(({ id }) => id);
    let receiptsFailed = 0;
    for (const id of settled) if (!(await receiptVerifies(machine, id))) receiptsFailed++;
    return {
      killsTried: Object.values(killed).reduce((sum, count) => sum + count, 0),
      killsByVictim: killed,
      jobs: ids.length,
      jobsLost: ids.length - ended.length,
      jobsGivenBack: ended.length - settled.length,
      ...money,
      receiptsTried: settled.length,
      receiptsFailed,
      seconds: Number(((performance.now() - startedMs) / 1000).toFixed(1)),
    };
  } finally {
    await machine.stop();
  }
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '3' },
      seed: { type: 'string', default: '1' },
    },
  });
  const report = await runKills({
    rounds: Number(values.rounds),
    seed: Number(values.seed),
    note: (text) => process.stderr.write(`${new Date().toISOString().slice(14, 23)} ${text}\n`),
  });
  process.stdout.write(`${JSON.stringify(report)}\n`);
  const bad = report.jobsLost + report.paidTwice + report.receiptsFailed + report.unbalanced;
  process.exitCode = bad > 0 || report.killsTried === 0 ? 1 : 0;
}
