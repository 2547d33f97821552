import { setTimeout as sleep } from 'node:timers/promises';
import type { MarketEvent } from '#libs/market';
import { createLogger } from '#libs/platform';
import { createMemoryBlobStore } from '#libs/storage';
import { createResultChecker } from './result-checker.ts';

const CID = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy';

/** A storage that answers nothing until the test lets it. */
function createRig() {
  let nowMs = 0;
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  const events: MarketEvent[] = [];
  const blobs = createMemoryBlobStore();
  const checker = createResultChecker({
    blobs: { ...blobs, getBlock: () => held.then(() => Promise.reject(new Error('down'))) },
    logger: createLogger({ name: 'test', level: 'silent' }),
    dispatch: (event) => void events.push(event),
    nowMs: () => nowMs,
  });
  const ask = (from: number, to: number): void => {
    for (let i = from; i < to; i++) checker.checkUnits(`lease ${i}`, 'r', CID, 1);
  };
  return { checker, ask, events, release, pass: (ms: number) => (nowMs += ms) };
}

describe('looking at results', () => {
  it('keeps 20 000 questions at most; the reducer asks the others again', () => {
    const { checker, ask } = createRig();
    ask(0, 25_000);
    expect(checker.waiting).toBe(20_016);
    ask(0, 100);
    expect(checker.waiting).toBe(20_016);
  });

  it('forgets what waited for a minute: by then it was asked anew or is over', async () => {
    const { checker, ask, events, release, pass } = createRig();
    ask(0, 50);
    pass(60_001);
    ask(50, 60);
    release();
    for (let i = 0; i < 2_000 && checker.waiting > 0; i++) await sleep(5);
    expect([checker.waiting, events.length]).toEqual([0, 26]);
    // Asked again it is looked at.
    ask(20, 21);
    expect(checker.waiting).toBe(1);
  });
});
