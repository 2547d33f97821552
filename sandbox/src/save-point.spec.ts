import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Bytes, utf8, utf8Decode } from '#libs/kernel';
import { DEFAULT_JOB_LIMITS } from '#libs/market';
import { type SlotPool, createSlotPool } from './pool.ts';
import { SAVE_POINT_MAX_BYTES, SavePointReader } from './save-point.ts';
import type { SandboxTask, TaskHost, TaskInput } from './task.ts';

let pool: SlotPool;
beforeAll(async () => {
  pool = await createSlotPool({ slots: 1, spares: 1, kinds: ['js'] });
});
afterAll(() => pool.close());

const inputOf = (bytes: Bytes): TaskInput => ({
  sizeBytes: bytes.length,
  async *read() {
    yield await Promise.resolve(bytes);
  },
});

async function runAll(tasks: readonly Partial<SandboxTask>[], host: TaskHost) {
  const session = await pool.open();
  const texts: string[] = [];
  for (const task of tasks) {
    const rest = { code: utf8(''), inputs: {}, params: '{}', limits: DEFAULT_JOB_LIMITS };
    const { output, error } = await session.run({ ...rest, ...task }, host);
    texts.push(output ? utf8Decode(output) : (error ?? ''));
  }
  session.close();
  return texts;
}

describe('save points', () => {
  it('text and bytes reach the host whole; the next attempt reads what was saved last', async () => {
    const long = 'é'.repeat(300_000);
    const saves = utf8(`export default ({ save, saved }) => {
      save('one'); save(new Uint8Array([1, 2, 255])); save(''); save('${long}'); return String(saved);
    }`);
    const resumes = utf8(`export default async ({ saved, inputs }) => {
      const text = await saved.text();
      return [saved.sizeBytes, text.length, Object.keys(inputs).join()].join(' ');
    }`);
    const points: Bytes[] = [];
    const data = inputOf(utf8('x'));
    const texts = await runAll(
      [{ code: saves }, { code: resumes, saved: inputOf(utf8(long)), inputs: { data } }],
      { onSavePoint: (state) => points.push(state) },
    );
    expect(texts).toEqual(['undefined', '600000 300000 data']);
    expect(points.map(({ length }) => length)).toEqual([3, 3, 0, 600_000]);
    expect([...(points[1] as Bytes)]).toEqual([1, 2, 255]);
    expect(utf8Decode(points[3] as Bytes)).toBe(long);
  });

  it('the example of docs/sandbox.md comes to the same, from the beginning and from a save point', async () => {
    const page = readFileSync(join(import.meta.dirname, '../../docs/sandbox.md'), 'utf8');
    const example = [...page.matchAll(/```js\n([\s\S]*?)```/g)][1]?.[1] ?? '';
    const points: Bytes[] = [];
    const host = { onSavePoint: (state: Bytes) => points.push(state) };
    const task = { code: utf8(example), params: '{"steps":1000001}' };
    const [whole] = await runAll([task], host);
    const last = points.at(-1) as Bytes;
    expect(points.map((state) => (JSON.parse(utf8Decode(state)) as { i: number }).i)).toEqual([
      ...[0, 1_000_000],
    ]);
    const [rest] = await runAll([{ ...task, saved: inputOf(last) }], {});
    expect(JSON.parse(whole ?? '')).toHaveProperty('sum');
    expect(rest).toBe(whole);
  });

  it('the guest is told when one is too long or no text', async () => {
    const tries = (value: string) =>
      utf8(
        `export default ({ save }) => { try { save(${value}) } catch (e) { return e.message } }`,
      );
    const longer = `new Uint8Array(${SAVE_POINT_MAX_BYTES + 1})`;
    expect(await runAll([{ code: tries(longer) }, { code: tries('7') }], {})).toEqual([
      `save: at most ${SAVE_POINT_MAX_BYTES} bytes`,
      'save: expected text or bytes',
    ]);
  });

  it('a slot that was taken over makes its parent hold one, no more', () => {
    const piece = Buffer.alloc(1 + 512 * 1024);
    const endless = new SavePointReader();
    const pieces = SAVE_POINT_MAX_BYTES / (512 * 1024);
    for (let i = 0; i < pieces; i++) expect(endless.add(piece)).toBeUndefined();
    expect(endless.add(piece)).toBe('too-long');
  });
});
