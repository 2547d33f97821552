import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import wabtFactory from 'wabt';
import { type Bytes, concatBytes, utf8, utf8Decode } from '#libs/kernel';
import { loadJsEngine } from '../js/js-engine.ts';
import { bisect, type JobClaim, matchesCheckpoint, settleDispute } from './dispute.ts';
import { JOB_HOST_FUEL, type JobQuotas, type JobSurroundings } from './recorder.ts';
import { type JobProgram, type ResumePoint, judgeJob, runVerifiableJob } from './verifiable-job.ts';

const wabt = await wabtFactory();
const engine = loadJsEngine(
  readFileSync(createRequire(import.meta.url).resolve('quickjs-wasi/quickjs.wasm')),
);
const TERMS = { fuelLimit: 5_000_000_000n, checkpointFuel: 10_000_000n };
const QUOTAS: JobQuotas = {
  outputBytes: 100_000,
  logLines: 50,
  logBytes: 10_000,
  hostCalls: 10_000,
};

interface World extends JobSurroundings {
  readonly output: Bytes[];
  readonly lines: string[];
}

function world(
  files: Record<string, string> = {},
  overrides: Partial<JobSurroundings> = {},
): World {
  const output: Bytes[] = [];
  const lines: string[] = [];
  const inputs = Object.entries(files).map(([name, text]) => {
    const bytes = utf8(text);
    const read = (offset: number, length: number) => bytes.slice(offset, offset + length);
    return { name, sizeBytes: bytes.length, read };
  });
  return {
    inputs,
    params: '{"by":2}',
    seed: '11'.repeat(32),
    epochMs: 1_700_000_000_000,
    quotas: QUOTAS,
    onOutput: (chunk) => output.push(chunk),
    onLog: (line) => lines.push(line),
    output,
    lines,
    ...overrides,
  };
}

const js = (source: string): JobProgram => ({ kind: 'js', code: utf8(source) });

function wasm(source: string): JobProgram {
  const module = wabt.parseWat('job.wat', source, { simd: true, threads: true });
  try {
    return { kind: 'wasm', code: module.toBinary({}).buffer };
  } finally {
    module.destroy();
  }
}

function run(program: JobProgram, surroundings = world(), terms = TERMS) {
  const verdict = runVerifiableJob(engine, program, surroundings, terms);
  return {
    verdict,
    output: utf8Decode(concatBytes(...surroundings.output)),
    lines: surroundings.lines,
  };
}

/** Sums numbers line by line: rests between chunks, so some of its checkpoints are resumable. */
const SUM = js(`export default async ({ inputs, params, log, progress }) => {
  let total = 0, lines = 0;
  for await (const line of inputs.data.lines()) { total += Number(line) * params.by; if (++lines % 1000 === 0) { log(lines); progress(lines / 4000); } }
  return { total };
}`);
const NUMBERS = Array.from({ length: 4_000 }, (_, i) => i).join('\n');

