import { createSeededRandomness, SeeleError, type SeededRandomness } from '#libs/kernel';
import { meetsDeadline, RunTimes } from './prediction.ts';

/** Runs of five codes on two node classes, log-normal around a median of their own. */
function sampleRun(draws: SeededRandomness) {
  const code = draws.below(5);
  const slow = draws.below(2);
  const inputBytes = 2 ** draws.below(4) * 1000;
  const normal = Array.from({ length: 12 }, () => draws.float()).reduce((a, b) => a + b, -6);
  const runMs = 100 * (code + 1) ** 2 * (1 + slow) * (inputBytes / 1000) * Math.exp(0.3 * normal);
  return { key: { code: `c${code}`, inputBytes, nodeClass: `n${slow}` }, runMs };
}

describe('RunTimes', () => {
  it.each([0.8, 0.9])('covers the next run as often as it says: %d', (coverage) => {
    const draws = createSeededRandomness(7);
    const times = new RunTimes();
    let covered = 0;
    let tried = 0;
    for (let i = 0; i < 3000; i++) {
      const { key, runMs } = sampleRun(draws);
      if (i >= 1000 && i % 2 === 0) {
        const { lowMs, highMs, isCalibrated } = times.predict(key, coverage);
        expect(isCalibrated).toBe(true);
        tried++;
        if (lowMs <= runMs && runMs <= highMs) covered++;
      }
      times.finished(key, runMs);
    }
    expect(Math.abs(covered / tried - coverage)).toBeLessThan(0.03);
  });

  it('says that it guesses while it knows too little', () => {
    const times = new RunTimes();
    const key = { code: 'c', inputBytes: 1, nodeClass: 'n' };
    expect(times.predict(key)).toMatchObject({ isCalibrated: false });
    times.finished(key, 1000);
    const { expectedMs, lowMs, highMs } = times.predict(key);
    expect(expectedMs).toBeCloseTo(1000);
    expect(lowMs).toBeLessThan(100);
    expect(highMs).toBeGreaterThan(10_000);
  });

  it('leans on the same code elsewhere for a class it has not seen', () => {
    const times = new RunTimes();
    for (let i = 0; i < 50; i++) {
      times.finished({ code: 'short', inputBytes: 10, nodeClass: 'a' }, 10);
      times.finished({ code: 'long', inputBytes: 10, nodeClass: 'a' }, 10_000);
    }
    const at = (code: string) => times.predict({ code, inputBytes: 10, nodeClass: 'b' }).expectedMs;
    expect(at('short')).toBeLessThan(50);
    expect(at('long')).toBeGreaterThan(2000);
  });

  it('admits a deadline only when the late end of the interval meets it', () => {
    const prediction = { expectedMs: 10, lowMs: 5, highMs: 20, isCalibrated: true };
    expect(meetsDeadline(5, prediction, 25)).toBe(true);
    expect(meetsDeadline(5, prediction, 24)).toBe(false);
  });

  it('refuses times and sizes that make no sense', () => {
    const times = new RunTimes();
    const key = { code: 'c', inputBytes: 1, nodeClass: 'n' };
    expect(() => times.finished(key, Number.NaN)).toThrow(SeeleError);
    expect(() => times.finished(key, -1)).toThrow(SeeleError);
    expect(() => times.finished({ ...key, inputBytes: -1 }, 1)).toThrow(SeeleError);
    expect(() => times.predict(key, 1)).toThrow(SeeleError);
  });
});
