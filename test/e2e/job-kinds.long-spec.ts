/** Jobs of each kind on real processes: result, receipt, running again, lies, limits, refusals. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import wabtFactory from 'wabt';
import { decodeWith, encodeWith } from '#libs/kernel';
import { readReceipt, receiptFile } from '#libs/audit';
import { PROVIDER_ENTRIES } from '#libs/market';
import { type LocalMachine, startLocalMachine } from '../support/local-machine.ts';

const wabt = await wabtFactory();
const ASC = join(process.cwd(), 'node_modules/assemblyscript/bin/asc.js');

let machine: LocalMachine;
let folder: string;
const file = (name: string) => join(folder, name);

function write(name: string, content: string | Uint8Array): string {
  writeFileSync(file(name), content);
  return file(name);
}

function wasm(name: string, source: string): string {
  const module = wabt.parseWat(name, source, { simd: true, threads: true });
  try {
    return write(name, module.toBinary({}).buffer);
  } finally {
    module.destroy();
  }
}

interface Followed {
  readonly order: {
    readonly id: string;
    readonly kind: string;
    readonly exit: string;
    readonly status: string;
    readonly provider: string;
    readonly result?: string;
    readonly charge: string;
    readonly metered?: Readonly<Record<string, string | number>>;
  };
  readonly result?: string;
}

interface Replayed {
  readonly ok: boolean;
  readonly checks: readonly { readonly name: string; readonly ok: boolean }[];
  readonly firstDifference?: { readonly checkpoint: number | null };
  readonly bearsOut?: string;
  readonly segment?: { readonly checkpoint: number };
  readonly ran?: { readonly fromFuel: string; readonly toFuel: string };
}

const asJson = <T>({ stdout }: { stdout: string }) => JSON.parse(stdout) as T;

async function order(...args: string[]): Promise<Followed> {
  return asJson<Followed>(await machine.seele('run', ...args, '--follow', '--json'));
}

async function replay(...args: string[]) {
  const outcome = await machine.seele('job', 'replay', ...args, '--json');
  return { code: outcome.code, stderr: outcome.stderr, ...asJson<Replayed>(outcome) };
}

async function receiptOf(id: string, name: string): Promise<string> {
  const { code, stderr } = await machine.seele('receipt', id, '--out', file(name));
  expect([code, stderr]).toEqual([0, '']);
  return file(name);
}

const TEXT = 'the cat and the dog and the bird\nand the end\n'.repeat(300);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'seele-kinds-'));
  machine = await startLocalMachine();
  write('book.txt', TEXT);
}, 180_000);
afterAll(async () => {
  await machine.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Changes what the log states of one checkpoint, as a liar without the provider's key could. */
function forge(path: string, index: number, name: string): string {
  const receipt = readReceipt(new Uint8Array(readFileSync(path)));
  const batches = receipt.batches.map((batch) => ({
    ...batch,
    entries: batch.entries.map((entry) => {
      if (entry.kind !== 'checkpoints') return entry;
      const { first, items } = decodeWith(PROVIDER_ENTRIES.checkpoints, entry.data);
      const forged = items.map((item, i) =>
        first + i < index ? item : { ...item, root: 'ab'.repeat(32) },
      );
      return {
        ...entry,
        data: encodeWith(PROVIDER_ENTRIES.checkpoints, { first, items: forged }),
      };
    }),
  }));
  return write(name, encodeWith(receiptFile, { ...receipt, batches }));
}

