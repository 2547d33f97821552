import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import fc from 'fast-check';
import wabtFactory from 'wabt';
import { isSeeleError } from '#libs/kernel';
import { type InjectOptions, injectFuel } from './inject.ts';
import { type CallOutcome, GuestAbort, MeteredInstance } from './metered-instance.ts';

const wabt = await wabtFactory();
const FEATURES = { simd: true, threads: true, exceptions: true, tail_call: true };

function wat(source: string): Uint8Array {
  const module = wabt.parseWat('test.wat', source, FEATURES);
  try {
    return module.toBinary({}).buffer;
  } finally {
    module.destroy();
  }
}

const OPTIONS: InjectOptions = { floats: 'keep', memoryPagesMax: 16 };

function instance(source: string, options: Partial<InjectOptions> = {}, fuel = 1_000_000n) {
  const { bytes } = injectFuel(wat(source), { ...OPTIONS, ...options });
  const metered = new MeteredInstance(new WebAssembly.Module(bytes), {});
  metered.fuel = fuel;
  return metered;
}

function run(source: string, args: (number | bigint)[] = [], options: Partial<InjectOptions> = {}) {
  const metered = instance(source, options);
  const outcome = metered.call('run', args);
  return { outcome, used: 1_000_000n - metered.fuel };
}

const returned = (value: number | bigint | undefined): CallOutcome => ({ kind: 'returned', value });

