import wabtFactory from 'wabt';
import { type Bytes, utf8, utf8Decode } from '#libs/kernel';
import {
  DEFAULT_JOB_LIMITS,
  type JobLimits,
  type MeteredTerms,
  type Metering,
  meteredTermsOf,
} from '#libs/market';
import { type Checkpoint, JOB_VM_VERSIONS, checkpointsRoot } from '#libs/vm';
import { type SlotPool, createSlotPool } from './pool.ts';
import type { SlotOutcome, TaskHost, TaskInput } from './task.ts';

const wabt = await wabtFactory();

/** Wide, so that a busy machine does not turn one limit into another. */
const LIMITS: JobLimits = { ...DEFAULT_JOB_LIMITS, wallMs: 25_000, cpuMs: 20_000 };

let pool: SlotPool;
beforeAll(async () => {
  pool = await createSlotPool({ slots: 2, spares: 0 });
});
afterAll(() => pool.close());

function wasm(source: string): Bytes {
  const module = wabt.parseWat('job.wat', source, { simd: true, threads: true });
  try {
    return module.toBinary({}).buffer;
  } finally {
    module.destroy();
  }
}

const WASI = (name: string, params: string, result = '(result i32)') =>
  `(import "wasi_snapshot_preview1" "${name}" (func $${name} (param ${params}) ${result}))`;

function inputOf(bytes: Bytes, blockBytes = 70_000): TaskInput & { readonly opened: number[] } {
  const opened: number[] = [];
  return {
    opened,
    sizeBytes: bytes.length,
    async *read(offset = 0) {
      opened.push(offset);
      for (let at = offset; at < bytes.length; at += blockBytes)
        yield await Promise.resolve(bytes.slice(at, at + blockBytes));
    },
  };
}

interface Extra {
  readonly inputs?: Record<string, TaskInput>;
  readonly limits?: Partial<JobLimits>;
  readonly metering?: Metering;
  readonly host?: TaskHost;
  readonly params?: string;
}

function run(kind: 'wasm' | 'verifiable', code: Bytes, extra: Extra = {}): Promise<SlotOutcome> {
  const limits = { ...LIMITS, ...extra.limits };
  const metering = extra.metering ?? { fuel: 20_000_000_000n, checkpointFuel: 20_000_000n };
  const terms: MeteredTerms = meteredTermsOf(
    { kind, limits, ...(kind === 'verifiable' && { metering }) },
    'a manifest',
  );
  const { inputs = {}, params = '{"by":2}', host } = extra;
  return pool.run({ code, inputs, params, limits, metered: { kind, terms } }, host);
}

const textOf = ({ output }: SlotOutcome) => (output === undefined ? undefined : utf8Decode(output));

const SUM = utf8(`export default async ({ inputs, params, log, progress }) => {
  let total = 0, lines = 0;
  for await (const line of inputs.data.lines()) { total += Number(line) * params.by; lines++; }
  log('read', lines); progress(1, 'done');
  return { total, lines, name: inputs.data.name };
}`);
const NUMBERS = utf8(Array.from({ length: 20_000 }, (_, i) => i).join('\n'));

/** Copies input 0 to standard output, 64 000 bytes at a time. */
const COPY = wasm(`(module
  ${WASI('fd_read', 'i32 i32 i32 i32')} ${WASI('fd_write', 'i32 i32 i32 i32')}
  (memory (export "memory") 2)
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 1000)) (i32.store (i32.const 4) (i32.const 64000))
    (loop $more
      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (i32.store (i32.const 12) (i32.const 1000)) (i32.store (i32.const 16) (i32.load (i32.const 8)))
      (drop (call $fd_write (i32.const 1) (i32.const 12) (i32.const 1) (i32.const 20)))
      (br_if $more (i32.load (i32.const 8))))))`);

