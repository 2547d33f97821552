/**
 * Runs the generated programs of `seele bench vm` and prints one digest for each: what came out, the
 * fuel and the hash of the memory. Started once per version of Node and engine tier, in a thread
 * with a large stack.
 *
 * Usage: vm-digest --seed N --js N --wasm N
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { parseArgs } from 'node:util';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { sha256Hex } from '#libs/crypto';
import { utf8 } from '#libs/kernel';
import { JsMachine, MeteredInstance, injectFuel, loadJsEngine } from '#libs/vm';
import { LIST_BUILTINS, jsProgram } from './vm-programs/js-programs.ts';
import { wasmProgram } from './vm-programs/wasm-programs.ts';

export interface Digests {
  readonly node: string;
  readonly digests: readonly string[];
  /** How programs ended, counted. */
  readonly ends: Readonly<Record<string, number>>;
  readonly opcodes: number;
  readonly builtins: number;
  readonly builtinsThere: number;
}

interface Order {
  readonly seed: number;
  readonly js: number;
  readonly wasm: number;
}

const FUEL = 20_000_000n;
const LOAD_FUEL = 1_000_000_000n;
const PRELUDE = `(host) => (program) => () => {
  try { program.default((text) => { host(8, String(text)); }); }
  catch (error) { host(0, String(error)); }
}`;

const engine = () =>
  loadJsEngine(readFileSync(createRequire(import.meta.url).resolve('quickjs-wasi/quickjs.wasm')));

function runJs(vm: ReturnType<typeof engine>, source: string, fuel: bigint) {
  const said: string[] = [];
  const say = { takes: 's', run: ([text]: readonly unknown[]) => void said.push(String(text)) };
  const machine = JsMachine.load(vm, PRELUDE, source, new Map([[8, say]]), LOAD_FUEL);
  const outcome = machine.call(fuel);
  const end = outcome.kind === 'trapped' ? outcome.cause : outcome.kind;
  return { end, said, fuel: machine.fuel, memory: machine.memory };
}

/** Floats are compared as they lie in memory. */
function runWasm(code: Uint8Array) {
  const injected = injectFuel(code, {
    ...{ floats: 'canonicalise', memoryPagesMax: 16, exportGlobals: true },
  });
  const instance = new MeteredInstance(new WebAssembly.Module(injected.bytes), {});
  instance.fuel = FUEL;
  const outcome = instance.call('run', [], 1_000_000);
  const end = outcome.kind === 'trapped' ? outcome.cause : outcome.kind;
  const memory = new Uint8Array(instance.memory.buffer);
  return { end, globals: instance.globals().join(), fuel: instance.fuel, memory };
}

function digestAll({ seed, js, wasm }: Order): Digests {
  const vm = engine();
  const builtins = (runJs(vm, LIST_BUILTINS, LOAD_FUEL).said[0] ?? '').split('\n');
  const opcodes = new Set<string>();
  const called = new Set<string>();
  const ends: Record<string, number> = {};
  const digests: string[] = [];
  const add = (kind: string, end: string, text: string) => {
    const key = `${kind}/${end}`;
    ends[key] = (ends[key] ?? 0) + 1;
    digests.push(sha256Hex(utf8(`${end} ${text}`)));
  };
  for (let i = 0; i < js; i++) {
    const { end, said, fuel, memory } = runJs(vm, jsProgram(seed + i, i, builtins, called), FUEL);
    add('js', end, `${said.join('\n')} ${fuel} ${sha256Hex(memory)}`);
  }
  for (let i = 0; i < wasm; i++) {
    const { end, globals, fuel, memory } = runWasm(wasmProgram(seed + i, opcodes));
    add('wasm', end, `${globals} ${fuel} ${sha256Hex(memory)}`);
  }
  return {
    ...{ node: process.versions.node, digests, ends, opcodes: opcodes.size },
    ...{ builtins: called.size, builtinsThere: builtins.length },
  };
}

if (isMainThread) {
  const { values } = parseArgs({
    options: { seed: { type: 'string' }, js: { type: 'string' }, wasm: { type: 'string' } },
  });
  const order: Order = {
    ...{ seed: Number(values.seed ?? 1), js: Number(values.js ?? 400) },
    wasm: Number(values.wasm ?? 600),
  };
  const thread = new Worker(new URL(import.meta.url), {
    workerData: order,
    resourceLimits: { stackSizeMb: 64 },
  });
  thread.once('message', (result: Digests) => process.stdout.write(`${JSON.stringify(result)}\n`));
  thread.once('error', (error) => {
    process.stderr.write(`${String(error)}\n`);
    process.exitCode = 1;
  });
} else parentPort?.postMessage(digestAll(workerData as Order));