function refusal(
  source: string,
  options: Partial<InjectOptions> = {},
): { code: string; message: string } {
  try {
    injectFuel(wat(source), { ...OPTIONS, ...options });
  } catch (error) {
    if (isSeeleError(error)) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error('the module was accepted');
}

describe('fuel injection', () => {
  it('charges each instruction class its price', () => {
    const { outcome, used } = run(
      `(module (memory 1)
      (func (export "run") (param i32) (result i32)
        local.get 0          ;; 1
        i32.const 7          ;; 1
        i32.div_u            ;; 4
        i32.const 0          ;; 1
        i32.load             ;; 2
        i32.add))            ;; 1`,
      [21],
    );
    expect(outcome).toEqual(returned(3));
    expect(used).toBe(10n);
  });

  it('charges a loop once per turn', () => {
    const source = `(module (func (export "run") (param i32)
      (loop
        (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
        (br_if 0 (local.get 0)))))`;
    expect(run(source, [1]).used).toBe(6n);
    expect(run(source, [100]).used).toBe(600n);
  });

  it('stops an empty infinite loop as out of fuel', () => {
    const { outcome } = run('(module (func (export "run") (loop (br 0))))');
    expect(outcome).toMatchObject({ kind: 'trapped', cause: 'out-of-fuel' });
  });

  it('calls the hook at the fuel boundary, which may look at memory and give more', () => {
    const metered = instance(
      `(module (memory (export "memory") 1) (func (export "run") (param i32)
        (loop
          (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
          (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
          (br_if 0 (local.get 0)))))`,
      {},
      100n,
    );
    const seen: number[] = [];
    metered.fuelHook = () => {
      seen.push(new DataView(metered.memory.buffer).getUint32(0, true));
      if (seen.length === 4) throw new GuestAbort('enough');
      metered.fuel += 100n;
    };
    expect(metered.call('run', [1_000])).toMatchObject({ kind: 'aborted' });
    expect(seen).toEqual([7, 14, 21, 28]); // 14 fuel a turn
  });

  it('stops endless recursion by the counted stack, at the same depth every time', () => {
    const source =
      '(module (func $f (export "run") (param i32) (result i32) (call $f (local.get 0))))';
    const attempt = () => {
      const metered = instance(source);
      const outcome = metered.call('run', [1], 100_000); // fits in any host's real stack
      return { outcome, fuel: metered.fuel };
    };
    const first = attempt();
    expect(first.outcome).toMatchObject({ kind: 'trapped', cause: 'stack-overflow' });
    expect(attempt()).toEqual(first);
  });

  it('gives the stack back on every way out of a function', () => {
    const metered = instance(`(module
      (func $early (param i32) (result i32)
        (block (block (br_if 1 (local.get 0)) (return (call $leaf))) (nop))
        (if (i32.eq (local.get 0) (i32.const 2)) (then (return (call $leaf))))
        (call $leaf))
      (func $leaf (result i32) (i32.const 5))
      (func (export "run") (param i32) (result i32)
        (drop (call $early (local.get 0)))
        (call $early (local.get 0))))`);
    for (const way of [0, 1, 2]) {
      expect(metered.call('run', [way], 4096)).toEqual(returned(5));
      const stack = metered.exports['seele:stack'] as WebAssembly.Global<number>;
      expect(stack.value).toBe(4096);
    }
  });

  it('wraps functions with several results', () => {
    const source = `(module
      (func $pair (param i32) (result i32 i32)
        (if (local.get 0) (then (return (i32.const 1) (i32.const 2))))
        (call $other))
      (func $other (result i32 i32) (i32.const 30) (i32.const 40))
      (func (export "run") (param i32) (result i32) (call $pair (local.get 0)) i32.add))`;
    expect(run(source, [1]).outcome).toEqual(returned(3));
    expect(run(source, [0]).outcome).toEqual(returned(70));
  });

  it('charges bulk memory by the byte, before doing it', () => {
    const source = `(module (memory 1) (func (export "run") (param i32)
      (memory.fill (i32.const 0) (i32.const 1) (local.get 0))))`;
    expect(run(source, [10_000]).used - run(source, [0]).used).toBe(10_000n);
    const starved = instance(source, {}, 5_000n);
    expect(starved.call('run', [10_000])).toMatchObject({ cause: 'out-of-fuel' });
  });

  it('caps memory at the same size everywhere and prices growth', () => {
    const source = `(module (memory 1) (func (export "run") (param i32) (result i32)
      (memory.grow (local.get 0))))`;
    expect(run(source, [15]).outcome).toEqual(returned(1));
    expect(run(source, [16]).outcome).toEqual(returned(-1));
    expect(run(source, [2]).used - run(source, [1]).used).toBe(8_192n);
    expect(refusal('(module (memory 17))').code).toBe('VM_MODULE_LIMIT');
  });

  it('runs the start function only when the host says so, on its fuel', () => {
    const metered = instance(`(module (global $g (mut i32) (i32.const 0))
      (func $boot (global.set $g (i32.const 9))) (start $boot)
      (func (export "run") (result i32) (global.get $g)))`);
    expect(metered.call('run', [])).toEqual(returned(0));
    expect(metered.start()).toEqual(returned(undefined));
    expect(metered.call('run', [])).toEqual(returned(9));
  });

  it('adds the sections that a module lacks', () => {
    const { bytes } = injectFuel(wat('(module)'), OPTIONS);
    expect(WebAssembly.validate(bytes)).toBe(true);
  });

  it.each([
    ['SIMD', '(module (func (drop (v128.const i32x4 0 0 0 0))))'],
    ['threads', '(module (memory 1 1 shared))'],
    ['exceptions', '(module (tag $e) (func (throw $e)))'],
    ['tail calls', '(module (func $f (return_call $f)))'],
  ])('refuses %s by name', (feature, source) => {
    const { code, message } = refusal(source);
    expect(code).toBe('VM_MODULE_UNSUPPORTED');
    expect(message).toContain(feature);
  });

  it('refuses floats where the caller says so', () => {
    const source = '(module (func (drop (f64.add (f64.const 1) (f64.const 2)))))';
    expect(refusal(source, { floats: 'refuse' }).message).toContain('floats');
  });

  it('makes every NaN canonical where the caller says so', () => {
    const source = `(module (func (export "run") (param i64) (result i64)
      (i64.reinterpret_f64 (f64.add (f64.reinterpret_i64 (local.get 0)) (f64.const 1)))))`;
    const odd = 0x7ff8_0000_dead_beefn;
    expect(run(source, [odd], { floats: 'canonicalise' }).outcome).toEqual(
      returned(0x7ff8_0000_0000_0000n),
    );
    const two = run(source, [0x3ff0_0000_0000_0000n], { floats: 'canonicalise' }).outcome;
    expect(two).toEqual(returned(0x4000_0000_0000_0000n));
  });

  it('refuses exports that would shadow its instruments', () => {
    expect(refusal('(module (func (export "seele:fuel")))').code).toBe('VM_MODULE_UNSUPPORTED');
  });

  it('never does more than refuse a mutated module', () => {
    const blob = readFileSync(createRequire(import.meta.url).resolve('quickjs-wasi/quickjs.wasm'));
    const seeds = [
      wat(`(module (memory 1) (table 2 funcref) (global (mut i32) (i32.const 1))
        (func $f (param i32) (result i32) (block (br_table 0 0 0 (local.get 0))) (i32.const 3))
        (elem (i32.const 0) $f) (data (i32.const 0) "abc")
        (func (export "run") (result i32) (call_indirect (param i32) (result i32) (i32.const 1) (i32.const 0))))`),
      new Uint8Array(blob.subarray(0, 4096)),
    ];
    fc.assert(
      fc.property(
        fc.constantFrom(...seeds),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        fc.option(fc.nat(), { nil: undefined }),
        (seed, edits, cut) => {
          const bytes = seed.slice(0, cut === undefined ? seed.length : cut % seed.length);
          for (const [at, value] of edits) if (bytes.length > 0) bytes[at % bytes.length] = value;
          try {
            const { bytes: injected } = injectFuel(bytes, OPTIONS);
            expect(WebAssembly.validate(injected)).toBe(true);
          } catch (error) {
            if (!isSeeleError(error)) throw error;
          }
        },
      ),
      { numRuns: Number(process.env['SEELE_FUZZ_RUNS'] ?? 500) },
    );
  });
});