describe('a verifiable script in a slot', () => {
  it('has result, fuel, log and checkpoints, the same each time', async () => {
    const attempt = async () => {
      const checkpoints: Checkpoint[] = [];
      const lines: string[] = [];
      const outcome = await run('verifiable', SUM, {
        inputs: { data: inputOf(NUMBERS) },
        host: { onCheckpoint: (c) => checkpoints.push(c), onLog: ({ text }) => lines.push(text) },
      });
      expect(outcome).toMatchObject({ exit: 'ok' });
      return { checkpoints, lines, text: textOf(outcome), metered: outcome.metered };
    };
    const [one, two] = await Promise.all([attempt(), attempt()]);
    expect(one.text).toBe('{"total":399980000,"lines":20000,"name":"data"}');
    expect(one.lines).toEqual(['read 20000']);
    expect(one.checkpoints.length).toBeGreaterThan(5);
    expect(one.metered).toEqual({
      engine: JOB_VM_VERSIONS.js,
      fuel: expect.any(BigInt) as bigint,
      checkpoints: one.checkpoints.length,
      checkpointsRoot: checkpointsRoot(one.checkpoints),
      outputChain: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
      outputBytes: utf8(one.text ?? '').length,
    });
    expect(two).toEqual(one);
  });

  it.each([
    ['loops', 'export default () => { for (;;); }', 'fuel-limit'],
    ['throws', 'export default () => { throw new Error("no"); }', 'guest-error'],
    ['does not parse', 'export default (', 'guest-error'],
    [
      'writes too much',
      'export default ({ output }) => { for (;;) output.write("x".repeat(1000)); }',
      'output-limit',
    ],
    ['logs too much', 'export default ({ log }) => { for (;;) log("x"); }', 'log-limit'],
  ])('that %s ends by its own fault, with its fuel', async (_what, source, exit) => {
    const outcome = await run('verifiable', utf8(source), {
      metering: { fuel: 300_000_000n, checkpointFuel: 100_000_000n },
      limits: { outputBytes: 100_000 },
    });
    expect(outcome.exit).toBe(exit);
    expect(outcome.metered?.engine).toBe(JOB_VM_VERSIONS.js);
    expect(outcome.output).toBeUndefined();
  });
});

