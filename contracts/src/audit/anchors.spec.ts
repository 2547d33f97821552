import fc from 'fast-check';
import { decodeWith } from '#libs/kernel';
import { createWorld, person } from '../testing/orders-world.ts';
import { AUDIT_CONTRACT, anchor, auditKeys, auditMethods } from './anchors.ts';

const operator = person('operator');
const other = person('other');
const rootOf = (n: number): string => n.toString(16).padStart(2, '0').repeat(32);

describe('audit.anchor', () => {
  const setUp = () => createWorld({ people: [operator, other] });

  it('records size, root, height and time, and points at the latest', () => {
    const world = setUp();
    const args = { size: 7, root: rootOf(1) };
    world.must(operator, AUDIT_CONTRACT, auditMethods.anchor, args);
    const { height, timeUs } = world;
    for (const key of [auditKeys.anchor(operator.account, 7), auditKeys.latest(operator.account)]) {
      const stored = decodeWith(anchor, world.get(AUDIT_CONTRACT, key) as Uint8Array);
      expect(stored).toEqual({ ...args, height, timeUs });
    }
  });

  it('takes the same anchor again without changing anything, also an older one', () => {
    const world = setUp();
    const anchorAt = (size: number) =>
      world.must(operator, AUDIT_CONTRACT, auditMethods.anchor, { size, root: rootOf(size) });
    expect(anchorAt(3)).toEqual({ anchored: true });
    expect(anchorAt(9)).toEqual({ anchored: true });
    const before = world.scan(AUDIT_CONTRACT);
    expect(anchorAt(9)).toEqual({ anchored: false });
    expect(anchorAt(3)).toEqual({ anchored: false });
    expect(world.scan(AUDIT_CONTRACT)).toEqual(before);
  });

  it('refuses another root at an anchored size, and sizes that do not rise', () => {
    const world = setUp();
    const refusal = (size: number, root: string) =>
      world.refusal(operator, AUDIT_CONTRACT, auditMethods.anchor, { size, root });
    expect(refusal(0, rootOf(1))).toBe('AUDIT_SIZE');
    world.must(operator, AUDIT_CONTRACT, auditMethods.anchor, { size: 5, root: rootOf(1) });
    expect(refusal(5, rootOf(2))).toBe('AUDIT_CONFLICT');
    expect(refusal(4, rootOf(1))).toBe('AUDIT_SIZE');
  });

  it('lists an operator’s anchors in order of size and keeps operators apart', () => {
    const entry = fc.record({ size: fc.nat(1 << 20), who: fc.constantFrom(operator, other) });
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 12 }), (entries) => {
        const world = setUp();
        const expected = new Map([
          [operator.account, [] as number[]],
          [other.account, [] as number[]],
        ]);
        for (const { size, who } of entries) {
          const sizes = expected.get(who.account) as number[];
          const args = { size, root: rootOf(1) };
          const outcome = world.call(who.account, AUDIT_CONTRACT, auditMethods.anchor, args);
          const rises = size > (sizes.at(-1) ?? 0);
          expect(outcome.ok).toBe(rises || sizes.includes(size));
          if (rises) sizes.push(size);
        }
        for (const [account, sizes] of expected) {
          const stored = world.scan(AUDIT_CONTRACT, auditKeys.anchorsOf(account));
          expect(stored.map(([, value]) => decodeWith(anchor, value).size)).toEqual(sizes);
        }
      }),
      { numRuns: 30 },
    );
  });
});
