/**
 * Runs hostile programs in the job sandbox and says of each whether it was contained. A program is a
 * script whose completion value is its own verdict: text that begins with `PWNED` means it reached
 * its aim. The first letter of its file says how it must end: `e` escape, `c` covert read, `p`
 * poisoned result, `r` resource bomb.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { utf8 } from '#libs/kernel';
import { DEFAULT_JOB_LIMITS, type JobLimits } from '#libs/market';
import type { LogLine, SlotOutcome, SlotPool } from '#sandbox';

export const CORPUS_LETTERS = ['e', 'c', 'p', 'r'] as const;

/** What a bomb may use beyond its limit before it must be dead. */
const OVERSHOOT_BYTES = 150 * 2 ** 20;

export const CORPUS_LIMITS: JobLimits = {
  ...DEFAULT_JOB_LIMITS,
  wallMs: 6_000,
  cpuMs: 2_000,
  memoryBytes: 200 * 2 ** 20,
  hostCalls: 20_000,
};

export interface Verdict {
  readonly program: string;
  readonly contained: boolean;
  readonly exit: string;
  readonly peakMemoryBytes: number;
  readonly wallMs: number;
  /** What the program or the host said. */
  readonly said: string;
}

/** Folder of the corpus, or why there is none. */
export function corpusFolder(given?: string): {
  readonly folder?: string;
  readonly reason?: string;
} {
  // Beside the project's root, which is two levels up for sources and three for compiled files.
  const beside = ['../../..', '../../../..'].map((up) => join(import.meta.dirname, up, 'shared'));
  const shared =
    process.env['SEELE_SHARED'] ?? beside.find((path) => existsSync(path)) ?? '../shared';
  const folder = resolve(given ?? join(shared, 'attacks'));
  return existsSync(folder) ? { folder } : { reason: `no hostile programs in ${folder}` };
}

/** Files of the corpus that the job sandbox has to contain, in order. */
export function corpusPrograms(
  folder: string,
  letters: readonly string[] = CORPUS_LETTERS,
): string[] {
  return readdirSync(folder)
    .filter((name) => /^[a-z]\d+.*\.js$/.test(name) && letters.includes(name[0] as string))
    .toSorted()
    .map((name) => join(folder, name));
}

/**
 * The programs expect a frozen `host` and a completion value; jobs have neither. Every function of
 * this prelude goes through the real bridge.
 */
function asJob(source: string): string {
  return `
    export default async ({ output, log, progress }) => {
      const host = {
        log: (text) => log(text),
        read: (name) => { progress(0, name); return null; },
        write: (bytes) => output.write(bytes),
        later: (text) => new Promise((done) => setTimeout(() => done(text), 1)),
        fail: () => progress(Number.NaN, ''),
      };
      Object.defineProperty(globalThis, 'host', { value: Object.freeze(host) });
      const verdict = await (0, eval)(${JSON.stringify(source)});
      if (typeof verdict === 'string') log(verdict);
      return verdict;
    };`;
}

const PROTOTYPES = {
  Object,
  Array,
  Function,
  String,
  Number,
  Promise,
  Uint8Array,
  Map,
  Error,
  JSON,
  Date,
};

/** Names on everything a poisoned result could write to in this process. */
function hostState(): string {
  const parts = Object.entries(PROTOTYPES).map(([name, value]) => {
    const prototype = (value as { prototype?: object }).prototype ?? {};
    const keys = [...Reflect.ownKeys(value), ...Reflect.ownKeys(prototype)];
    return `${name}:${keys.map(String).toSorted().join()}`;
  });
  return [...parts, Object.keys(globalThis).join()].join('\n');
}

function textOf({ output, error }: SlotOutcome): string {
  const said =
    output === undefined ? (error ?? '') : new TextDecoder().decode(output.subarray(0, 500));
  // A string result is the text itself; anything else came as JSON.
  return said.replace(/^"/, '').slice(0, 200);
}

/**
 * Programs of any folder: all its scripts, except those that the file name assigns to the metered
 * engine (`g` evades metering, `n` is not deterministic).
 */
export function programsIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.js') && !/^[gn]\d+/.test(name))
    .toSorted()
    .map((name) => join(folder, name));
}

/** Runs one program in a slot of its own. Rejects only when the host itself failed. */
export async function runProgram(
  pool: SlotPool,
  path: string,
  limits: JobLimits = CORPUS_LIMITS,
): Promise<Verdict> {
  const before = hostState();
  const code = utf8(asJob(readFileSync(path, 'utf8')));
  const lines: string[] = [];
  const host = { onLog: ({ text }: LogLine) => void lines.push(text) };
  const outcome = await pool.run({ code, inputs: {}, params: '{}', limits }, host);
  const said = lines.at(-1)?.slice(0, 200) ?? textOf(outcome);
  const { peakMemoryBytes, wallMs } = outcome.usage;
  const contained =
    !lines.some((line) => line.startsWith('PWNED')) &&
    hostState() === before &&
    peakMemoryBytes <= limits.memoryBytes + OVERSHOOT_BYTES &&
    wallMs <= limits.wallMs + 1_000;
  return { program: basename(path), contained, exit: outcome.exit, peakMemoryBytes, wallMs, said };
}

/** True when a well-behaved job still runs as it should: the host outlived what came before. */
export async function isHostAlive(pool: SlotPool): Promise<boolean> {
  const code = utf8('export default ({ params }) => params.a + params.b');
  const limits = DEFAULT_JOB_LIMITS;
  const { exit, output } = await pool.run({ code, inputs: {}, params: '{"a":1,"b":2}', limits });
  return exit === 'ok' && new TextDecoder().decode(output) === '3';
}
