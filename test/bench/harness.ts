/**
 * Runs one bench area and prints one JSON document. A bench never asserts: figures that could not be
 * taken are null, with the reason under `skipped`.
 *
 * Usage: node dist/test/bench/harness.js <area> [--full] [--seed N] [--seeds N] [--plots DIR] [--attacks DIR] [--nodes N] [--kill N]
 * An area is a module beside this one that exports `bench(options)`; see README.md.
 */
import { globSync, readFileSync } from 'node:fs';
import { arch, cpus, release, totalmem, type as osType } from 'node:os';
import { basename, extname, join } from 'node:path';
import { WrongUsage, readOptions, refuse } from '../support/refusal.ts';
import { endOnSignals } from '../support/started.ts';

export interface BenchOptions {
  /** Also run the long part; without it an area ends within 50 s. */
  readonly full: boolean;
  /** Every random choice of the area follows from it. */
  readonly seed: number;
  /** Seeds to try, for areas that count them; their own number when absent. */
  readonly seeds?: number;
  /** Folder to write figures (SVG) to, for the areas that draw some. */
  readonly plots?: string;
  /** Folder of hostile programs for the areas that run them; their own corpus when absent. */
  readonly attacks?: string;
  /** Processes of the areas that start some; their own number when absent. */
  readonly nodes?: number;
  /** How many of them are killed, in the areas that measure recovery. */
  readonly kill?: number;
  /** Progress for people, on stderr. */
  readonly note: (text: string) => void;
}

/** Numbers, nested as their names are written: `rounds.links50.33` is figures.rounds.links50["33"]. */
export interface BenchFigures {
  readonly [name: string]: number | string | boolean | null | BenchFigures;
}

export interface BenchResult {
  readonly figures: BenchFigures;
  /** Why a figure is null, by its name. */
  readonly skipped?: Readonly<Record<string, string>>;
}

export type Bench = (options: BenchOptions) => Promise<BenchResult>;

/** What a `seele bench` prints. */
export interface BenchDocument extends BenchResult {
  readonly area: string;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly versions: Readonly<Record<string, string>>;
  readonly seed: number;
}

/** CPU seconds (user and system) that this process has used so far. */
export function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** The value below which `share` of the samples lie (nearest rank); 0 when there are none. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}

/** Rounds to `digits` significant digits: figures carry no false precision. */
export function significant(value: number, digits = 4): number {
  return Number(value.toPrecision(digits));
}

const here = import.meta.dirname;
const extension = extname(import.meta.filename);

/** Areas of two words; every other name with a dash is a part of one. */
const CONSENSUS_AREAS = ['consensus-cluster', 'consensus-fuzz', 'consensus-sim'];

function areas(): string[] {
  return globSync(`*${extension}`, { cwd: here })
    .map((file) => basename(file, extension))
    .filter((name) => name !== 'harness' && !name.includes('.'))
    .filter((name) => !name.includes('-') || CONSENSUS_AREAS.includes(name))
    .toSorted();
}

function machine(): BenchDocument['machine'] {
  const processors = cpus();
  return {
    processor: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    memoryBytes: totalmem(),
    system: `${osType()} ${release()}`,
    architecture: arch(),
  };
}

function versions(): BenchDocument['versions'] {
  const root = process.env['npm_package_json'] ?? join(process.cwd(), 'package.json');
  let seele = 'unknown';
  try {
    seele = (JSON.parse(readFileSync(root, 'utf8')) as { version: string }).version;
  } catch {
    // Run from another folder: the other versions still say what was measured.
  }
  return { seele, node: process.versions.node, v8: process.versions.v8 };
}

/** Runs one area. @throws WrongUsage when there is no such area, or it cannot use its options */
export async function runArea(
  area: string,
  options: Omit<BenchOptions, 'note'>,
): Promise<BenchDocument> {
  if (!areas().includes(area))
    throw new WrongUsage(`there is no bench area "${area}"; there are: ${areas().join(', ')}`);
  const module = (await import(join(here, area + extension))) as { readonly bench?: Bench };
  if (!module.bench) throw new Error(`test/bench/${area} exports no bench(options)`);
  const note = (text: string) => process.stderr.write(`${area}: ${text}\n`);
  const { figures, skipped } = await module.bench({ ...options, note });
  return {
    area,
    figures,
    machine: machine(),
    versions: versions(),
    seed: options.seed,
    ...(skipped && Object.keys(skipped).length > 0 ? { skipped } : {}),
  };
}

const OPTIONS = {
  full: { type: 'boolean', default: false },
  seed: { type: 'string', default: '1' },
  list: { type: 'boolean', default: false },
  attacks: { type: 'string' },
  seeds: { type: 'string' },
  plots: { type: 'string' },
  nodes: { type: 'string' },
  kill: { type: 'string' },
} as const;

async function main(args: readonly string[]): Promise<void> {
  const [area] = args;
  const isNamed = area !== undefined && !area.startsWith('-');
  const values = readOptions(isNamed ? args.slice(1) : args, OPTIONS);
  if (values.list) {
    process.stdout.write(`${JSON.stringify(areas())}\n`);
    return;
  }
  const { full, attacks, plots } = values;
  const seeds = values.seeds === undefined ? undefined : Number(values.seeds);
  const seed = Number(values.seed);
  const nodes = values.nodes === undefined ? undefined : Number(values.nodes);
  const kill = values.kill === undefined ? undefined : Number(values.kill);
  const isCount = (n: number, least: number) => Number.isSafeInteger(n) && n >= least;
  if (!isNamed) throw new WrongUsage(`name an area: ${areas().join(', ')}`);
  if (!isCount(seed, 0) || [seeds ?? 1, nodes ?? 1, kill ?? 1].some((n) => !isCount(n, 1)))
    throw new WrongUsage('--seed, --seeds, --nodes and --kill are whole numbers, the last from 1');
  endOnSignals();
  const document = await runArea(area, {
    full,
    seed,
    ...(attacks !== undefined && { attacks }),
    ...(seeds !== undefined && { seeds }),
    ...(plots !== undefined && { plots }),
    ...(nodes !== undefined && { nodes }),
    ...(kill !== undefined && { kill }),
  });
  process.stdout.write(`${JSON.stringify(document)}\n`);
}

function failed(error: unknown): void {
  if (error instanceof WrongUsage) process.exitCode = refuse(error);
  else {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exitCode = 1;
  }
}

// Not awaited: areas import this module, which must have finished loading before they can.
if (process.argv[1] === import.meta.filename) void main(process.argv.slice(2)).catch(failed);
