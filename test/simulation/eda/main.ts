/**
 * `seele sim eda` and `seele sim pbft`: consensus on a virtual clock.
 *
 * Exit code: 0 when every invariant held (and every mutant was caught), 1 when not, 2 for wrong usage.
 */
import process, { stderr, stdout } from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { DEFAULT_PARAMETERS, PROFILES, type Profile } from '#libs/eda';
import { ADVERSARIES } from './adversaries.ts';
import { LAYER_A_ADVERSARIES } from './compact.ts';
import { runPbft } from './pbft.ts';
import { type EdaOptions, fuzzEda, simulateEda } from './simulate.ts';

export const SIM_EDA_HELP = `seele sim eda|pbft: consensus on a virtual clock; one seed replays byte for byte

  --nodes N            validators (default 16); above 128 positions only
  --failed F           fraction of them that is down (0-1, default 0)
  --byzantine F        fraction that lies (default 0)
  --links-lost F       fraction of messages lost (default 0)
  --adversary NAME     how they lie: ${[...LAYER_A_ADVERSARIES, ...Object.keys(ADVERSARIES)].join(', ')} or all
  --mode committee|pull   sampled committee (default) or the paper's pull of peers
  --seats N            committee: expected seats (default 200)
  --sampling-rate F    pull: fraction of nodes asked per round (default 0.1)
  --epsilon-us N       interval of agreement (default 128)
  --spread-us N        spread of first positions (default 10^5 epsilon)
  --profile NAME       ${PROFILES.join(', ')} (default seele-40)
  --blocks N           blocks ordered at once (default 16)
  --seed N | --seeds A-B  (default 1)
  --fuzz               random networks, faults and liars, one per seed; with --mutants the broken rules too
  --mutants            with --fuzz: every broken rule must be noticed
  --json               one JSON document on stdout

Example: seele sim eda --nodes 10 --failed 0.4 --json
`;

