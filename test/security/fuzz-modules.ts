/**
 * Mutated WebAssembly modules against the injector and the engine: whatever comes in is refused with
 * a typed error or runs within its fuel; the host neither fails nor hangs.
 *
 * Usage: node dist/test/security/fuzz-modules.js [--count 10000] [--seed 1]
 */
import { parseArgs } from 'node:util';
import { encodeCbor, isSeeleError } from '#libs/kernel';
import { MemoryContractHost, MeteredInstance, WasmContract, injectFuel } from '#libs/vm';
import { Random } from '../bench/vm-programs/random.ts';
import { wasmProgram } from '../bench/vm-programs/wasm-programs.ts';

export interface FuzzResult {
  readonly tried: number;
  /** Accepted by the injector and run. */
  readonly ran: number;
  readonly refused: Readonly<Record<string, number>>;
  /** What failed otherwise: must be empty. */
  readonly failures: readonly string[];
  readonly slowestMs: number;
}

const FUEL = 300_000n;
const FAILURES_SHOWN = 20;

/** Sections of a module: where each begins, where its size lies. */
function sectionsOf(module: Uint8Array): number[] {
  const starts: number[] = [];
  for (let at = 8; at < module.length;) {
    starts.push(at);
    let [size, shift, next] = [0, 0, at + 1];
    for (; next < module.length; next++, shift += 7) {
      const byte = module[next] as number;
      size += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    at = next + 1 + size;
  }
  return starts;
}

/** One mutation of a valid module. */
export function mutateModule(module: Uint8Array, random: Random): Uint8Array {
  const bytes = [...module];
  const sections = sectionsOf(module);
  const at = random.below(bytes.length);
  switch (random.below(9)) {
    case 0: // cut short
      return Uint8Array.from(bytes.slice(0, at));
    case 1: // another section size
      bytes[random.pick(sections) + 1] = random.below(256);
      break;
    case 2: // a LEB128 integer that never ends, or holds too many bits
      bytes.splice(random.pick(sections) + 1, 1, ...[0xff, 0xff, 0xff, 0xff, random.below(256), 1]);
      break;
    case 3: // a section twice, or out of order
      bytes.splice(8, 0, ...bytes.slice(random.pick(sections), random.pick(sections) + 40));
      break;
    case 4: // a section gone
      bytes.splice(random.pick(sections), 1 + random.below(30));
      break;
    case 5: // bytes repeated
      bytes.splice(at, 0, ...bytes.slice(at, at + random.below(64)));
      break;
    case 6: // a huge count
      bytes.splice(at, 1, 0xff, 0xff, 0xff, 0x7f);
      break;
    default:
      for (let i = 1 + random.below(4); i > 0; i--)
        bytes[random.below(bytes.length)] = random.below(256);
  }
  return Uint8Array.from(bytes);
}

/** Runs the module as a plain guest and as a contract; true when it was accepted. */
function tryModule(bytes: Uint8Array): boolean {
  const injected = injectFuel(bytes, { floats: 'canonicalise', memoryPagesMax: 16 });
  const instance = new MeteredInstance(new WebAssembly.Module(injected.bytes), {});
  instance.fuel = FUEL;
  instance.start(500_000);
  instance.fuel = FUEL;
  if (typeof instance.exports['run'] === 'function') instance.call('run', [], 500_000);
  const host = new MemoryContractHost();
  WasmContract.load(bytes, FUEL).call({ method: 'run', args: encodeCbor([]), fuel: FUEL, host });
  return true;
}

export function fuzzModules(count: number, seed: number): FuzzResult {
  const random = new Random(seed);
  const refused: Record<string, number> = {};
  const failures: string[] = [];
  let [ran, slowestMs] = [0, 0];
  for (let i = 0; i < count; i++) {
    let bytes = wasmProgram(seed + (i >> 3), new Set());
    for (let n = 1 + random.below(2); n > 0 && bytes.length > 12; n--)
      bytes = mutateModule(bytes, random);
    const began = performance.now();
    try {
      if (tryModule(bytes)) ran++;
    } catch (error) {
      if (isSeeleError(error) && error.code !== 'VM_HOST_FAULT')
        refused[error.code] = (refused[error.code] ?? 0) + 1;
      else if (failures.length < FAILURES_SHOWN) failures.push(`module ${i}: ${String(error)}`);
    }
    slowestMs = Math.max(slowestMs, performance.now() - began);
  }
  return { tried: count, ran, refused, failures, slowestMs: Math.round(slowestMs) };
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({
    options: {
      count: { type: 'string', default: '10000' },
      seed: { type: 'string', default: '1' },
    },
  });
  const result = fuzzModules(Number(values.count), Number(values.seed));
  process.stdout.write(`${JSON.stringify(result)}\n`);
  if (result.failures.length > 0) process.exitCode = 1;
}
