import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JournalRecord } from '#libs/eda';
import { openJournal } from './journal-file.ts';

const id = new Uint8Array(16).fill(7);
const other = new Uint8Array(16).fill(8);
const ticks = (below: number): JournalRecord => ({ kind: 'ticks', below });
const directories: string[] = [];

function newDirectory(): { path: string; file: string } {
  const path = mkdtempSync(join(tmpdir(), 'seele-journal-'));
  directories.push(path);
  return { path, file: join(path, 'consensus.journal') };
}

async function written(path: string, batches: readonly (readonly JournalRecord[])[]) {
  const { journal } = await openJournal(path, undefined, id);
  for (const batch of batches) await journal.append(batch);
  await journal.close();
}

async function reopen(path: string, expected: Uint8Array | undefined = id) {
  const opened = await openJournal(path, expected, other);
  await opened.journal.close();
  return opened;
}

afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true });
});

test('what was appended comes back in order, and appending goes on behind it', async () => {
  const { path } = newDirectory();
  await written(path, [[ticks(1), ticks(2)], [ticks(3)]]);
  const again = await openJournal(path, id, other);
  expect(again).toMatchObject({ state: 'intact', records: [ticks(1), ticks(2), ticks(3)] });
  await again.journal.append([ticks(4)]);
  await again.journal.close();
  expect((await reopen(path)).records).toHaveLength(4);
});

test('a batch cut short at any byte is left out; what was synced before it stays', async () => {
  const { path, file } = newDirectory();
  await written(path, [[ticks(1)], [ticks(2)]]);
  const whole = readFileSync(file);
  await written(newDirectory().path, []);
  const { path: shorter, file: first } = newDirectory();
  await written(shorter, [[ticks(1)]]);
  for (let length = readFileSync(first).length + 1; length < whole.length; length++) {
    writeFileSync(file, whole.subarray(0, length));
    expect(await reopen(path)).toMatchObject({ state: 'intact', records: [ticks(1)] });
  }
});

test('a file made longer without contents is one cut short', async () => {
  const { path, file } = newDirectory();
  await written(path, [[ticks(1)]]);
  appendFileSync(file, Buffer.alloc(5_000));
  expect(await reopen(path)).toMatchObject({ state: 'intact', records: [ticks(1)] });
});

test('damage before the end, another journal or none: votes may be forgotten', async () => {
  const { path, file } = newDirectory();
  await written(path, [[ticks(1)], [ticks(2)], [ticks(3)]]);
  const whole = readFileSync(file);
  const damaged = Buffer.from(whole);
  const at = whole.length - 40;
  damaged[at] = (damaged[at] as number) ^ 1;
  writeFileSync(file, damaged);
  expect(await reopen(path)).toMatchObject({ state: 'lost', records: [] });
  writeFileSync(file, whole);
  expect((await reopen(path, other)).state).toBe('lost');
  rmSync(file);
  expect((await reopen(path)).state).toBe('lost');
});

test('rotation keeps what is given to it and nothing else', async () => {
  const { path } = newDirectory();
  const { journal } = await openJournal(path, undefined, id);
  await journal.append([ticks(1), ticks(2)]);
  await journal.rotate([ticks(2)]);
  await journal.append([ticks(3)]);
  await journal.close();
  expect((await reopen(path)).records).toEqual([ticks(2), ticks(3)]);
});
