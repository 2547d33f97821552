/** `seele bench <area>`: runs one bench in a process of its own and shows its figures. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type ErrorEntry, SeeleError } from '#libs/kernel';
import { cliError } from '../errors.ts';
import { type CommandContext, wholeNumber } from '../frame/command.ts';
import type { Json } from '../frame/output.ts';
import { tableLines } from '../frame/table.ts';

const dist = join(import.meta.dirname, '../../../..');

interface ChildOutcome {
  readonly code: number;
  readonly stdout: string;
}

interface Refused extends Partial<ErrorEntry> {
  readonly message: string;
  readonly code?: string;
}
/** With this exit code it began nothing, and its stdout says why (test/support/refusal.ts). */
const EXIT_REFUSED = 2;

function refusal(stdout: string): SeeleError {
  const { message, code, ...entry } = (JSON.parse(stdout) as { refused: Refused }).refused;
  return code === undefined
    ? cliError('CLI_USAGE', message)
    : new SeeleError(code, entry as ErrorEntry, message);
}

/** Runs a program of this build; stderr is ours, stdout comes back. @throws what it refused with */
export function runBuilt(
  context: CommandContext,
  path: string,
  args: readonly string[],
): Promise<ChildOutcome> {
  const program = join(dist, path);
  if (!existsSync(program)) throw cliError('CLI_INCOMPLETE', `${program} is not there`);
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    const stop = () => child.kill('SIGTERM');
    context.signal.addEventListener('abort', stop);
    child.once('error', reject);
    child.once('close', (code) => {
      context.signal.removeEventListener('abort', stop);
      if (code === EXIT_REFUSED) reject(refusal(stdout));
      else resolve({ code: code ?? 1, stdout });
    });
  });
}

export function flatten(value: Json, path: string): [string, string][] {
  if (typeof value !== 'object' || value === null) return [[path, String(value)]];
  return Object.entries(value).flatMap(([key, inner]) =>
    flatten(inner as Json, path === '' ? key : `${path}.${key}`),
  );
}

export async function bench(
  context: CommandContext,
  options: {
    readonly full?: boolean;
    readonly seed: string;
    readonly seeds?: string;
    readonly plots?: string;
    readonly attacks?: string;
    readonly nodes?: string;
    readonly kill?: string;
  },
  area: string,
): Promise<void> {
  const seed = wholeNumber('--seed', options.seed);
  const args = [area, '--seed', String(seed), ...(options.full ? ['--full'] : [])];
  if (options.plots !== undefined) args.push('--plots', options.plots);
  if (options.attacks !== undefined) args.push('--attacks', options.attacks);
  for (const name of ['seeds', 'nodes', 'kill'] as const) {
    const value = options[name];
    if (value !== undefined) args.push(`--${name}`, String(wholeNumber(`--${name}`, value)));
  }
  context.output.status(`measuring ${area} …`);
  const { code, stdout } = await runBuilt(context, 'test/bench/harness.js', args);
  if (code !== 0 || stdout === '')
    throw cliError('CLI_CHECK_FAILED', `the bench "${area}" ended with exit code ${code}`);
  const document = JSON.parse(stdout) as { figures: Json; skipped?: Record<string, string> };
  context.output.answer(document, () => {
    const rows = flatten(document.figures, '');
    for (const line of tableLines([], rows, ['left', 'right'])) context.output.line(line);
    for (const [figure, reason] of Object.entries(document.skipped ?? {}))
      context.output.line(`  ${figure} not taken: ${reason}`);
  });
}

export interface SimOptions {
  readonly seed?: string;
  readonly seeds?: string;
  readonly orders?: string;
  /** False with --no-mutants. */
  readonly mutants: boolean;
  readonly [name: string]: unknown;
}

export async function simMarket(context: CommandContext, options: SimOptions): Promise<void> {
  const { output } = context;
  const { seed, seeds, orders } = options;
  const args = [
    ...(seed === undefined ? [] : ['--seed', seed]),
    ...(seeds === undefined ? [] : ['--seeds', seeds]),
    ...(orders === undefined ? [] : ['--orders', orders]),
    ...(options.mutants ? [] : ['--no-mutants']),
    ...(output.json ? ['--json'] : []),
  ];
  output.status('simulating …');
  const { code, stdout } = await runBuilt(context, 'test/simulation/market/main.js', args);
  output.status('');
  if (stdout !== '') process.stdout.write(stdout);
  // With --json the report is the one document; its own counts say what failed.
  if (output.json && stdout !== '') process.exitCode = code;
  else if (code !== 0)
    throw cliError('CLI_CHECK_FAILED', `the simulation ended with exit code ${code}`);
}
