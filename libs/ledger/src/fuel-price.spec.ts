import { createSigner, verifySignature } from '#libs/crypto';
import { encodeWith, record } from '#libs/kernel';
import { createMemoryStore } from '#libs/store';
import fc from 'fast-check';
import { createChain } from './chain.ts';
import { createMempool } from './mempool.ts';
import { createProducer } from './producer.ts';
import { createSoloOrdering } from './solo.ts';
import { genesisId } from './state-proof.ts';
import { toy, toyFees, toyToken } from './testing/toy-contracts.ts';
import { signTransaction } from './transaction.ts';
import { type FuelPriceRule, excessAfter, fuelPriceAt } from './fuel-price.ts';

const rule: FuelPriceRule = { targetPerSecond: 1_500_000_000n, minimum: 1_000n };

/** Excess after `seconds` of blocks every `cutMs` at `load` times the target. */
function run(cutMs: number, seconds: number, load: number, from = 0n) {
  let excess = from;
  let timeUs = 0;
  const perBlock = BigInt(Math.round((Number(rule.targetPerSecond) * load * cutMs) / 1000));
  while (timeUs < seconds * 1e6) {
    const parentTimeUs = timeUs;
    timeUs += cutMs * 1000;
    excess = excessAfter(rule, excess, { parentTimeUs, timeUs, fuelUsed: perBlock });
  }
  return { excess, timeUs };
}

describe('the fuel price', () => {
  it.each([50, 100, 200, 250, 500, 1_000])(
    'doubles after a minute at twice the target with a cut every %i ms',
    (cutMs) => {
      const since = run(cutMs, 60, 2);
      expect(fuelPriceAt(rule, since, since.timeUs)).toBe(2_000n);
      const later = run(cutMs, 120, 2);
      expect(fuelPriceAt(rule, later, later.timeUs)).toBe(4_000n);
    },
  );

  it.each([50, 200, 1_000])('stays at the minimum at the target, cut every %i ms', (cutMs) => {
    const since = run(cutMs, 60, 1);
    expect(since.excess).toBe(0n);
    expect(fuelPriceAt(rule, since, since.timeUs)).toBe(1_000n);
  });

  it('halves in an idle minute, with blocks or without', () => {
    const { excess, timeUs } = run(200, 120, 2);
    expect(fuelPriceAt(rule, { excess, timeUs }, timeUs + 60_000_000)).toBe(2_000n);
    expect(fuelPriceAt(rule, { excess, timeUs }, timeUs + 600_000_000)).toBe(1_000n);
    expect(fuelPriceAt(rule, { ...run(200, 60, 0, excess), timeUs: 0 }, 0)).toBe(2_000n);
  });

  it('does not depend on how the same load is cut into blocks', () => {
    const excesses = [50, 100, 200, 500, 1_000].map((cutMs) => run(cutMs, 30, 3).excess);
    expect(new Set(excesses).size).toBe(1);
  });

  it('is bounded under any load', () => {
    const { excess } = run(1_000, 100_000, 50);
    const price = fuelPriceAt(rule, { excess, timeUs: 0 }, 0);
    expect(price).toBe(1_000n * 2n ** 24n);
  });

  it('never falls when excess rises, and follows the exponential within a unit', () => {
    const excess = fc.bigInt({ min: 0n, max: 24n * 60n * rule.targetPerSecond });
    fc.assert(
      fc.property(excess, excess, (a, b) => {
        const [low, high] = a < b ? [a, b] : [b, a];
        const at = (value: bigint) => fuelPriceAt(rule, { excess: value, timeUs: 0 }, 0);
        expect(at(low)).toBeLessThanOrEqual(at(high));
        const exact = 1_000 * 2 ** (Number(low) / (60 * Number(rule.targetPerSecond)));
        expect(Math.abs(Number(at(low)) - exact)).toBeLessThanOrEqual(0.5 + exact * 1e-9);
      }),
      { numRuns: 100 },
    );
  });
});

describe('the fuel price on a chain', () => {
  const signer = createSigner(new Uint8Array(32).fill(7));
  const ordering = { kind: 'solo', sequencer: signer.publicKey } as const;
  const allocations = [{ account: signer.account, amount: 10n ** 15n }];
  const settings = [{ name: 'ledger.targetFuelPerSecond', value: 1_000n }];
  const genesis = { chainName: 'p', timeUs: 0, ordering, parameters: { allocations, settings } };
  const put = { contract: 'toy', method: 'put' };
  const args = encodeWith(record({}), {});
  const transaction = (nonce: number, fuelPrice: bigint) =>
    signTransaction(signer, {
      ...{ chain: genesisId(genesis), publicKey: signer.publicKey, nonce, fuelPrice },
      ...{ validUntilUs: 10 ** 12, fuelLimit: 200_000n, calls: [{ ...put, args }] },
    });

  it('refuses what is too cheap now, and lets what waits in when it has fallen', async () => {
    const chain = await createChain({
      ...{ genesis, contracts: [toyToken, toy], fees: toyFees },
      ...{ store: createMemoryStore(), verifySignature },
    });
    const mempool = createMempool({ chain: chain.id, limits: chain.limits, accounts: chain });
    const producer = createProducer({ chain, mempool, ordering: createSoloOrdering(signer) });
    expect(mempool.add(transaction(0, 10n), 0)).toMatchObject({ ok: true });
    expect(mempool.add(transaction(1, 1n), 0)).toMatchObject({ ok: true });
    // One block far above the target of 1 000 fuel a second: nearly two doublings.
    const first = await producer.step(1);
    expect(first?.transactions).toHaveLength(2);
    const price = chain.fuelPrice(1);
    expect(price).toBeGreaterThan(2n);
    expect(mempool.add(transaction(2, price - 1n), 1)).toMatchObject({
      ok: false,
      error: { code: 'LEDGER_FUEL_PRICE', message: `fuel price ${price - 1n} is below ${price}` },
    });
    expect(mempool.add(transaction(2, price), 1)).toMatchObject({ ok: true });
    await producer.step(2);
    expect(mempool.add(transaction(3, price), 1_800_000_000)).toMatchObject({ ok: true });
    expect(await producer.step(3)).toBeUndefined();
    expect((await producer.step(1_800_000_000))?.transactions).toHaveLength(1);
  });
});
