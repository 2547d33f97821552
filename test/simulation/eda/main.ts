/**
 * `seele sim eda` and `seele sim pbft`: consensus on a virtual clock.
 *
 * Exit code: 0 when every invariant held (and every mutant was caught), 1 when not, 2 for wrong usage.
 */
import process, { stderr, stdout } from 'node:process';
import { fileURLToPath } from 'node:url';
import { DEFAULT_PARAMETERS, PROFILES, type Profile } from '#libs/eda';
import { WrongUsage, readOptions, refuse } from '../../support/refusal.ts';
import { ADVERSARIES } from './adversaries.ts';
import { LAYER_A_ADVERSARIES } from './compact.ts';
import { LINKS_100_MBIT } from './links.ts';
import { type PbftOptions, runPbft } from './pbft.ts';
import { type EdaOptions, fuzzEda, simulateEda } from './simulate.ts';
import { pbftRate } from './throughput.ts';

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

/** Reads the command line. @throws WrongUsage */
export function readSimEdaArguments(args: readonly string[]): SimEdaCommand {
  const [what, ...rest] = args[0]?.startsWith('--') ? ['eda', ...args] : args;
  if (what !== 'eda' && what !== 'pbft') throw new WrongUsage('what to simulate: eda or pbft');
  return commandOf(what, readOptions(rest, OPTIONS));
}

type Values = { readonly [K in keyof typeof OPTIONS]?: string | boolean | undefined };

function commandOf(what: 'eda' | 'pbft', values: Values): SimEdaCommand {
  const text = (name: keyof Values, preset: string) => String(values[name] ?? preset);
  const whole = (name: keyof Values, preset: number, min: number, max: number): number => {
    const value = Number(text(name, String(preset)));
    if (!Number.isInteger(value) || value < min || value > max)
      throw new WrongUsage(
        `--${name} is a whole number from ${min} to ${max}, not "${text(name, '')}"`,
      );
    return value;
  };
  const fraction = (name: keyof Values, preset: number): number => {
    const value = Number(text(name, String(preset)));
    if (!(value >= 0 && value <= 1))
      throw new WrongUsage(`--${name} is a fraction from 0 to 1, not "${text(name, '')}"`);
    return value;
  };
  const word = <W extends string>(name: keyof Values, preset: W, words: readonly W[]): W => {
    const found = words.find((one) => one === text(name, preset));
    if (found === undefined)
      throw new WrongUsage(`--${name} is one of ${words.join(', ')}, not "${text(name, '')}"`);
    return found;
  };
  if (values.seed !== undefined && values.seeds !== undefined)
    throw new WrongUsage('give --seed or --seeds, not both');
  const range = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(text('seeds', text('seed', '1')));
  const from = Number(range?.[1]);
  const to = Number(range?.[2] ?? range?.[1]);
  if (!range || to < from)
    throw new WrongUsage('seeds are whole numbers, a range is A-B with A first');
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
      ...new Set([...LAYER_A_ADVERSARIES, ...Object.keys(ADVERSARIES)]),
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
    throw new WrongUsage('--failed and --byzantine leave nobody honest');
  const isSpread = values.dissemination === true;
  const hasLinks = isSpread || values.mbit !== undefined;
  if (options.large && options.samplingRate === 0)
    throw new WrongUsage('--large needs a --sampling-rate above 0');
  if (what !== 'pbft' && hasLinks)
    throw new WrongUsage('--mbit and --dissemination are of sim pbft');
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
  let command: SimEdaCommand;
  try {
    command = readSimEdaArguments(args);
  } catch (error) {
    return refuse(error);
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
