/**
 * `seele sim scheduler`: replays a trace through a placement policy and prints how well it packs.
 *
 * Exit code: 0 when it ran; 2 for wrong usage and files that cannot be read.
 */
import process, { stderr, stdout } from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { SeeleError } from '#libs/kernel';
import {
  POLICIES,
  type PolicyName,
  type SchedulerSimulationOptions,
  type SchedulerSimulationReport,
  simulateScheduler,
} from './simulate.ts';

export * from './simulate.ts';

export const SIM_SCHEDULER_HELP = `seele sim scheduler: how well a policy packs a recorded workload

  --nodes FILE      machines, openb node table (.csv, .csv.gz); SWF may do without
  --tasks FILE      tasks, openb task table or SWF (Parallel Workloads Archive)
  --policy NAME     ${POLICIES.join(', ')} (default seele)
  --seeds A-B       one run per seed (default 42-51, the published ones)
  --seed N          one run
  --inflation X     GPU demand to build, as a multiple of capacity (default 1.3)
  --arrivals FILE   exact arrival orders, one line per seed from 42
  --ranks FILE      exact ranks of machines for equal scores, one line per seed from 42
  --json            one JSON document on stdout

Example: seele sim scheduler --nodes nodes.csv --tasks tasks.csv --policy fgd --json
`;

interface SimSchedulerCommand {
  readonly options: SchedulerSimulationOptions;
  readonly json: boolean;
}

type Usage = { readonly usage: string; readonly isWrong: boolean };
type Values = Record<string, string | boolean | undefined>;
const textOptions = [
  ...['nodes', 'tasks', 'policy', 'seeds', 'seed', 'inflation', 'arrivals', 'ranks'],
] as const;

const MAX_SEEDS = 1000;
const MAX_INFLATION = 10;

function seedRange(values: Values): { from: number; to: number } | string {
  if (values['seed'] !== undefined && values['seeds'] !== undefined)
    return 'give --seed or --seeds, not both';
  const text = String(values['seed'] ?? values['seeds'] ?? '42-51');
  const match = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(text);
  if (!match) return 'seeds are whole numbers, a range is A-B';
  const from = Number(match[1]);
  const to = Number(match[2] ?? match[1]);
  if (to < from || to - from >= MAX_SEEDS)
    return `seeds are a range A-B of at most ${MAX_SEEDS}, A first`;
  return { from, to };
}

function optionsOf(values: Values): SchedulerSimulationOptions | string {
  const { nodes, tasks, arrivals, ranks } = values;
  if (typeof tasks !== 'string') return 'give --tasks, and --nodes unless they are an SWF file';
  const policy = String(values['policy'] ?? 'seele');
  if (!POLICIES.includes(policy as PolicyName))
    return `--policy is one of ${POLICIES.join(', ')}, not "${policy}"`;
  const range = seedRange(values);
  if (typeof range === 'string') return range;
  const inflation = Number(values['inflation'] ?? 1.3);
  if (!(inflation > 0 && inflation <= MAX_INFLATION))
    return `--inflation is a number above 0, at most ${MAX_INFLATION}`;
  return {
    ...(typeof nodes === 'string' && { nodes }),
    tasks,
    policy: policy as PolicyName,
    ...range,
    inflation,
    ...(typeof arrivals === 'string' && { arrivals }),
    ...(typeof ranks === 'string' && { ranks }),
  };
}

/** Reads the command line; text when it is wrong or help was asked for. */
export function readSimSchedulerArguments(args: readonly string[]): SimSchedulerCommand | Usage {
  const wrong = (what: string): Usage => ({
    usage: `${what}\n\n${SIM_SCHEDULER_HELP}`,
    isWrong: true,
  });
  let values: Values;
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        ...Object.fromEntries(textOptions.map((name) => [name, { type: 'string' as const }])),
        json: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    }));
  } catch (error) {
    return wrong(error instanceof Error ? error.message : String(error));
  }
  if (values['help']) return { usage: SIM_SCHEDULER_HELP, isWrong: false };
  const options = optionsOf(values);
  return typeof options === 'string' ? wrong(options) : { options, json: values['json'] === true };
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
  const command = readSimSchedulerArguments(args);
  if ('usage' in command) {
    (command.isWrong ? stderr : stdout).write(command.usage);
    return command.isWrong ? 2 : 0;
  }
  const { options, json } = command;
  try {
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
    if (!(error instanceof SeeleError)) throw error;
    stderr.write(`${error.code}: ${error.message}\n`);
    return 2;
  }
}

// Not exit(): what was written to a pipe may not have left yet.
if (process.argv[1] === fileURLToPath(import.meta.url))
  process.exitCode = runSimScheduler(process.argv.slice(2));