describe('a verifiable job', () => {
  const source = join(process.cwd(), 'examples/jobs/top-words.ts');
  const args = [
    ...[source, '--kind', 'verifiable', '--param', 'top=2'],
    ...['--fuel', '10000000000', '--checkpoint-fuel', '10000000'],
  ];
  let bought: Followed;

  it('is bought, run and paid, with fuel and checkpoints', async () => {
    bought = await order(...args, '--in', `text=${file('book.txt')}`);
    expect(bought.order).toMatchObject({ kind: 'verifiable', exit: 'ok', status: 'settled' });
    expect(JSON.parse(bought.result ?? '')).toEqual([
      { word: 'the', count: 1_200 },
      { word: 'and', count: 900 },
    ]);
    expect(Number(bought.order.metered?.['checkpoints'])).toBeGreaterThan(4);
    const shown = await machine.seele('job', 'show', bought.order.id);
    expect(shown.stdout).toMatch(/fuel\s+\d+, \d+ checkpoints, engine/);
  }, 120_000);

  it('has a receipt that verifies, and runs again here to the same bytes', async () => {
    const receipt = await receiptOf(bought.order.id, 'job.seele');
    const verified = await machine.seele('audit', 'verify', receipt);
    expect(verified.stdout).toContain('The receipt holds.');
    const again = await replay(bought.order.id, '--save', file('mine.json'));
    expect(again).toMatchObject({ code: 0, ok: true });
    expect(again.checks.map(({ name, ok }) => [name, ok])).toEqual(
      ['exit', 'output', 'fuel', 'outputChain', 'checkpoints'].map((name) => [name, true]),
    );
    expect(await replay('--receipt', receipt, '--images', file('images'))).toMatchObject({
      ...{ code: 0, ok: true },
    });
    const said = await machine.seele('job', 'replay', '--receipt', receipt);
    expect(said.stdout).toContain('The result is what this program gives on this data.');
  }, 120_000);

  it('gives the same on another provider', async () => {
    const runs = await Promise.all(
      ['A', 'B', 'C'].map((tier) =>
        order(...args, '--in', `text=${file('book.txt')}`, '--tier', tier, '--name', tier),
      ),
    );
    const ends = runs.filter(({ order: { exit } }) => exit === 'ok');
    expect(new Set(ends.map(({ order: { provider } }) => provider)).size).toBeGreaterThan(1);
    for (const { order: end } of ends)
      expect([end.result, end.metered]).toEqual([bought.order.result, bought.order.metered]);
  }, 120_000);

  it('shows a changed result as such, by its first wrong segment', async () => {
    const claim = JSON.parse(readFileSync(file('mine.json'), 'utf8')) as {
      checkpoints: { root: string }[];
    };
    const lie = (from: number) => ({
      ...claim,
      checkpoints: claim.checkpoints.map((c, i) =>
        i < from ? c : { ...c, root: 'ab'.repeat(32) },
      ),
    });
    const last = claim.checkpoints.length - 1;
    const lies = write('lies.json', JSON.stringify(lie(last)));
    const decided = await replay(bought.order.id, '--against', lies);
    expect(decided).toMatchObject({ code: 0, bearsOut: 'receipt', ran: { fromFuel: '0' } });
    expect(decided.segment?.checkpoint).toBe(last);
    // With the images of an earlier run only the stretch before the lie is run.
    const short = await replay(bought.order.id, '--against', lies, '--images', file('images'));
    expect(short).toMatchObject({ code: 0, bearsOut: 'receipt' });
    expect(BigInt(short.ran?.fromFuel ?? 0)).toBeGreaterThan(0n);
    const same = await replay(bought.order.id, '--against', file('mine.json'));
    expect(same).toMatchObject({ code: 0, ok: true });
  }, 120_000);

  it('is not replayed from a receipt whose log was changed', async () => {
    const forged = forge(file('job.seele'), 2, 'forged.seele');
    const { code, stderr } = await machine.seele('job', 'replay', '--receipt', forged);
    expect([code, stderr]).toEqual([1, expect.stringContaining('MARKET_NOT_REPEATABLE')]);
  }, 60_000);

  it('is run anew when its provider dies in the middle, and the receipt is of the run that counts', async () => {
    const long = write(
      'long.js',
      'export default () => { let x = 1; for (let i = 0; i < 2_000_000; i++) x = (x * 31 + i) % 1_000_003; return x; }',
    );
    const options = [
      '--kind',
      'verifiable',
      '--fuel',
      '20000000000',
      '--checkpoint-fuel',
      '100000000',
    ];
    const { order: begun } = asJson<Followed>(
      await machine.seele('run', long, ...options, '--json'),
    );
    for await (const { kind } of machine.market.events(begun.id)) if (kind === 'checkpoints') break;
    const { provider } = await machine.market.order(begun.id);
    const names = await machine.market.providers();
    const { name } = names.find((one) => one.provider === provider) ?? { name: '' };
    const victim = machine.processes().find((one) => one.name === `provider-${name}`);
    process.kill(victim?.pid ?? 0, 'SIGKILL');
    const ended = await machine.market.waitForEnd(begun.id, { timeoutMs: 90_000 });
    expect(ended).toMatchObject({ status: 'settled', exit: 'ok' });
    expect(ended.attempts).toBeGreaterThan(1);
    expect(await replay(begun.id)).toMatchObject({ code: 0, ok: true });
  }, 150_000);

  it('ends at its fuel limit, is paid for what it used, and that too can be repeated', async () => {
    const endless = write('endless.js', 'export default () => { for (;;); }');
    const { order: ended } = await order(endless, '--kind', 'verifiable', '--fuel', '100000000');
    expect(ended).toMatchObject({ exit: 'fuel-limit', status: 'settled' });
    expect(BigInt(ended.charge)).toBeGreaterThan(0n);
    expect(await replay(ended.id)).toMatchObject({ code: 0, ok: true });
  }, 120_000);
});

