import fc from 'fast-check';
import { createSeededRandomness, SeeleError } from '#libs/kernel';
import { Interference, WORK_CLASSES } from './interference.ts';

const workClass = fc.integer({ min: 0, max: 15 });
const neighbour = fc.record({
  workClass,
  slowdownCap: fc.integer({ min: 10, max: 30 }).map((tenths) => tenths / 10),
});

describe('Interference', () => {
  it('learns the pairwise slowdowns behind what it measures', () => {
    const draws = createSeededRandomness(3);
    const truth = (a: number, b: number) => 1 + ((a * 5 + b * 3) % 7) / 10;
    const learned = new Interference();
    for (let i = 0; i < 20_000; i++) {
      const a = draws.below(4);
      const others = Array.from({ length: 1 + draws.below(3) }, () => draws.below(4));
      const noise = 0.95 + draws.float() / 10;
      learned.observed(
        a,
        others,
        others.reduce((product, b) => product * truth(a, b), noise),
      );
    }
    for (let a = 0; a < 4; a++)
      for (let b = 0; b < 4; b++)
        expect(Math.abs(learned.slowdown(a, [b]) - truth(a, b))).toBeLessThan(0.12);
  });

  it('tolerates a newcomer only if nobody is slowed over a cap, and never slows less than not at all', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(workClass, workClass, fc.integer({ min: 1, max: 40 })), {
          maxLength: 50,
        }),
        fc.array(neighbour, { maxLength: 5 }),
        neighbour,
        (history, present, newcomer) => {
          const learned = new Interference();
          for (const [a, b, tenths] of history) learned.observed(a, [b], tenths / 10);
          const all = [...present, newcomer];
          const worst = all.map(({ workClass: own }, i) =>
            learned.slowdown(
              own,
              all.filter((_, j) => j !== i).map((other) => other.workClass),
            ),
          );
          expect(worst.every((slowdown) => slowdown >= 1)).toBe(true);
          expect(learned.isTolerated(newcomer, present)).toBe(
            worst.every((slowdown, i) => slowdown <= (all[i]?.slowdownCap ?? 0)),
          );
        },
      ),
      { numRuns: 100 },
    );
  });

  it('refuses classes and slowdowns that make no sense', () => {
    const learned = new Interference();
    expect(() => learned.observed(16, [0], 2)).toThrow(SeeleError);
    expect(() => learned.observed(0, [-1], 2)).toThrow(SeeleError);
    expect(() => learned.observed(0, [1], Number.NaN)).toThrow(SeeleError);
    expect(() => learned.observed(0, [1], 0)).toThrow(SeeleError);
  });

  it('answers the same by counts of classes as task by task', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(3), fc.nat(3), fc.double({ min: 1, max: 4, noNaN: true }))),
        fc.array(fc.nat(3), { minLength: 1, maxLength: 6 }),
        fc.nat(3),
        fc.constantFrom(1.15, 1.5, 2),
        (seen, present, workClass, slowdownCap) => {
          const interference = new Interference();
          for (const [victim, other, measured] of seen)
            interference.observed(victim, [other], measured);
          const counts = Array.from({ length: WORK_CLASSES }, () => 0);
          for (const other of present) counts[other]! += 1;
          const neighbours = present.map((other) => ({ workClass: other, slowdownCap }));
          const newcomer = { workClass, slowdownCap };
          const within = interference.slowdownWithin(workClass, counts, slowdownCap);
          expect(within !== undefined).toBe(interference.isTolerated(newcomer, neighbours));
          if (within !== undefined)
            expect(within).toBeCloseTo(interference.slowdown(workClass, present), 9);
          const copy = new Interference();
          copy.restore(interference.logs);
          expect(copy.slowdownWithin(workClass, counts, slowdownCap)).toBe(within);
          expect(copy.isQuiet).toBe(interference.isQuiet);
        },
      ),
      { numRuns: 60 },
    );
  });
});