describe('a verifiable JavaScript job', () => {
  it('has the job shape of the fast kind and gives its return value as output', () => {
    const { verdict, output, lines } = run(SUM, world({ data: NUMBERS }));
    expect(verdict.exit).toBe('ok');
    expect(output).toBe('{"total":15996000}');
    expect(lines).toEqual(['1000', '2000', '3000', '4000']);
  });

  it('gives the same fuel, output commitment and checkpoints every time', () => {
    const once = run(SUM, world({ data: NUMBERS })).verdict;
    expect(once.checkpoints.length).toBeGreaterThan(10);
    expect(once.checkpoints.some((c) => c.resumable)).toBe(true);
    expect(run(SUM, world({ data: NUMBERS })).verdict).toEqual(once);
  });

  it('draws the same randomness from the same seed, and other from another', () => {
    const program = js('export default () => [Math.random(), Math.random()]');
    const first = run(program).output;
    expect(run(program).output).toBe(first);
    expect(run(program, world({}, { seed: '22'.repeat(32) })).output).not.toBe(first);
  });

  it.each([
    ['loops', 'export default () => { for (;;); }', 'fuel-limit'],
    ['throws', 'export default () => { throw new Error("no"); }', 'guest-error'],
    ['returns nothing', 'export default () => {}', 'guest-error'],
    ['never settles', 'export default () => new Promise(() => {})', 'guest-error'],
    ['has no default export', 'export const x = 1;', 'guest-error'],
    [
      'writes too much',
      'export default ({ output }) => { for (;;) output.write("x".repeat(1000)); }',
      'output-limit',
    ],
    ['logs too much', 'export default ({ log }) => { for (;;) log("x"); }', 'log-limit'],
    [
      'storms the host',
      'export default ({ progress }) => { for (;;) progress(0.5); }',
      'host-call-limit',
    ],
  ])('that %s ends as it should', (_what, source, exit) => {
    const { verdict } = run(js(source), world(), {
      ...TERMS,
      fuelLimit: 300_000_000n,
      checkpointFuel: 100_000_000n,
    });
    expect(verdict.exit).toBe(exit);
  });

  it.each([
    ['speaks while it loads', 'console.log("x"); export default () => 1;'],
    ['does not parse', 'export default (;'],
    ['imports', 'import fs from "node:fs"; export default () => fs;'],
    ['is over 256 kB', `export default () => ${'1 + '.repeat(66_000)} 1`],
  ])('that %s is judged, not a fault of the host', (_what, source) => {
    const verdict = judgeJob(engine, js(source), world(), TERMS);
    expect(verdict).toMatchObject({ exit: 'guest-error', fuelUsed: 0n, checkpoints: [] });
    expect(verdict.message).toMatch(/^VM_(PROGRAM_INVALID|SOURCE_LIMIT): /);
  });

  it('hands out no call sites, and so no function that is not its own', () => {
    const probe = js(`export default () => {
      let seen = 0;
      try { Error.prepareStackTrace = () => { seen++; return 'x'; }; } catch {}
      (0, eval)('Error.prepareStackTrace = () => 1');
      return [seen, typeof new Error('e').stack];
    }`);
    expect(run(probe).output).toBe('[0,"string"]');
  });

  it('counts each line of its log', () => {
    const many = js(`export default ({ log }) => { log('a\\n'.repeat(60)); return 1; }`);
    expect(run(many).verdict.exit).toBe('log-limit');
  });

  it('pays for what its host does', () => {
    const fuelOf = (body: string) => run(js(`export default () => { ${body} }`)).verdict.fuelUsed;
    expect(fuelOf('Math.random(); return 1') - fuelOf('Math.abs(1); return 1')).toBeGreaterThan(
      BigInt(JOB_HOST_FUEL.call + 8 * JOB_HOST_FUEL.randomByte),
    );
  });

  it('goes on from a resumable checkpoint and meets the same later checkpoints', () => {
    const points: ResumePoint[] = [];
    const whole = runVerifiableJob(engine, SUM, world({ data: NUMBERS }), TERMS, {
      onResumable: (point) => points.push(point),
    });
    const from = points[Math.floor(points.length / 2)] as ResumePoint;
    expect(matchesCheckpoint(from, whole.checkpoints[from.index])).toBe(true);
    const rest = runVerifiableJob(engine, SUM, world({ data: NUMBERS }), TERMS, { from });
    expect(rest.checkpoints).toEqual(whole.checkpoints.slice(from.index + 1));
    expect(rest).toMatchObject({ exit: 'ok', fuelUsed: whole.fuelUsed, io: whole.io });
  });
});

describe('a dispute over a verifiable job', () => {
  const points: ResumePoint[] = [];
  const honest: JobClaim = runVerifiableJob(engine, SUM, world({ data: NUMBERS }), TERMS, {
    onResumable: (point) => points.push(point),
  });
  const disputed = { engine, program: SUM, surroundings: world({ data: NUMBERS }), terms: TERMS };

  /** A liar whose run went wrong at one checkpoint, and so at all later ones. */
  const lieFrom = (index: number): JobClaim => ({
    ...honest,
    checkpoints: honest.checkpoints.map((c, i) =>
      i < index ? c : { ...c, root: 'ff'.repeat(32) },
    ),
  });

  it('finds the first checkpoint on which claims differ', () => {
    expect(bisect(honest, honest)).toEqual({ kind: 'none' });
    for (const index of [0, 1, 7, honest.checkpoints.length - 1])
      expect(bisect(honest, lieFrom(index))).toEqual({ kind: 'checkpoint', index });
    const truncated = { ...honest, checkpoints: honest.checkpoints.slice(0, 5) };
    expect(bisect(honest, truncated)).toEqual({ kind: 'checkpoint', index: 5 });
  });

  it('runs only the stretch in dispute and rules for the honest side', () => {
    const index = honest.checkpoints.length - 2;
    const { ruling, from } = settleDispute(disputed, lieFrom(index), honest, points);
    expect(ruling).toBe('second');
    expect(from).toBeGreaterThan(0);
  });

  it('does not start from a forged resume point', () => {
    const forged = points.map((point) => ({ ...point, stackPointer: point.stackPointer - 16 }));
    const { ruling, from } = settleDispute(disputed, honest, lieFrom(9), forged);
    expect({ ruling, from }).toEqual({ ruling: 'first', from: 0 });
  });

  it('decides about the end when every checkpoint agrees', () => {
    const forged = { ...honest, io: { ...honest.io, outputChain: 'ee'.repeat(32) } };
    expect(settleDispute(disputed, forged, honest, points)).toMatchObject({
      ruling: 'second',
      until: undefined,
    });
  });

  it('rules for neither when both lie', () => {
    const other = {
      ...lieFrom(3),
      checkpoints: lieFrom(3).checkpoints.map((c, i) =>
        i < 3 ? c : { ...c, root: 'dd'.repeat(32) },
      ),
    };
    expect(settleDispute(disputed, lieFrom(3), other).ruling).toBe('neither');
  });
});

