/**
 * The kill test: while jobs run, each kind of process is killed (SIGKILL) in turn. Afterwards every
 * order must have ended exactly once, no money may be made or lost, and every receipt must verify.
 *
 * Usage: node dist/test/system/kill-run.js [--rounds N] [--seed N]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { createSeededRandomness } from '#libs/kernel';
import { type LocalMachine, startLocalMachine } from '../support/local-machine.ts';
import {
  type FatesReport,
  allReady,
  keepInFlight,
  noteOnStderr,
  secondsSince,
  tellFates,
} from '../support/order-fates.ts';
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

export interface KillReport extends FatesReport {
  readonly killsTried: number;
  readonly killsByVictim: Readonly<Record<string, number>>;
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
/** After the kill before it, what is to be killed next may be long in coming. */
const FIND_LIMIT_MS = 60_000;

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

async function killRounds(machine: LocalMachine, options: KillOptions) {
  const randomness = createSeededRandomness(options.seed);
  const killed: Record<string, number> = {};
  for (let round = 0; round < options.rounds; round++)
    for (const victim of VICTIMS) {
      await sleep(150 + randomness.below(350));
      const deadline = performance.now() + FIND_LIMIT_MS;
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
    let count = 0;
    const ordering = keepInFlight(machine.market, IN_FLIGHT, async () =>
      orderers[count++ % orderers.length]?.().catch(() => undefined),
    );
    const killed = await killRounds(machine, options).finally(() => ordering.stop());
    return {
      killsTried: Object.values(killed).reduce((sum, one) => sum + one, 0),
      killsByVictim: killed,
      ...(await tellFates(machine, ordering.taken, options.note)),
      seconds: secondsSince(startedMs),
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
    note: noteOnStderr,
  });
  process.stdout.write(`${JSON.stringify(report)}\n`);
  const bad = report.jobsLost + report.paidTwice + report.receiptsFailed + report.unbalanced;
  process.exitCode = bad > 0 || report.killsTried === 0 ? 1 : 0;
}
