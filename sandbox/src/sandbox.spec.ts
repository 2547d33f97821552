import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { type Bytes, utf8, utf8Decode } from '#libs/kernel';
import { DEFAULT_JOB_LIMITS, type JobLimits } from '#libs/market';
import { escapeControls, linesOf } from './log-text.ts';
import { levelOf } from './isolation.ts';
import { type SlotPool, type SlotSession, createSlotPool } from './pool.ts';
import { FrameReader, frame } from './slot/frames.ts';
import type { LogLine, SandboxTask, SlotOutcome, TaskHost, TaskInput } from './task.ts';

const LIMITS: JobLimits = {
  ...DEFAULT_JOB_LIMITS,
  // Wide, so that a busy machine does not turn one limit into another.
  wallMs: 20_000,
  cpuMs: 3_000,
  outputBytes: 1_000_000,
};

let pool: SlotPool;
beforeAll(async () => {
  pool = await createSlotPool({ slots: 2, spares: 2 });
});
afterAll(() => pool.close());

interface Extra {
  readonly inputs?: Record<string, TaskInput>;
  readonly params?: unknown;
  readonly limits?: Partial<JobLimits>;
  readonly host?: TaskHost;
  readonly seed?: string;
}

function run(code: string, extra: Extra = {}): Promise<SlotOutcome> {
  const { inputs = {}, params = {}, limits = {}, host = {}, seed } = extra;
  const task = { code: utf8(code), inputs, params: JSON.stringify(params) };
  return runIn(
    { ...task, limits: { ...LIMITS, ...limits }, ...(seed === undefined ? {} : { seed }) },
    host,
  );
}

let session: SlotSession | undefined;

/** One process for as long as it lives: most tests need no fresh one, and starting takes time. */
async function runIn(task: SandboxTask, host: TaskHost): Promise<SlotOutcome> {
  if (session?.isOpen !== true) {
    session?.close();
    session = await pool.open();
  }
  return await session.run(task, host);
}

const job = (body: string) =>
  `export default async ({ inputs, params, output, log, progress }) => { ${body} }`;
const textOf = ({ output }: SlotOutcome) => (output === undefined ? undefined : utf8Decode(output));
const inputOf = (...chunks: Bytes[]): TaskInput => ({
  sizeBytes: chunks.reduce((sum, chunk) => sum + chunk.length, 0),
  async *read() {
    for (const chunk of chunks) yield await Promise.resolve(chunk);
  },
});

