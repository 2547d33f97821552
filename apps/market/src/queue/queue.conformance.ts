/** What every `QueuePort` does, whatever is behind it. */
import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { QueueTimes } from './bullmq-queue.ts';
import type { QueueMessage, QueuePort } from './queue-port.ts';

async function until(condition: () => boolean, withinMs = 20_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('it did not happen in time');
    await sleep(2);
  }
}

const message = (key: string, n = 1): QueueMessage => ({
  key,
  payload: { order: key, binding: n },
});

export interface QueuePortUnderTest {
  /**
   * Makes a port onto one shared store; ports are closed by the suite. Its lock times are the real ones where a
   * test does not shorten them: on a loaded machine a second without renewing a lock is no death.
   */
  open(times?: QueueTimes): Promise<QueuePort>;
  /**
   * Starts a process of its own that consumes a queue under short locks, prints a line when it holds a message
   * and never handles it.
   */
  spawnHolder(queue: string, times: QueueTimes): ChildProcess;
}

/** So that a test need not wait for the real times. */
const QUICK = { lockMs: 1_000, stalledCheckMs: 500 } as const satisfies QueueTimes;

export function describeQueuePort(name: string, { open, spawnHolder }: QueuePortUnderTest): void {
  describe(`QueuePort on ${name}`, () => {
    const opened: QueuePort[] = [];
    const openPort = async (times?: QueueTimes): Promise<QueuePort> => {
      const port = await open(times);
      opened.push(port);
      return port;
    };
    afterAll(async () => {
      await Promise.all(opened.map((port) => port.close()));
    });

    it('delivers what was added before and after the consumer came, payload intact', async () => {
      const port = await openPort();
      const got: QueueMessage[] = [];
      await port.add('cell.one', message('a:1', 7));
      await port.consume('cell.one', async (m) => void got.push(m));
      await port.add('cell.one', message('a:2', 8));
      await until(() => got.length === 2);
      expect(got).toEqual([message('a:1', 7), message('a:2', 8)]);
      await until(() => got.length === 2);
      expect((await port.counts('cell.one')).waiting).toBe(0);
    });

    it('keeps queues apart', async () => {
      const port = await openPort();
      const got: string[] = [];
      await port.consume('cell.left', async (m) => void got.push(`left ${m.key}`));
      await port.consume('cell.right', async (m) => void got.push(`right ${m.key}`));
      await Promise.all([
        port.add('cell.right', message('r')),
        port.add('cell.left', message('l')),
      ]);
      await until(() => got.length === 2);
      expect(got.sort()).toEqual(['left l', 'right r']);
    });

    it('joins waiting messages of one key, and takes the key again once it was handled', async () => {
      const port = await openPort();
      await port.add('cell.same', message('k', 1));
      await port.add('cell.same', message('k', 2));
      expect((await port.counts('cell.same')).waiting).toBe(1);
      const got: QueueMessage[] = [];
      await port.consume('cell.same', async (m) => void got.push(m));
      await until(() => got.length === 1);
      // Handled is what the queue says is: the handler's end comes before.
      while ((await port.counts('cell.same')).active > 0) await sleep(5);
      await port.add('cell.same', message('k', 3));
      await until(() => got.length === 2);
      expect(got.map((m) => m.payload['binding'])).toEqual([1, 3]);
    });

    it('holds a delayed message back', async () => {
      const port = await openPort();
      let atMs = 0;
      await port.consume('cell.later', async () => {
        atMs = performance.now();
      });
      const addedMs = performance.now();
      await port.add('cell.later', message('later'), { delayMs: 300 });
      await until(() => atMs > 0);
      expect(atMs - addedMs).toBeGreaterThanOrEqual(290);
    });

    it('delivers again when the handler fails', async () => {
      const port = await openPort();
      let tries = 0;
      await port.consume('cell.again', async () => {
        tries += 1;
        if (tries === 1) throw new Error('not this time');
      });
      await port.add('cell.again', message('again'));
      await until(() => tries === 2);
      await sleep(100);
      expect(tries).toBe(2);
    });

    it('shares one queue between two consumers, each message handled once', async () => {
      const [first, second] = [await openPort(), await openPort()];
      const got: string[] = [];
      const handler = async (m: QueueMessage): Promise<void> => {
        await sleep(1);
        got.push(m.key);
      };
      await first.consume('cell.shared', handler);
      await second.consume('cell.shared', handler);
      const keys = Array.from({ length: 40 }, (_, i) => `shared-${i}`);
      await Promise.all(keys.map((key) => first.add('cell.shared', message(key))));
      await until(() => got.length >= keys.length);
      await sleep(50);
      expect([...got].sort()).toEqual([...keys].sort());
    });

    it('delivers again what a killed process held', async () => {
      const port = await openPort({ stalledCheckMs: QUICK.stalledCheckMs });
      const holder = spawnHolder('cell.killed', QUICK);
      const holds = new Promise((resolve) => holder.stdout?.once('data', resolve));
      await port.add('cell.killed', message('survivor', 5));
      await holds;
      holder.kill('SIGKILL');
      await new Promise((resolve) => holder.once('close', resolve));
      const got: QueueMessage[] = [];
      await port.consume('cell.killed', async (m) => void got.push(m));
      await until(() => got.length > 0, 15_000);
      expect(got).toEqual([message('survivor', 5)]);
    });

    it('answers a ping', async () => {
      await expect((await openPort()).ping()).resolves.toBeUndefined();
    });
  });
}
