import wabtFactory from 'wabt';
import { type CborValue, decodeCbor, encodeCbor, isSeeleError } from '#libs/kernel';
import { MemoryContractHost } from './memory-host.ts';
import type { ContractOutcome } from './outcome.ts';
import { WasmContract } from './wasm-contract.ts';

const wabt = await wabtFactory();

function compile(source: string): Uint8Array {
  const module = wabt.parseWat('contract.wat', source);
  try {
    return module.toBinary({}).buffer;
  } finally {
    module.destroy();
  }
}

const IMPORTS = `
  (import "seele" "input" (func $input (result i32)))
  (import "seele" "read" (func $read (param i32)))
  (import "seele" "frame" (func $frame (param i32) (result i32)))
  (import "seele" "get" (func $get (param i32 i32) (result i32)))
  (import "seele" "put" (func $put (param i32 i32 i32 i32)))
  (import "seele" "remove" (func $remove (param i32 i32)))
  (import "seele" "scan" (func $scan (param i32 i32 i32 i32 i32) (result i32)))
  (import "seele" "emit" (func $emit (param i32 i32 i32 i32)))
  (import "seele" "output" (func $output (param i32 i32)))
  (import "seele" "revert" (func $revert (param i32 i32 i32 i32)))
  (import "seele" "sha256" (func $sha256 (param i32 i32) (result i32)))
  (import "seele" "call" (func $call (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "countNOPEno")`;

/** A counter: `bump` adds one to a byte in storage and returns it as a CBOR integer below 24. */
const COUNTER = `(module ${IMPORTS}
  (func (export "bump")
    (if (i32.ne (call $get (i32.const 0) (i32.const 5)) (i32.const -1))
      (then (call $read (i32.const 100))))
    (i32.store8 (i32.const 100) (i32.add (i32.load8_u (i32.const 100)) (i32.const 1)))
    (call $put (i32.const 0) (i32.const 5) (i32.const 100) (i32.const 1))
    (call $output (i32.const 100) (i32.const 1)))
  (func (export "echo") (local $n i32)
    (local.set $n (call $input))
    (call $read (i32.const 100))
    (call $output (i32.const 100) (local.get $n)))
  (func (export "caller")
    (drop (call $frame (i32.const 0)))
    (i32.store16 (i32.const 100) (i32.const 0x2058))
    (call $read (i32.const 102))
    (call $output (i32.const 100) (i32.const 34)))
  (func (export "refuse")
    (call $revert (i32.const 5) (i32.const 4) (i32.const 9) (i32.const 2)))
  (func (export "spin") (loop (br 0)))
  (func (export "wild") (call $read (i32.const -1)) (drop (call $get (i32.const 65530) (i32.const 100))))
  (func (export "forge") (i32.store8 (i32.const 100) (i32.const 0x18)) (call $output (i32.const 100) (i32.const 1)))
  (func (export "remember") (global.set $seen (i32.add (global.get $seen) (i32.const 1)))
    (i32.store8 (i32.const 100) (global.get $seen)) (call $output (i32.const 100) (i32.const 1)))
  (global $seen (mut i32) (i32.const 0)))`;

const FUEL = 10_000_000n;
const contract = WasmContract.load(compile(COUNTER));

function call(method: string, args: readonly CborValue[] = [], host = new MemoryContractHost()) {
  return contract.call({ method, args: encodeCbor(args), fuel: FUEL, host });
}

const value = (outcome: ContractOutcome) =>
  outcome.kind === 'returned' ? decodeCbor(outcome.data) : outcome;

