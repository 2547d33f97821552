/**
 * Hostile programs in the metered engine, as contract and as verifiable job. They run in a process of
 * their own on a large stack, as a node runs them, so that one that took its host along would be seen.
 * How each must end follows from its letter: `g` out of fuel, `n` alike on every run and in both of V8's
 * tiers, `r` by a limit or as any result, never as a fault of the host.
 */
import { spawn } from 'node:child_process';
import { basename, extname, join } from 'node:path';
import type { EngineEnd } from './engine-run.ts';

export const ENGINE_LETTERS = ['g', 'n', 'r'] as const;
const TIMEOUT_MS = 120_000;
/** The memory that a contract may have, and what the sandbox allows beyond a limit. */
const MEMORY_MAX_BYTES = (32 + 150) * 2 ** 20;

export interface EngineVerdict {
  readonly program: string;
  readonly how: EngineEnd['how'];
  readonly contained: boolean;
  readonly end: string;
}

interface EngineRun {
  readonly ends: readonly EngineEnd[];
  /** False when the process did not reach its end. */
  readonly alive: boolean;
}

function runAll(programs: readonly string[], flags: readonly string[]): Promise<EngineRun> {
  const extension = extname(import.meta.filename);
  const source =
    extension === '.ts' ? ['-C', 'source', '--disable-warning=ExperimentalWarning'] : [];
  const main = join(import.meta.dirname, `engine-run${extension}`);
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [...flags, ...source, main, ...programs], {
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
    });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
    child.on('close', (code) => {
      const lines = said.split('\n').slice(0, -1);
      resolve({ ends: lines.map((line) => JSON.parse(line) as EngineEnd), alive: code === 0 });
    });
  });
}

/** Out of fuel, or refused at once because the language lacks the means. */
const isPaid = ({ end, message }: EngineEnd): boolean =>
  end === 'out-of-fuel' || /is not defined|not a function/.test(message);

const RESULTS = new Set([
  ...['returned', 'reverted', 'out-of-fuel', 'stack-overflow', 'guest-trap'],
  ...['ok', 'guest-error', 'output-limit', 'log-limit', 'host-call-limit'],
]);

function isContained(first: EngineEnd, others: readonly (EngineEnd | undefined)[]): boolean {
  const alike = others.every((other) => other?.digest === first.digest && other.end === first.end);
  if (!RESULTS.has(first.end) || first.grownBytes > MEMORY_MAX_BYTES) return false;
  if (first.program.startsWith('g')) return isPaid(first);
  return first.program.startsWith('n') ? alike && first.digest !== '' : true;
}

/** Runs every program both ways, twice and in V8's first tier alone. */
export async function runInEngine(programs: readonly string[]): Promise<{
  readonly verdicts: readonly EngineVerdict[];
  readonly hostDeaths: number;
}> {
  const runs = [
    await runAll(programs, []),
    await runAll(
      programs.filter((path) => basename(path).startsWith('n')),
      [],
    ),
    await runAll(programs, ['--liftoff-only']),
  ];
  const [first, ...again] = runs as [EngineRun, ...EngineRun[]];
  const find = ({ ends }: EngineRun, program: string, how: string) =>
    ends.find((end) => end.program === program && end.how === how);
  const verdicts = programs.flatMap((path) =>
    (['contract', 'job'] as const).map((how): EngineVerdict => {
      const program = basename(path);
      const end = find(first, program, how);
      if (end === undefined) return { program, how, contained: false, end: 'the host died' };
      const others = again.map((run) => find(run, program, how));
      return { program, how, contained: isContained(end, others), end: end.end };
    }),
  );
  return { verdicts, hostDeaths: runs.filter(({ alive }) => !alive).length };
}
