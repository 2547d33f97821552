import type { Sealed, Tick } from './messages.ts';
import { Ticks } from './ticks.ts';

const tick = (k: number, signature: number): Sealed<Tick> => ({
  from: 1,
  message: { chain: 'cc'.repeat(32), era: 3, k, axis: k * 50_000, entries: [] },
  signature: new Uint8Array(64).fill(signature),
});

test('a tick that was heard is known when it comes again, nothing else is', () => {
  const ticks = new Ticks({ me: 0 }, 50_000);
  expect(ticks.knows(1, tick(7, 1))).toBe(false);
  expect(ticks.hear(1, tick(7, 1), 350_000, 350_000)).toBe('new');
  expect(ticks.knows(1, tick(7, 1))).toBe(true);
  // Whoever signs another tick of this number, or signs this one again, is to be heard.
  const other = { ...tick(7, 1), message: { ...tick(7, 1).message, axis: 1 } };
  for (const unlike of [tick(8, 1), tick(7, 2), other]) expect(ticks.knows(1, unlike)).toBe(false);
  expect(ticks.knows(2, tick(7, 1))).toBe(false);
});