describe('a job', () => {
  it('computes from params; what it returns becomes the output', async () => {
    expect(
      textOf(await run(job('return { sum: params.a + params.b }'), { params: { a: 1, b: 2 } })),
    ).toBe('{"sum":3}');
    expect(textOf(await run(job('return "plain"')))).toBe('plain');
    const { output } = await run(job('return new Uint8Array([1, 2, 300]).subarray(1)'));
    expect([...(output as Bytes)]).toEqual([2, 44]);
  });

  it('what it writes is the output, in order, text and bytes; the returned value is then ignored', async () => {
    const { exit, output } = await run(
      job(
        `output.write('né'); output.write(new Uint8Array([33])); output.write('x'.repeat(100_000)); return 1`,
      ),
    );
    expect(exit).toBe('ok');
    expect(utf8Decode(output as Bytes)).toBe(`né!${'x'.repeat(100_000)}`);
  });

  it('never cuts a character in two, however the pieces fall', async () => {
    const outcome = await run(job(`for (let i = 0; i < 40_000; i++) output.write('a\u{1F600}')`));
    expect(textOf(outcome)).toBe('a\u{1F600}'.repeat(40_000));
  });

  it('reads an input as text, bytes, lines and chunks, more than once', async () => {
    const text = Array.from({ length: 5_000 }, (_, i) => `row ${i} é\u{1F600}`).join('\r\n');
    const bytes = utf8(text);
    const parts = [bytes.subarray(0, 7_001), bytes.subarray(7_001, 60_000), bytes.subarray(60_000)];
    const outcome = await run(
      job(`
        const text = await inputs.data.text();
        const bytes = await inputs.data.bytes();
        let lines = 0, last = '';
        for await (const line of inputs.data.lines()) { lines++; last = line; }
        let size = 0;
        for await (const chunk of inputs.data.chunks()) size += chunk.length;
        for await (const line of inputs.data.lines()) break;
        return [text.length, bytes.length, inputs.data.sizeBytes, lines, last, size,
                new TextDecoder().decode(bytes) === text, new TextEncoder().encode(text).length];`),
      { inputs: { data: inputOf(...parts) } },
    );
    const size = bytes.length;
    expect(JSON.parse(textOf(outcome) ?? String(outcome.error))).toEqual([
      ...[text.length, size, size, 5_000, 'row 4999 é\u{1F600}', size, true, size],
    ]);
    expect(outcome.usage.inputBytes).toBeGreaterThanOrEqual(4 * size);
  });

  it('tells its log, its progress and its start', async () => {
    const lines: LogLine[] = [];
    const shares: number[] = [];
    let started = 0;
    const host: TaskHost = {
      onStarted: () => started++,
      onLog: (line) => lines.push(line),
      onProgress: (share) => shares.push(share),
    };
    await run(
      job(`log('a', { b: 1 }); console.error('two\\nlines\\u001b[2J'); progress(0.5); return 1`),
      {
        host,
      },
    );
    expect(started).toBe(1);
    expect(shares).toEqual([0.5]);
    expect(lines).toEqual([
      { level: 'info', text: 'a {"b":1}' },
      { level: 'error', text: 'two' },
      { level: 'error', text: 'lines\\u001b[2J' },
    ]);
  });

  it('has timers, top-level await and asynchronous WebAssembly', async () => {
    const outcome = await run(`
      const empty = await WebAssembly.compile(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0]));
      export default () => new Promise((done) => setTimeout(done, 5, String(empty)));`);
    expect(textOf(outcome)).toBe('[object WebAssembly.Module]');
  });

  it('has no clock, and the same random numbers for the same seed', async () => {
    const code = job(
      `return [Date.now(), new Date().getTime(), new Intl.DateTimeFormat('en').format(), Math.random()]`,
    );
    const first = await run(code, { seed: 'a' });
    const again = await run(code, { seed: 'a' });
    const other = await run(code, { seed: 'b' });
    expect(textOf(first)).toMatch(/^\[0,0,"1\/1\/1970",0\.\d+\]$/);
    expect(textOf(again)).toBe(textOf(first));
    expect(textOf(other)).not.toBe(textOf(first));
  });

  it('sees nothing of the host', async () => {
    const names = [
      'process',
      'require',
      'module',
      'fetch',
      'performance',
      'Buffer',
      'ivm',
      'seele:start',
    ];
    const outcome = await run(
      job(`return ${JSON.stringify(names)}.filter((name) => name in globalThis)`),
    );
    expect(textOf(outcome)).toBe('[]');
  });
});