describe('a contract in WebAssembly', () => {
  it('keeps state in storage', () => {
    const host = new MemoryContractHost();
    expect([1, 2, 3].map(() => value(call('bump', [], host)))).toEqual([1, 2, 3]);
  });

  it('gets its arguments and its frame', () => {
    expect(value(call('echo', ['hi', 5n]))).toEqual(['hi', 5]);
    const caller = 'ab'.repeat(32);
    expect(value(call('caller', [], new MemoryContractHost({ caller })))).toEqual(
      new Uint8Array(32).fill(0xab),
    );
  });

  it('starts every call from a fresh instance: globals are not state', () => {
    const host = new MemoryContractHost();
    expect([value(call('remember', [], host)), value(call('remember', [], host))]).toEqual([1, 1]);
  });

  it.each([
    [
      'memory',
      '(i32.store8 (i32.const 50) (i32.add (i32.load8_u (i32.const 50)) (i32.const 1)))',
      '(i32.load8_u (i32.const 50))',
    ],
    ['grown memory', '(drop (memory.grow (i32.const 1)))', '(memory.size)'],
    [
      'a table',
      '(table.set $t (i32.const 0) (ref.null func))',
      '(i32.add (i32.const 1) (ref.is_null (table.get $t (i32.const 0))))',
    ],
    [
      'a dropped segment',
      '(memory.init $d (i32.const 50) (i32.const 0) (i32.const 1)) (data.drop $d)',
      '(i32.load8_u (i32.const 50))',
    ],
    [
      'a float that is not a number',
      '(global.set $f (f64.div (f64.const 0) (f64.const 0)))',
      '(i32.add (i32.const 1) (f64.eq (global.get $f) (global.get $f)))',
    ],
  ])('finds %s as it was before the call before', (_what, change, look) => {
    const changing = WasmContract.load(
      compile(`(module ${IMPORTS} (table $t 1 funcref)
        (global $f (mut f64) (f64.const 1)) (data $d "\\05") (elem (i32.const 0) func $run)
        (func $run (export "run") ${change} (i32.store8 (i32.const 100) ${look})
          (call $output (i32.const 100) (i32.const 1))))`),
    );
    const run = () => {
      const host = new MemoryContractHost();
      return changing.call({ method: 'run', args: encodeCbor([]), fuel: FUEL, host });
    };
    const first = run();
    expect(first.kind).toBe('returned');
    expect([run(), run()]).toEqual([first, first]);
  });

  it('uses the same fuel every time', () => {
    expect(call('bump').fuelUsed).toBe(call('bump').fuelUsed);
  });

  it('reverts with a code and burns nothing more', () => {
    const outcome = call('refuse');
    expect(outcome).toMatchObject({ kind: 'reverted', code: 'NOPE', message: 'no' });
    expect(outcome.fuelUsed).toBeLessThan(1_000n);
  });

  it.each([
    ['spin', 'out-of-fuel'],
    ['wild', 'guest-trap'],
    ['forge', 'guest-trap'],
  ])('traps %s as %s and burns the frame', (method, cause) => {
    expect(call(method)).toMatchObject({ kind: 'trapped', cause, fuelUsed: FUEL });
  });

  it.each([
    ['an unknown import', '(module (import "env" "f" (func)))', 'VM_MODULE_UNSUPPORTED'],
    [
      'an import with other types, whose values the host would choke on',
      '(module (import "seele" "get" (func (param i64 i64) (result i32))))',
      'VM_MODULE_UNSUPPORTED',
    ],
    [
      'an imported memory',
      '(module (import "seele" "memory" (memory 1)))',
      'VM_MODULE_UNSUPPORTED',
    ],
    [
      'a start function that traps',
      '(module (func $s unreachable) (start $s))',
      'VM_PROGRAM_INVALID',
    ],
    [
      'a start function that reaches for the chain',
      `(module ${IMPORTS} (func $s (drop (call $get (i32.const 0) (i32.const 1)))) (start $s))`,
      'VM_PROGRAM_INVALID',
    ],
  ])('refuses %s', (_what, source, code) => {
    let refused: unknown;
    try {
      WasmContract.load(compile(source));
    } catch (error) {
      refused = isSeeleError(error) ? error.code : error;
    }
    expect(refused).toBe(code);
  });

  it('refuses unknown methods', () => {
    expect(call('memory')).toMatchObject({ kind: 'reverted', code: 'NO_SUCH_METHOD' });
  });
});
