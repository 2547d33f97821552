import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type LocalMachine, startLocalMachine } from '../support/local-machine.ts';

/** `SEELE_TEST_BYTES=1000000000` for the whole of a gigabyte. */
const BYTES = Number(process.env['SEELE_TEST_BYTES'] ?? 250_000_000);
const CLI = join(process.cwd(), 'dist/apps/cli/src/main.js');
const MIB = 2 ** 20;

async function writeCsv(path: string): Promise<number> {
  const out = createWriteStream(path);
  out.write('id,when,patient,cost,note\n');
  let rows = 0;
  for (let bytes = 0; bytes < BYTES;) {
    const lines = Array.from({ length: 5_000 }, () => {
      const i = rows++;
      const day = `2026-${String(1 + (i % 12)).padStart(2, '0')}-${String(1 + (i % 28)).padStart(2, '0')}`;
      return `${i},${day},P-${(i * 2_654_435_761) % 1_000_000},${(i % 100_000) / 100},"note, ""${i}"" of many"\n`;
    }).join('');
    bytes += lines.length;
    if (!out.write(lines)) await once(out, 'drain');
  }
  out.end();
  await once(out, 'finish');
  return rows;
}

/** Most memory that processes held, by what they run, in MiB. */
class MemoryWatch {
  readonly peaks: Record<string, number> = {};
  #stopped = false;
  readonly #done = this.#watch();

  async #watch(): Promise<void> {
    while (!this.#stopped) {
      for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) this.#look(pid);
      await sleep(250);
    }
  }

  #look(pid: string): void {
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      const what = ['extraction-worker', 'apps/storage', 'data\0add'].find((each) =>
        line.includes(each),
      );
      if (what === undefined || !line.includes(process.cwd())) return;
      const kib = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0;
      this.peaks[what] = Math.max(this.peaks[what] ?? 0, Math.round(Number(kib) / 1_024));
    } catch {
      // It ended meanwhile.
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#done;
  }
}

describe(`a CSV of ${Math.round(BYTES / MIB)} MiB`, () => {
  let machine: LocalMachine;
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'seele-large-'));
    machine = await startLocalMachine({}, 0);
  }, 180_000);
  afterAll(async () => {
    await machine.stop();
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  it('is looked at, encrypted, stored and recorded within fixed memory', async () => {
    const path = join(folder, 'large.csv');
    const rows = await writeCsv(path);
    const memory = new MemoryWatch();
    const atMs = performance.now();
    const args = ['data', 'add', path, '--yes', '--json', '--home', machine.home];
    const child: ChildProcess = spawn(process.execPath, [CLI, ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let answer = '';
    child.stdout?.on('data', (bytes: Buffer) => (answer += bytes.toString()));
    const [code] = (await once(child, 'exit')) as [number];
    await memory.stop();
    const seconds = Math.round((performance.now() - atMs) / 1_000);
    process.stderr.write(`${JSON.stringify({ seconds, peakMiB: memory.peaks })}\n`);
    expect(code).toBe(0);
    expect(JSON.parse(answer)).toMatchObject({ published: true, proposal: { rows } });
    expect(memory.peaks['extraction-worker']).toBeLessThan(400);
    expect(memory.peaks['data\0add']).toBeLessThan(400);
    expect(memory.peaks['apps/storage']).toBeLessThan(500);
  }, 1_200_000);
});
