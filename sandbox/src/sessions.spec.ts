import { utf8, utf8Decode } from '#libs/kernel';
import { DEFAULT_JOB_LIMITS, type JobLimits } from '#libs/market';
import { type SlotPool, createSlotPool } from './pool.ts';
import type { SlotOutcome } from './task.ts';

const { jest } = import.meta;
/** Everything but `setTimeout`, which says how long a process stays parked. */
const REAL = [
  ...(['Date', 'hrtime', 'nextTick', 'performance', 'queueMicrotask'] as const),
  ...(['setImmediate', 'clearImmediate', 'setInterval', 'clearInterval'] as const),
];
const LIMITS: JobLimits = { ...DEFAULT_JOB_LIMITS, wallMs: 20_000, cpuMs: 3_000 };

let pool: SlotPool;
beforeAll(async () => {
  pool = await createSlotPool({ slots: 2, spares: 1, kinds: ['js'] });
});
afterAll(() => pool.close());

const job = (body: string) => `export default async ({ params, output }) => { ${body} }`;
const textOf = ({ output }: SlotOutcome) => (output === undefined ? undefined : utf8Decode(output));

describe('tasks of one order', () => {
  it('one session runs several tasks, and none meets what another did', async () => {
    const own = await pool.open();
    const code = utf8(
      job(`const seen = [globalThis.mark, {}.mark, [].map === undefined, RegExp.$1, Symbol.mark];
        globalThis.mark = Object.prototype.mark = Symbol.mark = params.n;
        Array.prototype.map = undefined;
        /(left)/.test('left');
        return JSON.stringify(seen)`),
    );
    const nothing = JSON.stringify([undefined, undefined, false, '', undefined]);
    // More of them than one isolate has contexts.
    for (let n = 0; n < 30; n++) {
      const task = { code, inputs: {}, params: JSON.stringify({ n }), limits: LIMITS };
      expect([n, textOf(await own.run(task))]).toEqual([n, nothing]);
    }
    expect(own.isFresh).toBe(false);
    own.close();
    const task = { code, inputs: {}, params: '{}', limits: LIMITS };
    await expect(own.run(task)).rejects.toMatchObject({ code: 'SANDBOX_CLOSED' });
  });

  it('what runs on after its task has ended neither speaks nor holds up the next one', async () => {
    const own = await pool.open();
    const leaving = [
      // Without end, beside a timer, in a promise that settles later, with all of its memory.
      `(async () => { for (;;) await 0; })(); return 'ok'`,
      `setTimeout(() => { for (;;) output.write('late'); }, 1); return 'ok'`,
      `Promise.resolve().then(() => 0).then(() => output.write('late')); return 'ok'`,
      `globalThis.kept = Array.from({ length: 3_000_000 }, (_, i) => i + 0.5); return 'ok'`,
    ];
    const limits = { ...LIMITS, memoryBytes: 64 * 2 ** 20, wallMs: 10_000 };
    const next = utf8(job('await new Promise((done) => setTimeout(done, 20)); return "next"'));
    for (const body of leaving) {
      const task = { inputs: {}, params: '{}', limits };
      expect(textOf(await own.run({ ...task, code: utf8(job(body)) }))).toBe('ok');
      const began = performance.now();
      expect([body, textOf(await own.run({ ...task, code: next }))]).toEqual([body, 'next']);
      expect(performance.now() - began).toBeLessThan(8_000);
    }
    own.close();
  });

  it('a parked process is met by its own order only, and only for a moment', async () => {
    const task = { code: utf8(job('return 1')), inputs: {}, params: '{}', limits: LIMITS };
    const open = async (order: string) => {
      const own = await pool.open(undefined, order);
      const wasFresh = own.isFresh;
      await own.run(task);
      own.park();
      return wasFresh;
    };
    // However slow the machine is, the moment passes when the test says so.
    jest.useFakeTimers({ doNotFake: REAL });
    try {
      expect(await open('a')).toBe(true);
      expect(pool.freeSlots).toBe(2);
      expect(await open('a')).toBe(false);
      expect(await open('b')).toBe(true);
      jest.advanceTimersByTime(249);
      expect(await open('a')).toBe(false);
      jest.advanceTimersByTime(251);
      expect(await open('a')).toBe(true);
    } finally {
      jest.runOnlyPendingTimers();
      jest.useRealTimers();
    }
    const unnamed = await pool.open();
    await unnamed.run(task);
    unnamed.park();
    expect(unnamed.isOpen).toBe(false);
    expect(pool.freeSlots).toBe(2);
  });
});
