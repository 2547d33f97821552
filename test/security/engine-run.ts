/**
 * Runs hostile programs in the metered engine, each as contract and as job, and prints a line of JSON
 * for every end. Arguments: files. Started by engine-corpus.ts.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename } from 'node:path';
import { Worker, isMainThread, workerData } from 'node:worker_threads';
import { encodeCbor, utf8 } from '#libs/kernel';
import { JsContract, type JsEngine, MemoryContractHost, judgeJob, loadJsEngine } from '#libs/vm';

/** How one program ended one way. */
export interface EngineEnd {
  readonly program: string;
  readonly how: 'contract' | 'job';
  readonly end: string;
  readonly message: string;
  /** Of output, message and fuel. */
  readonly digest: string;
  /** By how much the process grew beyond what it had before the first program. */
  readonly grownBytes: number;
}

const FUEL = 60_000_000n;
/** What a node runs on. */
const STACK_MB = 192;

const surroundings = {
  inputs: [],
  params: '{}',
  seed: '11'.repeat(32),
  epochMs: 1_700_000_000_000,
  quotas: { outputBytes: 1_000_000, logLines: 100, logBytes: 100_000, hostCalls: 10_000 },
};

type End = Pick<EngineEnd, 'end' | 'message' | 'digest'>;

function ended(end: string, message: string, fuel: bigint, bytes: Uint8Array | string): End {
  const digest = createHash('sha256').update(`${end}\n${message}\n${fuel}\n`).update(bytes);
  return { end, message, digest: digest.digest('hex') };
}

function asContract(engine: JsEngine, source: string): End {
  const contract = JsContract.load(
    engine,
    `export function run(ctx) { return String((0, eval)(${source})); }`,
  );
  const host = new MemoryContractHost();
  const outcome = contract.call({ method: 'run', args: encodeCbor([]), fuel: FUEL, host });
  const { fuelUsed } = outcome;
  if (outcome.kind === 'returned') return ended('returned', '', fuelUsed, outcome.data);
  if (outcome.kind === 'reverted') return ended('reverted', outcome.message, fuelUsed, '');
  return ended(outcome.cause, outcome.message, fuelUsed, '');
}

function asJob(engine: JsEngine, source: string): End {
  const code = `export default async () => { const v = await (0, eval)(${source}); return String(v); }`;
  const terms = { fuelLimit: FUEL, checkpointFuel: FUEL };
  const verdict = judgeJob(engine, { kind: 'js', code: utf8(code) }, surroundings, terms);
  const end = verdict.exit === 'fuel-limit' ? 'out-of-fuel' : verdict.exit;
  const memory = verdict.checkpoints.map(({ root }) => root);
  return ended(end, verdict.message ?? '', verdict.fuelUsed, JSON.stringify([verdict.io, memory]));
}

function safely(run: () => End): End {
  try {
    return run();
  } catch (error) {
    // A fault of the host is never a result.
    return { end: String(error), message: String(error), digest: '' };
  }
}

function runAll(files: readonly string[]): void {
  const engine = loadJsEngine(
    readFileSync(createRequire(import.meta.url).resolve('quickjs-wasi/quickjs.wasm')),
  );
  const trial = JSON.stringify('1');
  asContract(engine, trial);
  asJob(engine, trial);
  const before = process.memoryUsage.rss();
  for (const path of files) {
    const source = JSON.stringify(readFileSync(path, 'utf8'));
    for (const [how, run] of [
      ['contract', asContract],
      ['job', asJob],
    ] as const) {
      const end = safely(() => run(engine, source));
      const grownBytes = Math.max(0, process.memoryUsage.rss() - before);
      const line: EngineEnd = { program: basename(path), how, ...end, grownBytes };
      process.stdout.write(`${JSON.stringify(line)}\n`);
    }
  }
}

if (isMainThread)
  new Worker(import.meta.filename, {
    workerData: process.argv.slice(2),
    resourceLimits: { stackSizeMb: STACK_MB },
  }).on('error', (error) => {
    process.stderr.write(`${String(error)}\n`);
    process.exitCode = 1;
  });
else runAll(workerData as string[]);