describe('docs/sandbox.md', () => {
  it('its example runs', async () => {
    const page = readFileSync(join(import.meta.dirname, '../../docs/sandbox.md'), 'utf8');
    const example = /```js\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
    const data = inputOf(utf8('a,1\nb,2\nc,3\n'));
    const outcome = await run(example, { inputs: { data }, params: { column: 1 } });
    expect(textOf(outcome)).toBe('{"rows":3,"sum":6}');
  });
});

describe('a job that fails', () => {
  it.each([
    ['throws', job('throw new TypeError("bad")'), 'guest-error', 'TypeError: bad'],
    [
      'throws while it loads',
      'throw new Error("early"); export default () => 1',
      'guest-error',
      'early',
    ],
    [
      'throws late while it loads',
      'await 1; throw new Error("late"); export default () => 1',
      'guest-error',
      'late',
    ],
    ['returns nothing', job(''), 'guest-error', 'returned nothing and wrote nothing'],
    ['returns a function', job('return () => 1'), 'guest-error', 'returned a function'],
    [
      'leaves a rejection unhandled',
      job('Promise.reject(new Error("loose")); await new Promise(() => {})'),
      'guest-error',
      'loose',
    ],
    ['is not a function', 'export default 5', 'guest-error', 'not a function'],
    ['has no default export', 'export const a = 1', 'guest-error', "export named 'default'"],
    ['does not parse', 'export default (', 'guest-error', 'SyntaxError'],
    ['imports', 'import "fs"; export default () => 1', 'guest-error', 'no imports'],
    [
      'throws an error that looks like a status',
      job('throw { message: "Script execution timed out.", code: "ok" }'),
      'guest-error',
      'the job threw',
    ],
  ])('that %s', async (_what, code, exit, message) => {
    const outcome = await run(code);
    expect([outcome.exit, outcome.error]).toEqual([exit, expect.stringContaining(message)]);
    expect(outcome.output).toBeUndefined();
  });

  it.each([
    ['loops', job('for (;;);'), 'cpu-limit', { cpuMs: 150 }],
    [
      'loops in finally',
      job('for (;;) { try { for (;;); } finally { for (;;); } }'),
      'cpu-limit',
      { cpuMs: 150 },
    ],
    [
      'storms microtasks',
      job('(function f() { Promise.resolve().then(f) })(); await new Promise(() => {})'),
      'cpu-limit',
      { cpuMs: 150 },
    ],
    [
      'hides a loop in a getter of what it throws',
      job('throw { get message() { for (;;); } }'),
      'cpu-limit',
      { cpuMs: 150 },
    ],
    [
      'hides a loop in toJSON',
      job('return { toJSON() { for (;;); } }'),
      'cpu-limit',
      { cpuMs: 150 },
    ],
    ['never settles', job('await new Promise(() => {})'), 'wall-limit', { wallMs: 300 }],
    [
      'sleeps for ever',
      job('for (;;) await new Promise((done) => setTimeout(done, 10))'),
      'wall-limit',
      { wallMs: 300 },
    ],
    [
      'fills memory',
      job('const q = []; for (;;) q.push(new Array(1000).fill(1))'),
      'memory-limit',
      { memoryBytes: 100 * 2 ** 20, cpuMs: 3_000 },
    ],
    ['logs a million lines', job('for (let i = 0; i < 1e6; i++) log(i)'), 'log-limit', {}],
    ['logs megabytes', job('for (;;) log("x".repeat(100_000))'), 'log-limit', {}],
    ['writes without end', job('for (;;) output.write("x".repeat(65_536))'), 'output-limit', {}],
    ['storms host calls', job('for (;;) progress(0)'), 'host-call-limit', { hostCalls: 1_000 }],
  ])('that %s', async (_what, code, exit, limits) => {
    const outcome = await run(code, { limits });
    expect(outcome.exit).toBe(exit);
    expect(outcome.output).toBeUndefined();
    const { memoryBytes, wallMs } = { ...LIMITS, ...limits };
    expect(outcome.usage.peakMemoryBytes).toBeLessThan(memoryBytes + 150 * 2 ** 20);
    expect(outcome.usage.wallMs).toBeLessThan(wallMs + 1_000);
  });

  it('whose input cannot be read is refused, not blamed', async () => {
    const broken: TaskInput = {
      sizeBytes: 10,
      async *read() {
        yield utf8('12345');
        await Promise.reject(new Error('block missing'));
      },
    };
    const outcome = await run(job('return (await inputs.data.text()).length'), {
      inputs: { data: broken },
    });
    expect(outcome).toMatchObject({
      exit: 'refused',
      error: expect.stringContaining('block missing'),
    });
  });

  it('whose slot is killed from outside is a crash', async () => {
    const children = () =>
      readdirSync('/proc').filter((pid) => {
        if (!/^\d+$/.test(pid)) return false;
        try {
          const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
          const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
          return (
            parent === process.pid &&
            readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('slot-main')
          );
        } catch {
          return false;
        }
      });
    const outcome = await run(job('await new Promise(() => {})'), {
      host: { onStarted: () => children().forEach((pid) => process.kill(Number(pid), 'SIGKILL')) },
    });
    expect(outcome.exit).toBe('crash');
    expect(textOf(await run(job('return 1')))).toBe('1');
  });
});

describe('the pool', () => {
  it('kills what is cancelled', async () => {
    const controller = new AbortController();
    const host: TaskHost = { onStarted: () => controller.abort(), signal: controller.signal };
    await expect(run(job('for (;;);'), { host })).rejects.toMatchObject({
      code: 'SANDBOX_CANCELLED',
    });
  });

  it('takes no more than its slots', async () => {
    session?.close();
    const sessions = [await pool.open(), await pool.open()];
    const task = { code: utf8(job('return 1')), inputs: {}, params: '{}', limits: LIMITS };
    await expect(pool.run(task)).rejects.toMatchObject({ code: 'SANDBOX_BUSY' });
    for (const session of sessions) session.close();
    expect(pool.freeSlots).toBe(2);
  });

  it('claims only what it saw', () => {
    const { attempts, failing, layers, level, networkClosed } = pool.isolation;
    const holds = (name: string) => layers.some((layer) => layer.name === name && layer.holds);
    expect(level).toBe(levelOf(layers).level);
    expect(networkClosed).toBe(holds('namespaces') || holds('network-namespace'));
    expect(failing).toMatchObject({ holds: false });
    for (const { evidence } of layers) expect(evidence).not.toBe('');
    const refused = (name: string) => attempts.find(({ attempt }) => attempt === name)?.refused;
    expect(refused('over-allocate')).toBe(true);
    if (holds('namespaces'))
      for (const name of ['read /etc/passwd', 'write to /', 'open a socket', 'ptrace'])
        expect([name, refused(name)]).toEqual([name, true]);
    if (holds('seccomp')) expect(refused('fork')).toBe(true);
  });

  it('refuses a task that cannot be run, and says why', async () => {
    const task = { code: utf8('x'), inputs: {}, params: '{', limits: LIMITS };
    await expect(pool.run(task)).rejects.toMatchObject({
      code: 'SANDBOX_TASK',
      message: 'params is not JSON text',
    });
    await expect(pool.run({ ...task, code: utf8('') })).rejects.toMatchObject({
      code: 'SANDBOX_TASK',
    });
  });
});

describe('guest text', () => {
  it('reaches no terminal with a control character in it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        for (const line of linesOf(1, text)) {
          expect(line.text).not.toMatch(/(?!\t)\p{Cc}|[\u202a-\u202e\u2066-\u2069]/u);
          expect(line.text.isWellFormed()).toBe(true);
        }
      }),
      { numRuns: 40 },
    );
    expect(escapeControls('a\u202eb')).toBe('a\\u202eb');
  });
});

describe('frames', () => {
  it('come out as they went in, however the stream is cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(255), fc.uint8Array({ maxLength: 50 })), { maxLength: 10 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 30 })),
        (sent, cuts) => {
          const bytes = Buffer.concat(sent.map(([type, payload]) => frame(type, payload)));
          const got: [number, Uint8Array][] = [];
          const reader = new FrameReader(64, (type, payload) =>
            got.push([type, new Uint8Array(payload)]),
          );
          for (let at = 0; at < bytes.length;) {
            const size = cuts.next().value as number;
            expect(reader.push(bytes.subarray(at, at + size))).toBe(true);
            at += size;
          }
          expect(got).toEqual(sent);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('longer than allowed are refused for good', () => {
    const reader = new FrameReader(10, () => {});
    expect(reader.push(frame(1, new Uint8Array(11)))).toBe(false);
    expect(reader.push(frame(1))).toBe(false);
  });
});
