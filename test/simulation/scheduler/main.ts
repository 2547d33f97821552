/**
 * `seele sim scheduler`: replays a trace through a placement policy and prints how well it packs.
 *
 * Exit code: 0 when it ran; 2 for wrong usage and files that cannot be read.
 */
import process, { stderr, stdout } from 'node:process';
import { fileURLToPath } from 'node:url';
import { WrongUsage, readOptions, refuse } from '../../support/refusal.ts';
import {
  POLICIES,
  type SchedulerSimulationOptions,
  type SchedulerSimulationReport,
  simulateScheduler,
} from './simulate.ts';

export * from './simulate.ts';

interface SimSchedulerCommand {
  readonly options: SchedulerSimulationOptions;
  readonly json: boolean;
}

const OPTIONS = {
  nodes: { type: 'string' },
  tasks: { type: 'string' },
  policy: { type: 'string' },
  seeds: { type: 'string' },
  seed: { type: 'string' },
  inflation: { type: 'string' },
  arrivals: { type: 'string' },
  ranks: { type: 'string' },
  json: { type: 'boolean' },
} as const;
type Values = Readonly<Partial<Record<keyof typeof OPTIONS, string | boolean>>>;

const MAX_SEEDS = 1000;
const MAX_INFLATION = 10;

/** @throws WrongUsage */
function seedRange(values: Values): { from: number; to: number } {
  if (values.seed !== undefined && values.seeds !== undefined)
    throw new WrongUsage('give --seed or --seeds, not both');
  const given = String(values.seed ?? values.seeds ?? '42-51');
  const match = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(given);
  const from = Number(match?.[1]);
  const to = Number(match?.[2] ?? match?.[1]);
  if (!match || to < from || to - from >= MAX_SEEDS)
    throw new WrongUsage(
      `seeds are whole numbers, a range A-B of at most ${MAX_SEEDS} with A first, not "${given}"`,
    );
  return { from, to };
}

/** Reads the command line. @throws WrongUsage */
export function readSimSchedulerArguments(args: readonly string[]): SimSchedulerCommand {
  const values: Values = readOptions(args, OPTIONS);
  const { nodes, tasks, arrivals, ranks } = values;
  if (typeof tasks !== 'string')
    throw new WrongUsage('give --tasks, and --nodes unless they are an SWF file');
  const given = String(values.policy ?? 'seele');
  const policy = POLICIES.find((name) => name === given);
  if (policy === undefined)
    throw new WrongUsage(`--policy is one of ${POLICIES.join(', ')}, not "${given}"`);
  const inflation = Number(values.inflation ?? 1.3);
  if (!(inflation > 0 && inflation <= MAX_INFLATION))
    throw new WrongUsage(
      `--inflation is a number above 0, at most ${MAX_INFLATION}, not "${values.inflation}"`,
    );
  const options = {
    ...(typeof nodes === 'string' && { nodes }),
    tasks,
    policy,
    ...seedRange(values),
    inflation,
    ...(typeof arrivals === 'string' && { arrivals }),
    ...(typeof ranks === 'string' && { ranks }),
  };
  return { options, json: values.json === true };
}

/** The report for people. */
export function schedulerReportText(report: SchedulerSimulationReport): string {
  const { unallocatedGpuPercent, unallocatedGpuPercentSd, fragmentation, skipped } = report;
  const lines = [
    `${report.policy}: ${report.seeds.length} runs of ${report.tasks} tasks on ${report.nodes} machines`,
    `${report.failedTasks} of ${report.arrivedTasks} arrived tasks found no room`,
  ];
  if (unallocatedGpuPercent !== null)
    lines.push(
      `unallocated GPU at full demand: ${unallocatedGpuPercent} % (sd ${unallocatedGpuPercentSd ?? 'of one run'})`,
      `fragmentation: ${fragmentation} %`,
    );
  for (const [name, value] of Object.entries(report.waits ?? {})) lines.push(`${name}: ${value}`);
  if (report.jain !== null) lines.push(`Jain index of users' slowdowns: ${report.jain}`);
  for (const [name, reason] of Object.entries(skipped ?? {})) lines.push(`no ${name}: ${reason}`);
  return `${lines.join('\n')}\n`;
}

/** Runs the command; returns its exit code. */
export function runSimScheduler(args: readonly string[]): number {
  try {
    const { options, json } = readSimSchedulerArguments(args);
    const report = simulateScheduler({
      ...options,
      onSeed(seed) {
        if (stderr.isTTY) stderr.write(`\rseed ${seed} of ${options.from}-${options.to}`);
      },
    });
    if (stderr.isTTY) stderr.write('\r\u001B[K');
    stdout.write(json ? `${JSON.stringify(report)}\n` : schedulerReportText(report));
    return 0;
  } catch (error) {
    return refuse(error);
  }
}

// Not exit(): what was written to a pipe may not have left yet.
if (process.argv[1] === fileURLToPath(import.meta.url))
  process.exitCode = runSimScheduler(process.argv.slice(2));