describe('a WebAssembly job in a slot', () => {
  it('streams inputs to output, block by block', async () => {
    const bytes = new Uint8Array(3_000_000).map((_, i) => (i * 31) % 251);
    const input = inputOf(bytes);
    const outcome = await run('wasm', COPY, { inputs: { data: input } });
    expect(outcome.exit).toBe('ok');
    expect(Buffer.compare(outcome.output as Bytes, bytes)).toBe(0);
    expect(input.opened).toEqual([0]);
    expect(outcome.usage.inputBytes).toBe(bytes.length);
    expect(outcome.metered).toMatchObject({ engine: JOB_VM_VERSIONS.wasm, checkpoints: 0 });
  });

  it('seeks: what lies far away is opened there', async () => {
    // Reads one byte at 4 000 000, then one at 5, and writes both.
    const program = wasm(`(module
      ${WASI('fd_read', 'i32 i32 i32 i32')} ${WASI('fd_write', 'i32 i32 i32 i32')} ${WASI('fd_seek', 'i32 i64 i32 i32')}
      (memory (export "memory") 1)
      (func $at (param $place i64)
        (drop (call $fd_seek (i32.const 3) (local.get $place) (i32.const 0) (i32.const 40)))
        (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 1))
        (drop (call $fd_read (i32.const 3) (i32.const 0) (i32.const 1) (i32.const 8)))
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
      (func (export "_start") (call $at (i64.const 4000000)) (call $at (i64.const 5))))`);
    const bytes = new Uint8Array(5_000_000);
    bytes[4_000_000] = 65;
    bytes[5] = 66;
    const input = inputOf(bytes);
    const outcome = await run('wasm', program, { inputs: { data: input } });
    expect(textOf(outcome)).toBe('AB');
    expect(input.opened).toEqual([4_000_000, 5]);
  });

  it.each([
    [
      'path_open',
      'i32 i32 i32 i32 i32 i64 i64 i32 i32',
      '(i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 8)',
    ],
    ['sock_accept', 'i32 i32 i32', '(i32.const 3) (i32.const 0) (i32.const 0)'],
  ])('that asks for %s is told there is no such thing', async (name, params, args) => {
    const program = wasm(`(module ${WASI(name, params)} ${WASI('proc_exit', 'i32', '')}
      (memory (export "memory") 1)
      (func (export "_start") (call $proc_exit (call $${name} ${args}))))`);
    const outcome = await run('wasm', program);
    expect(outcome).toMatchObject({ exit: 'guest-error', error: 'exit code 52' });
  });

  it.each([
    ['is cut short', COPY.slice(0, 60), 'VM_MODULE_MALFORMED'],
    ['is no module', utf8('export default () => 1'), 'VM_MODULE_MALFORMED'],
    [
      'is of wrong types',
      wasm('(module (memory (export "memory") 1) (func (export "_start")))').map((byte, i, all) =>
        i === all.length - 1 ? 0x1a : byte,
      ),
      'VM_MODULE_MALFORMED',
    ],
    [
      'uses SIMD',
      wasm(
        '(module (memory (export "memory") 1) (func (export "_start") (drop (v128.const i32x4 0 0 0 0))))',
      ),
      'VM_MODULE_UNSUPPORTED',
    ],
    [
      'uses threads',
      wasm('(module (memory (export "memory") 1 1 shared) (func (export "_start")))'),
      'VM_MODULE_UNSUPPORTED',
    ],
    [
      'asks for another host',
      wasm(
        '(module (import "env" "evil" (func)) (memory (export "memory") 1) (func (export "_start")))',
      ),
      'VM_MODULE_UNSUPPORTED',
    ],
    ['is too large', concat(COPY, 16 * 2 ** 20), 'VM_MODULE_LIMIT'],
  ])('that %s is refused with a clear word', async (_what, code, word) => {
    const outcome = await run('wasm', code);
    expect(outcome.exit).toBe('guest-error');
    expect(outcome.error).toContain(word);
  });

  it.each([
    ['wasm', wasm('(module (memory (export "memory") 1) (func $f (export "_start") (call $f)))')],
    [
      'wasm',
      wasm(`(module (memory (export "memory") 1) (func $f (param ${'i64 '.repeat(60)}) (result i64)
        (i64.add (call $f ${Array.from({ length: 60 }, (_, i) => `(local.get ${i})`).join(' ')}) (local.get 59)))
        (func (export "_start") (drop (call $f ${'(i64.const 1)'.repeat(60)}))))`),
    ],
    ['verifiable', utf8('const f = (n) => f(n + 1) + 1; export default () => f(0);')],
    ['verifiable', utf8('export default () => JSON.parse("[".repeat(100_000));')],
  ] as const)(
    'of kind %s that calls itself without end ends by the counted stack',
    async (kind, code) => {
      const outcome = await run(kind, code);
      expect(outcome.exit).toBe('guest-error');
      expect(outcome.error).toMatch(/calls nested too deep|stack/i);
      expect(outcome.error).not.toContain('VM_');
    },
  );

  it('ends at its limits of time and memory from outside, and then has no fuel', async () => {
    const spins = wasm(
      '(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))',
    );
    const late = await run('wasm', spins, { limits: { cpuMs: 300 } });
    expect(late.exit).toBe('cpu-limit');
    expect(late.metered).toBeUndefined();
  });

  it('has all the memory of its limit and not a page more', async () => {
    const fills = (pages: number) =>
      wasm(`(module ${WASI('proc_exit', 'i32', '')} (memory (export "memory") 1)
        (func (export "_start")
          (if (i32.eq (memory.grow (i32.const ${pages - 1})) (i32.const -1)) (then (call $proc_exit (i32.const 7))))
          (memory.fill (i32.const 0) (i32.const 1) (i32.const ${pages * 65_536}))))`);
    const limits = { memoryBytes: 64 * 2 ** 20 };
    expect((await run('wasm', fills(1024), { limits })).exit).toBe('ok');
    expect(await run('wasm', fills(1025), { limits })).toMatchObject({ error: 'exit code 7' });
  });
});

/** A module grown by an unknown section of its own. */
function concat(module: Bytes, size: number): Bytes {
  const leb = (value: number): number[] =>
    value < 128 ? [value] : [(value & 127) | 128, ...leb(Math.floor(value / 128))];
  const head = [0, ...leb(size + 1), 0];
  const out = new Uint8Array(module.length + head.length + size);
  out.set(module);
  out.set(head, module.length);
  return out;
}