const WASI = (name: string, params: string, result = '(result i32)') =>
  `(import "wasi_snapshot_preview1" "${name}" (func $${name} (param ${params}) ${result}))`;

/** Copies input 0 to standard output, a buffer at a time. */
const COPY = wasm(`(module
  ${WASI('fd_read', 'i32 i32 i32 i32')} ${WASI('fd_write', 'i32 i32 i32 i32')}
  (memory (export "memory") 2)
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 1000)) (i32.store (i32.const 4) (i32.const 100))
    (loop $more
      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (i32.store (i32.const 12) (i32.const 1000)) (i32.store (i32.const 16) (i32.load (i32.const 8)))
      (drop (call $fd_write (i32.const 1) (i32.const 12) (i32.const 1) (i32.const 20)))
      (br_if $more (i32.load (i32.const 8))))))`);

describe('a verifiable WebAssembly job (WASI preview1)', () => {
  it('reads inputs and writes output through descriptors', () => {
    const text = 'all the data\n'.repeat(100);
    const { verdict, output } = run(COPY, world({ data: text }));
    expect(verdict.exit).toBe('ok');
    expect(output).toBe(text);
    expect(run(COPY, world({ data: text })).verdict).toEqual(verdict);
  });

  it('sees a fixed clock and seeded randomness', () => {
    const program = wasm(`(module
      ${WASI('clock_time_get', 'i32 i64 i32')} ${WASI('random_get', 'i32 i32')} ${WASI('fd_write', 'i32 i32 i32 i32')}
      (memory (export "memory") 1)
      (func (export "_start")
        (drop (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const 100)))
        (drop (call $random_get (i32.const 108) (i32.const 8)))
        (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const 16))
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))`);
    const surroundings = world();
    runVerifiableJob(engine, program, surroundings, TERMS);
    const [bytes] = surroundings.output as [Bytes];
    expect(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true)).toBe(
      1_700_000_000_000_000_000n,
    );
  });

  it('has no paths', () => {
    const program =
      wasm(`(module ${WASI('path_open', 'i32 i32 i32 i32 i32 i64 i64 i32 i32')} ${WASI('proc_exit', 'i32', '')}
      (memory (export "memory") 1)
      (func (export "_start") (call $proc_exit (call $path_open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 8)))))`);
    expect(run(program).verdict).toMatchObject({ exit: 'guest-error', message: 'exit code 52' });
  });

  it.each([
    [
      'spins',
      '(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))',
      'fuel-limit',
    ],
    [
      'traps',
      '(module (memory (export "memory") 1) (func (export "_start") unreachable))',
      'guest-error',
    ],
    [
      'reads wildly',
      `(module ${WASI('fd_read', 'i32 i32 i32 i32')} (memory (export "memory") 1) (func (export "_start") (drop (call $fd_read (i32.const 0) (i32.const -4) (i32.const 1) (i32.const 0)))))`,
      'guest-error',
    ],
  ])('that %s ends as it should', (_what, source, exit) => {
    expect(
      run(wasm(source), world({ data: 'x' }), { ...TERMS, fuelLimit: 10_000_000n }).verdict.exit,
    ).toBe(exit);
  });

  it.each([
    [
      'SIMD',
      '(module (memory (export "memory") 1) (func (export "_start") (drop (v128.const i32x4 0 0 0 0))))',
      'VM_MODULE_UNSUPPORTED',
    ],
    ['threads', '(module (memory (export "memory") 1 1 shared))', 'VM_MODULE_UNSUPPORTED'],
    ['no _start', '(module (memory (export "memory") 1))', 'VM_MODULE_UNSUPPORTED'],
    ['no memory of its own', '(module (func (export "_start")))', 'VM_MODULE_UNSUPPORTED'],
  ])('with %s is judged with a clear word', (_what, source, code) => {
    const verdict = judgeJob(undefined, wasm(source), world(), TERMS);
    expect(verdict).toMatchObject({ exit: 'guest-error', fuelUsed: 0n });
    expect(verdict.message).toContain(code);
  });

  it('cannot grow beyond its memory limit, and is told so', () => {
    const grows = wasm(`(module ${WASI('proc_exit', 'i32', '')} (memory (export "memory") 1)
      (func (export "_start") (call $proc_exit (i32.add (i32.const 2) (memory.grow (i32.const 64))))))`);
    const terms = { ...TERMS, memoryBytes: 32 * 65_536 };
    expect(runVerifiableJob(undefined, grows, world(), terms)).toMatchObject({
      message: 'exit code 1', // 2 + (−1)
    });
  });

  it('refuses imports it does not know', () => {
    expect(() => run(wasm('(module (import "env" "evil" (func)))'))).toThrow('env.evil');
  });
});