const OPTIONS = {
  nodes: { type: 'string' },
  failed: { type: 'string' },
  byzantine: { type: 'string' },
  'links-lost': { type: 'string' },
  adversary: { type: 'string' },
  mode: { type: 'string' },
  seats: { type: 'string' },
  'sampling-rate': { type: 'string' },
  'epsilon-us': { type: 'string' },
  'spread-us': { type: 'string' },
  profile: { type: 'string' },
  blocks: { type: 'string' },
  seed: { type: 'string' },
  seeds: { type: 'string' },
  fuzz: { type: 'boolean' },
  mutants: { type: 'boolean' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

export interface SimEdaCommand {
  readonly what: 'eda' | 'pbft' | 'fuzz';
  readonly options: EdaOptions;
  readonly from: number;
  readonly to: number;
  readonly mutants: boolean;
  readonly json: boolean;
}

class Wrong extends Error {}

/** Reads the command line; text when it is wrong or help was asked for. */
export function readSimEdaArguments(
  args: readonly string[],
): SimEdaCommand | { readonly usage: string; readonly isWrong: boolean } {
  const [what, ...rest] = args[0]?.startsWith('--') ? ['eda', ...args] : args;
  try {
    const { values } = parseArgs({ args: rest, options: OPTIONS });
    if (values.help) return { usage: SIM_EDA_HELP, isWrong: false };
    if (what !== 'eda' && what !== 'pbft') throw new Wrong('what to simulate: eda or pbft');
    return commandOf(what, values);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return { usage: `${text}\n\n${SIM_EDA_HELP}`, isWrong: true };
  }
}

type Values = { readonly [K in keyof typeof OPTIONS]?: string | boolean | undefined };

function commandOf(what: 'eda' | 'pbft', values: Values): SimEdaCommand {
  const text = (name: keyof Values, preset: string) => String(values[name] ?? preset);
  const whole = (name: keyof Values, preset: number, min: number, max: number): number => {
    const value = Number(text(name, String(preset)));
    if (!Number.isInteger(value) || value < min || value > max)
      throw new Wrong(`--${name} is a whole number from ${min} to ${max}`);
    return value;
  };
  const fraction = (name: keyof Values, preset: number): number => {
    const value = Number(text(name, String(preset)));
    if (!(value >= 0 && value <= 1)) throw new Wrong(`--${name} is a fraction from 0 to 1`);
    return value;
  };
  const word = <W extends string>(name: keyof Values, preset: W, words: readonly W[]): W => {
    const found = words.find((one) => one === text(name, preset));
    if (found === undefined) throw new Wrong(`--${name} is one of ${words.join(', ')}`);
    return found;
  };
  if (values.seed !== undefined && values.seeds !== undefined)
    throw new Wrong('give --seed or --seeds, not both');
  const range = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(text('seeds', text('seed', '1')));
  const from = Number(range?.[1]);
  const to = Number(range?.[2] ?? range?.[1]);
  if (!range || to < from) throw new Wrong('seeds are whole numbers, a range is A-B');
  const epsilonUs = whole('epsilon-us', DEFAULT_PARAMETERS.epsilonUs, 1, 1e6);
  const options: EdaOptions = {
    nodes: whole('nodes', 16, 4, 1_000_000),
    failed: fraction('failed', 0),
    byzantine: fraction('byzantine', 0),
    linksLost: fraction('links-lost', 0),
    samplingRate: fraction('sampling-rate', 0.1),
    adversary: word('adversary', 'none', [
      'none',
      'all',
      ...LAYER_A_ADVERSARIES,
      ...Object.keys(ADVERSARIES),
    ]),
    seats: whole('seats', 200, 1, 100_000),
    epsilonUs,
    spreadUs: whole('spread-us', 1e5 * epsilonUs, 1, 2 ** 40),
    mode: word('mode', 'committee', ['committee', 'pull']),
    profile: word<Profile>('profile', 'seele-40', PROFILES),
    blocks: whole('blocks', 16, 1, 4096),
    seeds: Array.from({ length: Math.min(to - from + 1, 1000) }, (_, i) => from + i),
  };
  if (options.failed + options.byzantine >= 1)
    throw new Wrong('--failed and --byzantine leave nobody honest');
  const json = values.json === true;
  const mutants = values.mutants === true;
  return { what: values.fuzz && what === 'eda' ? 'fuzz' : what, options, from, to, mutants, json };
}

const DELAY_US = [1000, 20_000] as const;

function pbftReport(options: EdaOptions) {
  const runs = options.seeds.map((seed) =>
    runPbft({
      nodes: options.nodes,
      failed: options.failed + options.byzantine,
      linksLost: options.linksLost,
      blocks: options.blocks,
      seed,
      delayUs: DELAY_US,
    }),
  );
  const sum = (pick: (run: (typeof runs)[number]) => number) =>
    runs.reduce((s, r) => s + pick(r), 0);
  const decided = sum((run) => run.decided);
  const finality = runs.flatMap(({ finalityMs }) => finalityMs ?? []).sort((a, b) => a - b);
  return {
    rounds: null,
    messages: sum((run) => run.messages),
    bytes: sum((run) => run.bytes),
    finalityMs: finality[Math.floor(finality.length / 2)] ?? null,
    violations: sum((run) => run.violations),
    checked: sum((run) => run.checked),
    decided,
    votesPerBlock: decided > 0 ? Math.round(sum((run) => run.votes) / decided) : null,
    seeds: runs.length,
    skipped: {
      rounds: 'PBFT has no positions',
      ...(decided === 0 && { finalityMs: 'more than a third is down: PBFT orders nothing' }),
    },
  };
}

function textOf(report: object): string {
  const lines = Object.entries(report).map(([name, value]) =>
    typeof value === 'object' && value !== null
      ? `${name}: ${JSON.stringify(value, null, 1)}`
      : `${name}: ${String(value)}`,
  );
  return `${lines.join('\n')}\n`;
}

/** Runs the command; returns its exit code. */
export function runSimEda(args: readonly string[]): number {
  const command = readSimEdaArguments(args);
  if ('usage' in command) {
    (command.isWrong ? stderr : stdout).write(command.usage);
    return command.isWrong ? 2 : 0;
  }
  const { what, options, json } = command;
  let isGood: boolean;
  let report: object;
  if (what === 'fuzz') {
    const fuzz = fuzzEda(command.from, command.to, command.mutants, (seed) => {
      if (stderr.isTTY) stderr.write(`\rseed ${seed}`);
    });
    if (stderr.isTTY) stderr.write('\r\u001B[K');
    isGood = fuzz.violations === 0 && fuzz.mutantsCaught === fuzz.mutantsTried;
    report = fuzz;
  } else {
    const figures = what === 'eda' ? simulateEda(options) : pbftReport(options);
    isGood = figures.violations === 0;
    report = figures;
  }
  stdout.write(json ? `${JSON.stringify(report)}\n` : textOf(report));
  return isGood ? 0 : 1;
}

// Not exit(): what was written to a pipe may not have left yet.
if (process.argv[1] === fileURLToPath(import.meta.url))
  process.exitCode = runSimEda(process.argv.slice(2));
