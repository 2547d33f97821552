import fc from 'fast-check';
import { forgeriesOf } from '../../../test/audit/forgeries.ts';
import { type ReceiptWorld, openReceiptWorld } from '../../../test/audit/receipt-world.ts';
import { createSigningValidators } from '../../../test/support/signing-validators.ts';
import type { ReceiptParts } from './receipt-file.ts';
import { buildReceipt } from './receipt-file.ts';
import { type ReceiptVerdict, verifyReceipt } from './verify-receipt.ts';

let world: ReceiptWorld;
let parts: ReceiptParts;
let receipt: Uint8Array;

beforeAll(async () => {
  world = await openReceiptWorld();
  parts = await world.runJob({ events: 1, losesLease: true });
  receipt = buildReceipt(parts);
});

const judge = (bytes: Uint8Array): ReceiptVerdict => verifyReceipt(bytes, { trust: world.chainId });
const failures = (verdict: ReceiptVerdict): string[] =>
  verdict.checks.filter(({ ok }) => !ok).map(({ name, words }) => `${name}: ${words}`);

describe('a receipt', () => {
  it('of a settled job verifies offline against the pinned genesis, and says what was checked', () => {
    const verdict = judge(receipt);
    expect(failures(verdict)).toEqual([]);
    expect(verdict).toMatchObject({ ok: true, pinned: true });
    expect(verdict.checks.map(({ name }) => name)).toEqual([
      ...['file', 'chain', 'certificates', 'order', 'manifest', 'entries', 'signatures'],
      ...['anchors', 'checkpoints', 'record', 'money', 'delivery', 'complete'],
    ]);
    expect(verdict.summary).toMatchObject({ state: 'settled', exit: 'ok', paid: 3_210_000_000n });
    expect(verdict.checks.find(({ name }) => name === 'money')?.words).toContain('3.21 was paid');
  });

  it('of a cancelled job verifies too: all money went back', async () => {
    const cancelled = await world.runJob({ events: 0, ending: 'cancelled' });
    const verdict = judge(buildReceipt(cancelled));
    expect(failures(verdict)).toEqual([]);
    expect(verdict.summary).toMatchObject({ state: 'cancelled', paid: 0n });
  });

  it('of a delivery that came too late for the chain says so: all money went back', async () => {
    const late = await world.runJob({ events: 1, ending: 'late' });
    const verdict = judge(buildReceipt(late));
    expect(failures(verdict)).toEqual([]);
    expect(verdict.summary).toMatchObject({ state: 'refunded', paid: 0n });
    expect(verdict.checks.find(({ name }) => name === 'delivery')?.words).toContain('too late');
  });

  it('of a job that the market ran itself verifies too', async () => {
    const own = await world.runJob({ events: 2, marketWorks: true });
    expect(failures(judge(buildReceipt(own)))).toEqual([]);
  });

  it('of chains of 4 and of 65 validators verifies by their certificates, one by one or as one sum', async () => {
    for (const count of [4, 65]) {
      const eda = await openReceiptWorld(1, createSigningValidators(count));
      const whole = await eda.runJob({ events: 1 });
      const verdict = verifyReceipt(buildReceipt(whole), { trust: eda.chainId });
      expect(failures(verdict)).toEqual([]);
      expect(verdict.checks.find(({ name }) => name === 'certificates')?.words).toContain('by eda');
      const { orderProof } = whole;
      const { certificate } = orderProof;
      if (certificate.kind !== 'eda') throw new Error('not an EDA chain');
      // One validator less than weight Q.
      const { aggregate, votes } = certificate;
      expect(aggregate === undefined).toBe(count === 4);
      const weaker = {
        ...certificate,
        votes: votes.slice(1),
        ...(aggregate && {
          aggregate: {
            ...aggregate,
            signers: aggregate.signers.with(0, aggregate.signers[0]! & 0xfe),
          },
        }),
      };
      const forged = { ...whole, orderProof: { ...orderProof, certificate: weaker } };
      const said = failures(verifyReceipt(buildReceipt(forged), { trust: eda.chainId }));
      expect(said.join()).toContain('not certified by the chain');
    }
  });

  it('of a chain that is not pinned is not ok, whatever else holds', () => {
    const verdict = verifyReceipt(receipt);
    expect(verdict).toMatchObject({ ok: false, pinned: false });
    expect(failures(verdict)).toEqual([expect.stringContaining('chain not pinned')]);
    const other = verifyReceipt(receipt, { trust: 'ab'.repeat(32) });
    expect(failures(other)).toEqual([expect.stringMatching(/^chain: .*not of the trusted/)]);
    const known = verifyReceipt(receipt, { knownChains: { [world.chainId]: 'home' } });
    expect(known.ok).toBe(true);
  });

  it('is refused with any one bit changed', () => {
    fc.assert(
      fc.property(fc.nat(receipt.length - 1), fc.nat(7), (at, bit) => {
        const changed = receipt.slice();
        changed[at] = (changed[at] as number) ^ (1 << bit);
        expect(judge(changed).ok).toBe(false);
      }),
      { numRuns: 60 },
    );
  });

  it('is refused in every forged form, even when all keys of market and providers sign it', async () => {
    const other = await world.runJob({ events: 1, losesLease: true });
    expect(judge(buildReceipt(other)).ok).toBe(true);
    const passed: string[] = [];
    let tried = 0;
    for (const forgery of forgeriesOf(world, parts, other)) {
      tried++;
      if (judge(buildReceipt(forgery.parts)).ok) passed.push(forgery.name);
    }
    expect(passed).toEqual([]);
    expect(tried).toBeGreaterThan(100);
  });

  it('is refused truncated, extended or random, without ever throwing', () => {
    expect(judge(receipt.slice(0, -1)).ok).toBe(false);
    expect(judge(new Uint8Array([...receipt, 0])).ok).toBe(false);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(failures(judge(bytes))[0]).toMatch(/^file: the file cannot be read/);
      }),
      { numRuns: 50 },
    );
  });
});
