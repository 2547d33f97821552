import fc from 'fast-check';
import { contractAccount } from '#libs/crypto';
import { AMOUNT_MAX, type Bytes, bytesToHex, hexToBytes } from '#libs/kernel';
import { type GenesisParameters, createContractHarness } from '#libs/ledger';
import { createWorld, person } from '../testing/orders-world.ts';
import { TOKEN_CONTRACT, tokenContract, tokenFees, tokenKeys, tokenMethods } from './token.ts';

const alice = person('alice');
const bob = person('bob');

function memoryStorage() {
  const entries = new Map<string, Bytes>();
  return {
    entries,
    get: (key: Bytes) => entries.get(bytesToHex(key)),
    put: (key: Bytes, value: Bytes) => void entries.set(bytesToHex(key), value),
    delete: (key: Bytes) => void entries.delete(bytesToHex(key)),
  };
}

describe('token.transfer', () => {
  const setUp = () => createWorld({ people: [alice, bob], amountEach: 100n });

  it('moves money and refuses nothing and overdrafts', () => {
    const world = setUp();
    const { transfer } = tokenMethods;
    const to = bob.account;
    world.must(alice, TOKEN_CONTRACT, transfer, { to, amount: 40n, memo: 'lunch' });
    expect(world.balanceOf(alice.account)).toBe(60n);
    expect(world.balanceOf(to)).toBe(140n);
    const refusal = (amount: bigint) =>
      world.refusal(alice, TOKEN_CONTRACT, transfer, { to, amount });
    expect(refusal(0n)).toBe('TOKEN_AMOUNT_ZERO');
    expect(refusal(61n)).toBe('TOKEN_BALANCE_TOO_LOW');
    expect(refusal(AMOUNT_MAX * 2n)).toBe('TOKEN_BALANCE_TOO_LOW');
  });

  it('to oneself changes nothing', () => {
    const world = setUp();
    const args = { to: alice.account, amount: 100n };
    world.must(alice, TOKEN_CONTRACT, tokenMethods.transfer, args);
    expect(world.balanceOf(alice.account)).toBe(100n);
  });

  it('of everything leaves no entry behind', () => {
    const world = setUp();
    const args = { to: bob.account, amount: 100n };
    world.must(alice, TOKEN_CONTRACT, tokenMethods.transfer, args);
    expect(world.get(TOKEN_CONTRACT, tokenKeys.balance(alice.account))).toBeUndefined();
    expect(world.must(bob, TOKEN_CONTRACT, tokenMethods.balance, alice)).toBe(0n);
  });
});

describe('token.collect', () => {
  it('is refused to everyone who is not a system contract', () => {
    const world = createWorld({ people: [alice, bob] });
    const args = { from: alice.account, amount: 1n };
    for (const by of [alice, bob])
      expect(world.refusal(by, TOKEN_CONTRACT, tokenMethods.collect, args)).toBe(
        'TOKEN_NOT_COLLECTOR',
      );
  });
});

describe('token genesis', () => {
  const born = (allocations: GenesisParameters['allocations']) => () =>
    createContractHarness({
      contracts: [tokenContract],
      parameters: { allocations, settings: [] },
    });

  it('refuses money from nothing, twice, to a contract, or above what can exist', () => {
    const { account } = alice;
    expect(born([{ account, amount: AMOUNT_MAX }])).not.toThrow();
    expect(born([{ account, amount: 0n }])).toThrow(/above zero/);
    expect(born([...Array(2)].map(() => ({ account, amount: 1n })))).toThrow(/twice/);
    expect(born([{ account: contractAccount('orders'), amount: 1n }])).toThrow(/system contract/);
    expect(
      born([
        { account, amount: AMOUNT_MAX },
        { account: bob.account, amount: 1n },
      ]),
    ).toThrow(/exceed/);
  });
});

describe('token fees', () => {
  it('only move: what is charged and given out again adds up, and nobody goes below zero', () => {
    const accounts = [alice.account, bob.account, '00'.repeat(32)];
    const step = fc.record({
      from: fc.constantFrom(...accounts),
      to: fc.constantFrom(...accounts),
      amount: fc.bigInt({ min: 0n, max: 80n }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const storage = memoryStorage();
        tokenFees.refund(storage, alice.account, 100n);
        for (const { from, to, amount } of steps) {
          const before = tokenFees.balanceOf(storage, from);
          const charged = tokenFees.charge(storage, from, amount);
          expect(charged).toBe(before >= amount);
          if (charged) tokenFees.refund(storage, to, amount);
        }
        let sum = 0n;
        for (const [key, value] of storage.entries)
          sum += tokenFees.valueOf(hexToBytes(key) as Bytes, value);
        expect(sum).toBe(100n);
      }),
      { numRuns: 50 },
    );
  });

  it('count the supply entry as no money', () => {
    const value = new Uint8Array([24, 100]);
    expect(tokenFees.valueOf(tokenKeys.supply, value)).toBe(0n);
    expect(tokenFees.valueOf(tokenKeys.balance(alice.account), value)).toBe(100n);
  });
});
