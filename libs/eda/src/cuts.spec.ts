import fc from 'fast-check';
import {
  CHAIN_START,
  type ChainEnd,
  type CutContext,
  arrange,
  cutHash,
  deriveCut,
  faultOf,
} from './cuts.ts';
import type { Body, NewView, Report } from './messages.ts';
import { SOUND_RULES } from './rules.ts';
import { createValidatorSet } from './validator-set.ts';
import { mayCommit, mayPrepare, raiseLock } from './vote-rules.ts';

const T = 1_900_000_000_000_000;
const zero = '00'.repeat(32);
const hashOfBlock = (n: number) => n.toString(16).padStart(64, '0');
const roots = { stateRoot: zero, receiptsRoot: zero, outboxRoot: zero };
const set = createValidatorSet(
  [1, 2, 3, 4].map((i) => ({ publicKey: `01${hashOfBlock(i)}`, weight: 1 })),
  'classic',
);

function contextWith(ends: Readonly<Record<string, ChainEnd>> = {}): CutContext {
  return {
    chain: zero,
    era: 5,
    slot: 3,
    prevHash: zero,
    prevTimeUs: T,
    set,
    nextSetHash: set.hash,
    roots,
    endOf: (era, author) => ends[`${era}/${author}`] ?? CHAIN_START,
  };
}

function newView(timeUs: number, reports: readonly Report[]): { weight: number; message: NewView } {
  const message = {
    chain: zero,
    era: 5,
    slot: 3,
    prevHash: zero,
    view: 1,
    timeUs,
    highQc: null,
    reports,
  };
  return { weight: 1, message };
}

const block = (author: number, seq: number, x: number, era = 5) => ({
  era,
  author,
  seq,
  x,
  hash: hashOfBlock(author * 100 + seq),
});

function bodyOf(
  context: CutContext,
  timeUs: number,
  blocks: readonly ReturnType<typeof block>[],
): Body {
  const { chain, era, slot, prevHash, nextSetHash } = context;
  return {
    chain,
    era,
    slot,
    prevHash,
    timeUs,
    entries: arrange(context, blocks, timeUs, SOUND_RULES),
    ...roots,
    setHash: set.hash,
    nextSetHash,
    parentHeader: null,
    creator: 0,
    vrf: new Uint8Array(80),
  };
}

describe('derived cuts', () => {
  test('11: times and positions of ±∞ from weight r stay within what honest ones say', () => {
    const far = 1e15;
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 4, maxLength: 4 }),
        fc.constantFrom(-far, far),
        ([a = 1, b = 1, t1 = 1, t2 = 1], lie) => {
          const honest = [
            newView(T + 2000 + t1, [block(0, 1, T + a)]),
            newView(T + 2000 + t2, [block(0, 1, T + b)]),
          ];
          const liar = newView(Math.max(0, T + lie), [block(0, 1, Math.max(0, T + lie))]);
          const { timeUs, entries } = deriveCut(contextWith(), [...honest, liar], SOUND_RULES);
          expect(timeUs).toBeGreaterThanOrEqual(T + 2000 + Math.min(t1, t2));
          expect(timeUs).toBeLessThanOrEqual(T + 2000 + Math.max(t1, t2));
          expect(entries[0]?.pos).toBeGreaterThanOrEqual(T + Math.min(a, b));
          expect(entries[0]?.pos).toBeLessThanOrEqual(T + Math.max(a, b));
        },
      ),
      { numRuns: 50 },
    );
  });

  test('a block that only weight r reports is not listed', () => {
    const lone = [
      newView(T + 900, [block(0, 1, T + 5)]),
      newView(T + 900, []),
      newView(T + 900, []),
    ];
    expect(deriveCut(contextWith(), lone, SOUND_RULES).entries).toEqual([]);
  });

  test('positions around the last cut, every offset: listed, never before it, order kept', () => {
    for (let offset = -300; offset <= 300; offset += 7) {
      const context = contextWith();
      const body = bodyOf(context, T + 1000, [
        block(0, 1, T + offset),
        block(1, 1, T + offset + 1),
      ]);
      expect(faultOf(context, body, SOUND_RULES)).toBeUndefined();
      expect(body.entries.map(({ author }) => author)).toEqual([0, 1]);
      expect(body.entries[0]?.pos).toBe(Math.max(T + 1, T + offset));
    }
  });
});

test('8: what anybody can see is wrong with a cut', () => {
  const context = contextWith({ '5/1': { seq: 2, raw: T + 50, hash: zero } });
  const good = bodyOf(context, T + 1000, [
    block(0, 1, T + 10),
    block(0, 2, T + 20),
    block(1, 3, T + 60),
  ]);
  const [first, second, third] = good.entries;
  if (!first || !second || !third) throw new Error('three entries');
  const fault = (change: Partial<Body>) => faultOf(context, { ...good, ...change }, SOUND_RULES);
  expect(fault({})).toBeUndefined();
  expect(fault({ entries: [second, third] })).toMatch(/gap/);
  expect(fault({ entries: [first, first, second] })).toMatch(/repetition/);
  expect(fault({ entries: [second, first, third] })).toMatch(/gap|order/);
  expect(fault({ entries: [first, { ...third, seq: 2 }] })).toMatch(/repetition/);
  expect(fault({ timeUs: T })).toMatch(/time/);
  expect(fault({ timeUs: T + 15 })).toMatch(/position/);
  expect(fault({ entries: [{ ...first, pos: T }] })).toMatch(/position/);
  expect(fault({ entries: [{ ...first, era: 3 }] })).toMatch(/closed era/);
  expect(fault({ entries: [{ ...third, raw: T + 40, pos: T + 40 }] })).toMatch(/backwards/);
  expect(fault({ prevHash: hashOfBlock(1) })).toMatch(/predecessor/);
  expect(fault({ setHash: zero })).toMatch(/set/);
  expect(fault({ stateRoot: hashOfBlock(1) })).toMatch(/state/);
  expect(cutHash({ ...good, entries: [first, second] })).not.toBe(cutHash(good));
});

test('21: at most 4096 entries; the rest has its place in the next cut', () => {
  const many = Array.from({ length: 5000 }, (_, i) => block(i % 4, Math.floor(i / 4) + 1, T + i));
  const { entries } = bodyOf(contextWith(), T + 10_000, many);
  expect(entries.length).toBe(4096);
  expect(entries.at(-1)?.pos).toBe(T + 4095);
});

test('6: no vote below the view that was entered, one per view, locks only rise', () => {
  expect(mayPrepare({ view: 2 }, 1)).toBe(false);
  expect(mayPrepare({ view: 2, prepared: { view: 2, hash: 'a' } }, 2)).toBe(false);
  expect(mayCommit({ view: 1 }, 0, SOUND_RULES)).toBe(false);
  expect(mayCommit({ view: 1, committed: { view: 1, hash: 'a' } }, 1, SOUND_RULES)).toBe(false);
  const locked = { view: 3, lock: { view: 2, hash: 'a' } };
  expect(raiseLock(locked, { view: 1, hash: 'b' })).toBe(locked);
  expect(raiseLock(locked, { view: 3, hash: 'b' }).lock?.hash).toBe('b');
});