describe('a wasm job', () => {
  it('built from AssemblyScript by the documented command runs and can be repeated', async () => {
    const program = file('line-stats.wasm');
    execFileSync(process.execPath, [
      ...[ASC, 'examples/jobs/line-stats/assembly/index.ts', '-o', program],
      ...['--exportStart', '_start', '--runtime', 'stub', '--use', 'abort=', '-O3'],
    ]);
    const { order: done, result } = await order(program, '--in', `text=${file('book.txt')}`);
    expect(done).toMatchObject({ kind: 'wasm', exit: 'ok', status: 'settled' });
    expect(JSON.parse(result ?? '')).toMatchObject({
      ...{ lines: 600, words: 3_300, bytes: TEXT.length },
    });
    expect(await replay(done.id)).toMatchObject({ code: 0, ok: true });
    const again = await order(program, '--in', `text=${file('book.txt')}`, '--kind', 'verifiable');
    expect(again.order.result).toBe(done.result);
  }, 120_000);

  it('has no paths', async () => {
    const program = wasm(
      'paths.wasm',
      `(module
        (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (func (export "_start") (call $exit (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 8)))))`,
    );
    expect((await order(program)).order).toMatchObject({ exit: 'guest-error', status: 'settled' });
  }, 60_000);
});

describe('docs/verifiable-jobs.md', () => {
  const page = readFileSync('docs/verifiable-jobs.md', 'utf8');
  const lines = (/```sh\n([^]*?)```/.exec(page)?.[1] ?? '').trim().split('\n');

  it('shows an example that works as it stands', async () => {
    expect(lines.length).toBeGreaterThan(5);
    let job = 'none';
    for (const line of lines) {
      const [program = '', ...words] = line
        .replaceAll('JOB', job)
        .split(' ')
        .map((word) =>
          word.replace(
            /^(text=)?([\w-]+\.(txt|seele|json|wasm)|images)$/,
            (_all, input: string | undefined, name: string) => `${input ?? ''}${file(name)}`,
          ),
        );
      if (program === 'npx') {
        execFileSync(process.execPath, [ASC, ...words.slice(1)]);
        continue;
      }
      const { code, stdout, stderr } = await machine.seele(...words);
      expect([line, code, stderr]).toEqual([line, 0, '']);
      if (words.includes('--json')) job = (JSON.parse(stdout) as Followed).order.id;
    }
  }, 240_000);
});

describe('what the engine would refuse', () => {
  it.each([
    [
      'SIMD',
      () =>
        wasm(
          'simd.wasm',
          '(module (memory (export "memory") 1) (func (export "_start") (drop (v128.const i32x4 0 0 0 0))))',
        ),
      [],
      'VM_MODULE_UNSUPPORTED',
    ],
    [
      'half a module',
      () => write('half.wasm', Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 9)),
      [],
      'VM_MODULE_MALFORMED',
    ],
    [
      'a script as wasm',
      () => write('a.js', 'export default () => 1'),
      ['--kind', 'wasm'],
      'VM_MODULE_MALFORMED',
    ],
    [
      'a source over 256 kB',
      () => write('big.js', `//${'x'.repeat(300_000)}`),
      ['--kind', 'verifiable'],
      'VM_SOURCE_LIMIT',
    ],
    ['a module as js', () => wasm('m.wasm', '(module)'), ['--kind', 'js'], 'CLI_USAGE'],
    ['an unknown kind', () => write('b.js', ''), ['--kind', 'rust'], 'CLI_USAGE'],
    ['fuel for js', () => write('c.js', ''), ['--fuel', '5'], 'CLI_USAGE'],
    [
      'no fuel at all',
      () => write('d.js', ''),
      ['--kind', 'verifiable', '--fuel', '0'],
      'SDK_INPUT_INVALID',
    ],
  ] as const)(
    'is refused before an order: %s',
    async (_what, make, args, code) => {
      const { code: exit, stderr } = await machine.seele('run', make(), ...args);
      expect(exit).toBeGreaterThan(0);
      expect(stderr).toContain(`[${code}]`);
    },
    60_000,
  );

  it('a js job cannot be repeated, and the refusal says why', async () => {
    const { order: done } = await order(write('js.js', 'export default () => 1'));
    const { code, stderr } = await machine.seele('job', 'replay', done.id);
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/a js job: only wasm and verifiable/),
    ]);
  }, 60_000);
});
