import { encodeBatchResults, decodeBatchResults } from '#libs/market';
import { createUnitLog } from './unit-log.ts';

const info = (text: string) => ({ level: 'info', text });

describe('log lines of failed tasks', () => {
  it('keeps the first of the task that failed, and forgets what others and earlier attempts said', () => {
    const log = createUnitLog();
    log.take(info('of an attempt that crashed'));
    log.begin();
    log.take(info('read 3 rows'));
    log.take({ level: 'error', text: 'the fourth is broken' });
    expect(log.keep()).toEqual(['read 3 rows', 'error: the fourth is broken']);
    log.begin();
    expect(log.keep()).toBeUndefined();
  });

  it('holds at most 20 lines of 500 characters of a task and 64 KiB of a batch, and they can be stored', () => {
    const log = createUnitLog();
    const outputs = [];
    for (let unit = 0; unit < 200; unit++) {
      log.begin();
      for (let i = 0; i < 1_000; i++) log.take(info('x\ud800'.repeat(2_000)));
      const kept = log.keep();
      outputs.push({ unit, sizeBytes: 0, ...(kept && { log: kept }) });
    }
    const lines = outputs.flatMap(({ log: kept }) => kept ?? []);
    expect(outputs[0]?.log).toHaveLength(20);
    expect(Math.max(...lines.map(({ length }) => length))).toBe(500);
    expect(lines.join('').length).toBeLessThanOrEqual(64 * 1024);
    expect(decodeBatchResults(encodeBatchResults(outputs))).toEqual(outputs);
  });
});
