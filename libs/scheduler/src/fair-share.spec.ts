import fc from 'fast-check';
import { SeeleError } from '#libs/kernel';
import { FairShare, jainIndex } from './fair-share.ts';

const tenant = (name: string, quota: number[], weight = 1) => ({ name, weight, quota });

describe('FairShare', () => {
  it('NSDI 2011, section 4.1: 9 CPU and 18 GB between <1 CPU, 4 GB> and <3 CPU, 1 GB>', () => {
    const share = new FairShare([9, 18], [tenant('A', [0, 0]), tenant('B', [0, 0])]);
    const demands = { A: [1, 4], B: [3, 1] };
    const tasks = { A: 0, B: 0 };
    for (;;) {
      const name = share.next(['A', 'B']) as 'A' | 'B';
      if (share.gate(name, demands[name]).kind === 'wait') break;
      share.take(name, demands[name]);
      tasks[name]++;
    }
    expect(tasks).toEqual({ A: 3, B: 2 });
  });

  it('gives 20 greedy tenants of any demand nearly equal dominant shares', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 8 })), {
          minLength: 20,
          maxLength: 20,
        }),
        (demands) => {
          const names = demands.map((_, i) => `t${i}`);
          const share = new FairShare(
            [4000, 4000],
            names.map((name) => tenant(name, [0, 0])),
          );
          for (;;) {
            const name = share.next(names) ?? '';
            const wanted = demands[names.indexOf(name)] ?? [];
            if (share.gate(name, wanted).kind === 'wait') break;
            share.take(name, wanted);
          }
          expect(jainIndex(names.map((name) => share.dominantShare(name)))).toBeGreaterThan(0.98);
        },
      ),
      { numRuns: 10 },
    );
  });

  it('gives twice the weight twice the share', () => {
    const share = new FairShare([90], [tenant('A', [0], 2), tenant('B', [0])]);
    const held = { A: 0, B: 0 };
    for (let i = 0; i < 90; i++) {
      const name = share.next(['A', 'B']) as 'A' | 'B';
      share.take(name, [1]);
      held[name]++;
    }
    expect(held).toEqual({ A: 60, B: 30 });
  });

  it('lends what is free, and asks it back from the largest borrower only', () => {
    const share = new FairShare([10], [tenant('A', [4]), tenant('B', [3]), tenant('C', [0])]);
    expect(share.gate('A', [4])).toEqual({ kind: 'own' });
    share.take('B', [3]);
    expect(share.gate('C', [5])).toEqual({ kind: 'borrow' });
    share.take('C', [5]);
    expect(share.gate('A', [4])).toEqual({ kind: 'reclaim', from: ['C'] });
    expect(share.gate('B', [3])).toEqual({ kind: 'wait' });
    share.give('C', [5]);
    expect(share.gate('A', [4])).toEqual({ kind: 'own' });
  });

  it('lets a tenant always reach its quota by reclaiming', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 2, maxLength: 6 }),
        fc.array(fc.tuple(fc.nat(5), fc.integer({ min: 1, max: 4 })), { maxLength: 40 }),
        (quotas, steps) => {
          const names = quotas.map((_, i) => `t${i}`);
          const capacity = quotas.reduce((sum, quota) => sum + quota, 3);
          const share = new FairShare(
            [capacity],
            quotas.map((quota, i) => tenant(`t${i}`, [quota])),
          );
          const held = quotas.map(() => 0);
          for (const [at, amount] of steps) {
            const i = at % names.length;
            const { kind } = share.gate(`t${i}`, [amount]);
            if (kind !== 'own' && kind !== 'borrow') continue;
            share.take(`t${i}`, [amount]);
            held[i]! += amount;
          }
          for (const [i, quota] of quotas.entries()) {
            const missing = quota - held[i]!;
            if (missing <= 0) continue;
            const answer = share.gate(`t${i}`, [missing]);
            if (answer.kind !== 'reclaim') {
              expect(answer.kind).toBe('own');
              continue;
            }
            const borrowed = answer.from.map((name) => names.indexOf(name));
            const back = borrowed.reduce((sum, j) => sum + held[j]! - quotas[j]!, 0);
            const free = capacity - held.reduce((sum, amount) => sum + amount, 0);
            expect(borrowed.every((j) => held[j]! > quotas[j]!)).toBe(true);
            expect(free + back).toBeGreaterThanOrEqual(missing);
          }
        },
      ),
      { numRuns: 100 },
    );
  });

  it('refuses promises beyond the capacity and amounts that make no sense', () => {
    expect(() => new FairShare([5], [tenant('A', [3]), tenant('B', [3])])).toThrow(SeeleError);
    expect(() => new FairShare([5], [tenant('A', [Number.NaN])])).toThrow(SeeleError);
    expect(() => new FairShare([5], [tenant('A', [1], 0)])).toThrow(SeeleError);
    const share = new FairShare([5], [tenant('A', [1])]);
    expect(() => share.take('A', [6])).toThrow(SeeleError);
    expect(() => share.give('A', [1])).toThrow(SeeleError);
    expect(() => share.take('A', [-1])).toThrow(SeeleError);
    expect(() => share.dominantShare('X')).toThrow(SeeleError);
  });
});

describe('jainIndex', () => {
  it.each([
    [[1, 1, 1], 1],
    [[1, 0, 0, 0], 0.25],
    [[], 1],
  ])('of %j is %d', (shares, index) => {
    expect(jainIndex(shares)).toBe(index);
  });
});
