import fc from 'fast-check';
import { keyedHashSigner } from '#libs/crypto';
import { utf8 } from '#libs/kernel';
import { chainLimits } from './genesis.ts';
import { type MempoolLimits, createMempool } from './mempool.ts';
import { type TransactionBody, signTransaction } from './transaction.ts';

const secret = utf8('s');
const chain = 'cc'.repeat(32);
const NOW = 1_000_000_000;
const limits = chainLimits({
  allocations: [],
  settings: [
    { name: 'ledger.blockTransactions', value: 5n },
    { name: 'ledger.blockFuel', value: 1_000_000n },
  ],
});
const signers = ['a', 'b', 'c'].map((name) => keyedHashSigner(secret, utf8(name)));
const FUEL = 100_000n;

const transaction = (who: number, nonce: number, more: Partial<TransactionBody> = {}) => {
  const signer = signers[who] as (typeof signers)[0];
  return signTransaction(signer, {
    chain,
    publicKey: signer.publicKey,
    nonce,
    validUntilUs: NOW * 2,
    fuelLimit: FUEL,
    fuelPrice: 10n,
    calls: [{ contract: 'c', method: 'm', args: new Uint8Array([0xa0]) }],
    ...more,
  });
};

function newPool(pool: Partial<MempoolLimits> = {}, balance = 10n ** 12n) {
  const nonces = new Map<string, number>();
  const dropped: string[] = [];
  const mempool = createMempool({
    chain,
    limits,
    accounts: {
      account: (id) => ({ balance, nonce: nonces.get(id) ?? 0 }),
      nonce: (id) => nonces.get(id) ?? 0,
    },
    pool,
    onDropped: (id, { code }) => dropped.push(`${id.slice(0, 4)} ${code}`),
  });
  const add = (item: ReturnType<typeof transaction>, nowUs = NOW) => {
    const admission = mempool.add(item, nowUs);
    return admission.ok ? 'ok' : admission.error.code;
  };
  return { mempool, add, nonces, dropped };
}

