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
import { LINKS_100_MBIT } from './links.ts';
import { type PbftOptions, runPbft } from './pbft.ts';
import { type EdaOptions, fuzzEda, simulateEda } from './simulate.ts';
import { pbftRate } from './throughput.ts';

export const SIM_EDA_HELP = `seele sim eda|pbft: consensus on a virtual clock; one seed replays byte for byte

  --nodes N            validators (default 16); above 128 positions only
  --failed F           fraction of them that is down (0-1, default 0)
  --byzantine F        fraction that lies (default 0)
  --links-lost F       fraction of messages lost (default 0)
  --adversary NAME     how they lie: ${[...LAYER_A_ADVERSARIES, ...Object.keys(ADVERSARIES)].join(', ')} or all
  --mode committee|pull   sampled committee (default) or the paper's pull of peers
  --seats N            committee: expected seats (default 200)
  --sampling-rate F    pull: fraction of nodes asked per round (default 0.1);
                       --large: expected seats of a tick per validator (default 0.3)
  --large              validators have BLS keys: with more than 64, ticks are sampled and votes
                       are added up by leaders
  --epsilon-us N       interval of agreement (default 128)
  --spread-us N        spread of first positions (default 10^5 epsilon)
  --profile NAME       ${PROFILES.join(', ')} (default seele-40)
  --blocks N           blocks ordered at once (default 16)
  --mbit N             pbft: links of N Mbit/s each way, signatures that take time (default: delays only)
  --batch N            pbft with --mbit: transactions of 250 bytes in a block or batch (default 190)
  --dissemination      pbft: every replica spreads batches by itself, a block lists their names;
                       links of 100 Mbit/s when --mbit is left out; prints transactions a second
  --every-ms N         pbft --dissemination: a batch of every replica so often (default 800)
  --seconds N          pbft --dissemination: virtual seconds (default 4)
  --seed N | --seeds A-B  (default 1)
  --fuzz               random networks, faults and liars, one per seed; with --mutants the broken rules too
  --mutants            with --fuzz: every broken rule must be noticed
  --json               one JSON document on stdout

Examples: seele sim eda --nodes 10 --failed 0.4 --json
          seele sim pbft --nodes 16 --dissemination
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
  large: { type: 'boolean' },
  mbit: { type: 'string' },
  batch: { type: 'string' },
  dissemination: { type: 'boolean' },
  'every-ms': { type: 'string' },
  seconds: { type: 'string' },
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
  readonly links: PbftLinks;
  readonly from: number;
  readonly to: number;
  readonly mutants: boolean;
  readonly json: boolean;
}

/** What only the baseline knows: links of finite speed, separate dissemination. */
interface PbftLinks {
  readonly mbit: number | undefined;
  readonly batch: number;
  readonly everyMs: number | undefined;
  readonly seconds: number;
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
    samplingRate: fraction('sampling-rate', values.large ? 0.3 : 0.1),
    large: values.large === true,
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
  const isSpread = values.dissemination === true;
  const hasLinks = isSpread || values.mbit !== undefined;
  if (options.large && options.samplingRate === 0)
    throw new Wrong('--large needs a --sampling-rate above 0');
  if (what !== 'pbft' && hasLinks) throw new Wrong('--mbit and --dissemination are of sim pbft');
  const links = {
    mbit: hasLinks ? whole('mbit', 100, 1, 1_000_000) : undefined,
    batch: whole('batch', 190, 1, 100_000),
    everyMs: isSpread ? whole('every-ms', 800, 1, 3_600_000) : undefined,
    seconds: whole('seconds', 4, 1, 60),
  };
  const json = values.json === true;
  const mutants = values.mutants === true;
  const kind = values.fuzz && what === 'eda' ? 'fuzz' : what;
  return { what: kind, options, links, from, to, mutants, json };
}

const DELAY_US = [1000, 20_000] as const;

/** Beyond what any block takes through a leader's uplink: PBFT at its best, without view changes. */
const PATIENT_US = 10_000_000;
/** Before that, uplinks and the list of batches fill. */
const WARM_UP_SHARE = 0.4;

function linkOptions({ mbit, batch, everyMs, seconds }: PbftLinks): Partial<PbftOptions> {
  if (mbit === undefined) return {};
  const links = { ...LINKS_100_MBIT, bitsPerSecond: mbit * 1e6 };
  const patient = { links, timeoutUs: PATIENT_US };
  if (everyMs === undefined) return { ...patient, blockTransactions: batch };
  const batches = { transactions: batch, everyUs: everyMs * 1000 };
  return { ...patient, batches, blocks: BLOCKS_UNBOUND, maxUs: seconds * 1e6 };
}
const BLOCKS_UNBOUND = 1_000_000;

export function pbftReport(options: EdaOptions, links: PbftLinks) {
  const runs = options.seeds.map((seed) =>
    runPbft({
      nodes: options.nodes,
      failed: options.failed + options.byzantine,
      linksLost: options.linksLost,
      blocks: options.blocks,
      seed,
      delayUs: DELAY_US,
      ...linkOptions(links),
    }),
  );
  const warmUpUs = links.everyMs === undefined ? 0 : WARM_UP_SHARE * links.seconds * 1e6;
  const rates = runs.map(({ ordered }) => pbftRate(ordered, warmUpUs));
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
    ...(links.mbit !== undefined && { tps: Math.round(Math.min(...rates)) }),
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
    const figures = what === 'eda' ? simulateEda(options) : pbftReport(options, command.links);
    isGood = figures.violations === 0;
    report = figures;
  }
  stdout.write(json ? `${JSON.stringify(report)}\n` : textOf(report));
  return isGood ? 0 : 1;
}

// Not exit(): what was written to a pipe may not have left yet.
if (process.argv[1] === fileURLToPath(import.meta.url))
  process.exitCode = runSimEda(process.argv.slice(2));
