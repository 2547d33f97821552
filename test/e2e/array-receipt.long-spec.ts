/** The receipt of an order of many tasks from real processes: whole, of one task, and with a bit flipped. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LocalMachine, startLocalMachine } from '../support/local-machine.ts';

/** Every tenth task fails by itself. */
const CODE = `export default async ({ task, log }) => {
  log('reading number ' + task.index);
  if (task.index % 10 === 9) throw new Error('task ' + task.index + ' does not like its number');
  return task.index ** 2;
};`;
const TASKS = 600;

let machine: LocalMachine;
let folder: string;
let order: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'seele-array-receipt-'));
  writeFileSync(join(folder, 'square.js'), CODE);
  machine = await startLocalMachine();
  const args = ['--tasks', String(TASKS), '--follow', '--json', '--out', join(folder, 'out')];
  const done = await machine.seele('run', join(folder, 'square.js'), ...args);
  ({ id: order } = (JSON.parse(done.stdout) as { order: { id: string } }).order);
}, 240_000);

afterAll(async () => {
  await machine.stop();
  rmSync(folder, { recursive: true });
}, 60_000);

async function fetched(name: string, ...more: string[]): Promise<string> {
  const file = join(folder, name);
  const made = await machine.seele('receipt', order, '--out', file, ...more);
  expect(made).toMatchObject({ code: 0, stderr: '' });
  return file;
}

async function verdictOf(file: string) {
  const { code, stdout } = await machine.seele('verify', file, '--json', '--trust', machine.chain);
  return { code, verdict: JSON.parse(stdout) as { ok: boolean; summary?: object } };
}

async function refusesFlips(file: string): Promise<void> {
  const bytes = readFileSync(file);
  for (const share of [0.02, 0.3, 0.7, 0.98]) {
    const changed = new Uint8Array(bytes);
    const at = Math.floor(bytes.length * share);
    changed[at] = (changed[at] as number) ^ 4;
    writeFileSync(join(folder, 'changed.seele'), changed);
    const { code, verdict } = await verdictOf(join(folder, 'changed.seele'));
    expect([at, code, verdict.ok]).toEqual([at, 1, false]);
  }
}

describe('the log of a task that failed', () => {
  it('is kept in part, told with why it failed, and nothing is kept of those that ended well', async () => {
    const { stdout } = await machine.seele('job', 'failures', order, '--json');
    const { failures } = JSON.parse(stdout) as { failures: { task: number; log: string[] }[] };
    expect(failures).toHaveLength(TASKS / 10);
    expect(failures[0]).toMatchObject({
      task: 9,
      error: expect.stringContaining('task 9 does not like its number') as string,
      log: ['reading number 9'],
    });
  });
});

describe('the receipt of an order of many tasks', () => {
  it('holds offline, and with any bit flipped it does not', async () => {
    const file = await fetched('whole.seele');
    const { code, verdict } = await verdictOf(file);
    expect(verdict).toMatchObject({
      ok: true,
      summary: { order, state: 'settled', array: { tasks: TASKS, paidUnits: TASKS } },
    });
    expect(code).toBe(0);
    await refusesFlips(file);
  }, 120_000);

  it('of one task is small, holds by itself, and with any bit flipped it does not', async () => {
    const file = await fetched('task.seele', '--task', '137');
    expect(readFileSync(file).length).toBeLessThan(32 * 1024);
    const { code, verdict } = await verdictOf(file);
    expect(verdict).toMatchObject({ ok: true, summary: { order, task: 137 } });
    expect(code).toBe(0);
    await refusesFlips(file);
    const unknown = await machine.seele('receipt', order, '--task', String(TASKS), '--out', file);
    expect([unknown.code, unknown.stderr]).toEqual([
      1,
      expect.stringContaining('MARKET_TASK_UNPAID'),
    ]);
  }, 120_000);
});