describe('the mempool', () => {
  it('keeps an account’s transactions contiguous: refuses gaps and used nonces', () => {
    const { mempool, add, nonces } = newPool();
    nonces.set((signers[0] as (typeof signers)[0]).account, 3);
    expect(add(transaction(0, 2))).toBe('LEDGER_NONCE_USED');
    expect(add(transaction(0, 4))).toBe('LEDGER_NONCE_GAP');
    expect(add(transaction(0, 3))).toBe('ok');
    expect(add(transaction(0, 3))).toBe('ok'); // The very same one, sent again.
    expect(add(transaction(0, 4))).toBe('ok');
    expect(mempool.metrics).toMatchObject({ transactions: 2, admitted: 2, refused: 2 });
    expect(mempool.nextNonce((signers[0] as (typeof signers)[0]).account)).toBe(5);
  });

  it('replaces a waiting transaction only for a tenth more', () => {
    const { mempool, add, dropped } = newPool();
    const first = transaction(0, 0);
    add(first);
    add(transaction(0, 1));
    const other = { validUntilUs: NOW * 2 + 1 };
    expect(add(transaction(0, 0, other))).toBe('LEDGER_REPLACEMENT_UNDERPRICED');
    expect(add(transaction(0, 0, { fuelPrice: 11n }))).toBe('ok');
    expect(mempool.has(first.id)).toBe(false);
    expect(dropped).toEqual([`${first.id.slice(0, 4)} LEDGER_POOL_DROPPED`]);
    expect(mempool.select(NOW).map(({ body }) => body.fuelPrice)).toEqual([11n, 10n]);
  });

  it('holds each account to its count and to what it can pay', () => {
    const { add } = newPool({ perAccount: 2 });
    expect([0, 1, 2].map((nonce) => add(transaction(0, nonce)))).toEqual([
      'ok',
      'ok',
      'LEDGER_POOL_ACCOUNT_FULL',
    ]);
    const poor = newPool({}, FUEL * 10n * 2n);
    expect([0, 1, 2].map((nonce) => poor.add(transaction(0, nonce)))).toEqual([
      'ok',
      'ok',
      'LEDGER_BALANCE_TOO_LOW',
    ]);
  });

  it('refuses what can never run: chain, window, fuel, price', () => {
    const { add } = newPool();
    expect(add(transaction(0, 0, { chain: 'dd'.repeat(32) }))).toBe('LEDGER_CHAIN_MISMATCH');
    expect(add(transaction(0, 0, { validUntilUs: NOW - 1 }))).toBe('LEDGER_TRANSACTION_EXPIRED');
    expect(add(transaction(0, 0, { validFromUs: NOW + 10 ** 8 }))).toBe('LEDGER_TRANSACTION_EARLY');
    expect(add(transaction(0, 0, { fuelLimit: 1n }))).toBe('LEDGER_FUEL_LIMIT');
    expect(add(transaction(0, 0, { fuelLimit: 10n ** 12n }))).toBe('LEDGER_FUEL_LIMIT');
    expect(add(transaction(0, 0, { fuelPrice: 0n }))).toBe('LEDGER_FUEL_PRICE');
  });

  it('when full makes room for a higher price only, from the end of the cheapest line', () => {
    const { mempool, add, dropped } = newPool({ transactions: 2 });
    add(transaction(0, 0));
    const evicted = transaction(0, 1);
    add(evicted);
    expect(add(transaction(1, 0))).toBe('LEDGER_POOL_FULL');
    expect(add(transaction(1, 0, { fuelPrice: 12n }))).toBe('ok');
    expect(dropped).toEqual([`${evicted.id.slice(0, 4)} LEDGER_POOL_DROPPED`]);
    expect(mempool.metrics).toMatchObject({ transactions: 2, evicted: 1 });
  });

  it('orders by price, then arrival, never against nonces, within the limits of a block', () => {
    const { mempool, add } = newPool();
    add(transaction(0, 0));
    add(transaction(0, 1, { fuelPrice: 50n }));
    add(transaction(1, 0, { fuelPrice: 20n }));
    add(transaction(2, 0));
    const prices = mempool.select(NOW).map(({ body }) => [body.fuelPrice, body.nonce]);
    expect(prices).toEqual([
      [20n, 0],
      [10n, 0],
      [50n, 1],
      [10n, 0],
    ]);
    for (let nonce = 2; nonce < 8; nonce++) add(transaction(0, nonce));
    expect(mempool.select(NOW)).toHaveLength(5);
    for (let nonce = 1; nonce < 4; nonce++) add(transaction(2, nonce, { fuelLimit: 600_000n }));
    expect(
      mempool.select(NOW).reduce((sum, { body }) => sum + body.fuelLimit, 0n),
    ).toBeLessThanOrEqual(limits.blockFuel);
  });

  it('keeps a transaction waiting for its window, and drops what waited too long', () => {
    const { mempool, add, dropped } = newPool({ ageUs: 1_000 });
    const early = transaction(0, 0, { validFromUs: NOW + 500 });
    expect(add(early)).toBe('ok');
    expect(mempool.select(NOW)).toEqual([]);
    expect(mempool.select(NOW + 500)).toEqual([early]);
    const follower = transaction(0, 1);
    add(follower);
    mempool.expire(NOW + 1_001);
    expect(mempool.metrics).toMatchObject({ transactions: 0, bytes: 0, accounts: 0, expired: 1 });
    expect(dropped).toHaveLength(2);
  });

  it('forgets what a block executed, and what a block overtook', () => {
    const { mempool, add, nonces, dropped } = newPool();
    const mine = transaction(0, 0);
    add(mine);
    add(transaction(0, 1));
    const theirs = transaction(0, 0, { validUntilUs: NOW * 3 });
    nonces.set(mine.account, 1);
    mempool.afterBlock([theirs]);
    expect(dropped).toEqual([`${mine.id.slice(0, 4)} LEDGER_NONCE_USED`]);
    expect(mempool.select(NOW).map(({ body }) => body.nonce)).toEqual([1]);
  });

  it('never loses count, whatever is added, dropped and executed (model)', () => {
    const step = fc.record({
      kind: fc.constantFrom('add', 'add', 'add', 'drop', 'block', 'expire'),
      who: fc.nat(2),
      nonce: fc.nat(4),
      price: fc.integer({ min: 1, max: 40 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { mempool, add, nonces } = newPool({ transactions: 4, perAccount: 3, ageUs: 40 });
        const seen = new Map<string, ReturnType<typeof transaction>>();
        for (const [i, { kind, who, nonce, price }] of steps.entries()) {
          const item = transaction(who, nonce, { fuelPrice: BigInt(price) });
          seen.set(item.id, item);
          if (kind === 'add') add(item, NOW + i);
          else if (kind === 'drop') mempool.drop(item.id, new Error('x') as never);
          else if (kind === 'expire') mempool.expire(NOW + i);
          else {
            const block = mempool.select(NOW + i);
            for (const { account, body } of block) {
              expect(body.nonce).toBe(nonces.get(account) ?? 0);
              nonces.set(account, body.nonce + 1);
            }
            mempool.afterBlock(block);
          }
          const waiting = [...seen.values()].filter(({ id }) => mempool.has(id));
          expect(mempool.metrics).toMatchObject({
            transactions: waiting.length,
            bytes: waiting.reduce((sum, { bytes }) => sum + bytes.length, 0),
            accounts: new Set(waiting.map(({ account }) => account)).size,
          });
          expect(waiting.length).toBeLessThanOrEqual(4);
        }
      }),
      { numRuns: 100 },
    );
  });
});
