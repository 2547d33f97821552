import fc from 'fast-check';
import { runArray } from '../../../test/audit/array-world.ts';
import { type ReceiptWorld, openReceiptWorld } from '../../../test/audit/receipt-world.ts';
import { type ReceiptParts, buildReceipt } from './receipt-file.ts';
import { type PaidBatch, buildTaskReceipt, isTaskReceipt } from './units.ts';
import { type ReceiptVerdict, verifyReceipt } from './verify-receipt.ts';

let world: ReceiptWorld;
let parts: ReceiptParts;
let other: ReceiptParts;
let receipt: Uint8Array;
let small: Uint8Array;

beforeAll(async () => {
  world = await openReceiptWorld(3);
  parts = await runArray(world, { tasks: 12, replicas: 2, batch: 10, withheld: 2 });
  other = await runArray(world, { tasks: 12, replicas: 2, batch: 10, withheld: 2 });
  receipt = buildReceipt(parts);
  small = taskReceipt(parts, 3);
});

const batchesOf = ({ units = [] }: ReceiptParts): readonly PaidBatch[] => units;
const taskReceipt = (of: ReceiptParts, task: number): Uint8Array =>
  buildTaskReceipt({ ...of, batches: batchesOf(of) }, task) ?? new Uint8Array();
const judge = (bytes: Uint8Array): ReceiptVerdict => verifyReceipt(bytes, { trust: world.chainId });
const failures = (verdict: ReceiptVerdict): string[] =>
  verdict.checks.filter(({ ok }) => !ok).map(({ name, words }) => `${name}: ${words}`);
const changed = (bytes: Uint8Array, at: number, bit: number): Uint8Array => {
  const copy = bytes.slice();
  copy[at] = (copy[at] as number) ^ (1 << bit);
  return copy;
};

describe('a receipt of many tasks', () => {
  it('verifies offline: every batch, every leaf, and that they are all that was paid', () => {
    const verdict = judge(receipt);
    expect(failures(verdict)).toEqual([]);
    expect(verdict).toMatchObject({ ok: true, pinned: true });
    expect(verdict.summary).toMatchObject({
      state: 'settled',
      array: { tasks: 12, replicas: 2, paidUnits: 24 },
    });
    expect(verdict.checks.find(({ name }) => name === 'delivery')?.words).toMatch(
      /^24 units in 4 batches, each signed by its provider \(2 providers\)/,
    );
  });

  it('is refused with any one bit changed', () => {
    fc.assert(
      fc.property(fc.nat(receipt.length - 1), fc.nat(7), (at, bit) => {
        expect(judge(changed(receipt, at, bit)).ok).toBe(false);
      }),
      { numRuns: 60 },
    );
  });

  it('is refused with batches left out, repeated, swapped, of another order, or paid otherwise', () => {
    const [first, second, ...rest] = batchesOf(parts) as [PaidBatch, PaidBatch, ...PaidBatch[]];
    const [stranger] = batchesOf(other) as [PaidBatch];
    const leaves = first.leaves.slice();
    leaves[20] = (leaves[20] as number) ^ 1;
    const forged: Record<string, readonly PaidBatch[] | undefined> = {
      none: undefined,
      nothing: [],
      'one left out': [second, ...rest],
      'the last left out': [first, second, ...rest.slice(0, -1)],
      'one twice': [first, first, second, ...rest],
      'two swapped': [second, first, ...rest],
      'one of another order': [stranger, second, ...rest],
      'paid more': [{ ...first, paid: first.paid + 1n }, second, ...rest],
      'withheld units paid': [
        { ...first, paidUnits: first.delivery.delivery.units },
        second,
        ...rest,
      ],
      'another leaf': [{ ...first, leaves }, second, ...rest],
      'a leaf missing': [{ ...first, leaves: first.leaves.slice(75) }, second, ...rest],
      'leaves exchanged': [
        { ...first, leaves: second.leaves },
        { ...second, leaves: first.leaves },
        ...rest,
      ],
      'another key': [
        { ...first, delivery: { ...first.delivery, publicKey: world.stranger.publicKey } },
        second,
        ...rest,
      ],
      'another signature': [
        { ...first, delivery: { ...first.delivery, signature: second.delivery.signature } },
        second,
        ...rest,
      ],
    };
    const passed: string[] = [];
    for (const [name, units] of Object.entries(forged)) {
      const { units: _units, ...others } = parts;
      const bytes = buildReceipt({ ...others, ...(units && { units: [...units] }) });
      if (judge(bytes).ok) passed.push(name);
    }
    expect(passed).toEqual([]);
    for (const key of ['orderProof', 'order', 'batches'] as const)
      expect([key, judge(buildReceipt({ ...parts, [key]: other[key] })).ok]).toEqual([key, false]);
  });

  it('of one task beside batches of many is refused, and the other way round', async () => {
    const single = await world.runJob({ events: 1 });
    expect(judge(buildReceipt({ ...single, units: [] })).ok).toBe(false);
    expect(judge(buildReceipt({ ...parts, delivery: single.delivery })).ok).toBe(false);
  });
});

describe('the small receipt of one task', () => {
  it('proves by its RFC 9162 path what the task came to and that it was paid', () => {
    expect(isTaskReceipt(small)).toBe(true);
    const verdict = judge(small);
    expect(failures(verdict)).toEqual([]);
    expect(verdict.summary).toMatchObject({ task: 3, array: { tasks: 12 } });
    expect(verdict.checks.find(({ name }) => name === 'task')?.words).toMatch(
      /^task 3 of 12: exit ok, charged .*; exit ok, charged .*; among the payments of the chain$/,
    );
    for (let task = 0; task < 12; task++) expect(judge(taskReceipt(parts, task)).ok).toBe(true);
    expect(buildTaskReceipt({ ...parts, batches: batchesOf(parts) }, 12)).toBeUndefined();
    expect(verifyReceipt(small)).toMatchObject({ ok: false, pinned: false });
  });

  it('is refused with any one bit changed', () => {
    fc.assert(
      fc.property(fc.nat(small.length - 1), fc.nat(7), (at, bit) => {
        expect(judge(changed(small, at, bit)).ok).toBe(false);
      }),
      { numRuns: 60 },
    );
  });

  it('is refused truncated, extended or random, without ever throwing', () => {
    expect(judge(small.slice(0, -1)).ok).toBe(false);
    expect(judge(new Uint8Array([...small, 0])).ok).toBe(false);
    const head = small.slice(0, 40);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(judge(new Uint8Array([...head, ...bytes])).ok).toBe(false);
      }),
      { numRuns: 60 },
    );
  });
});
