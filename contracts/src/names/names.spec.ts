import { contractAccount } from '#libs/crypto';
import { decodeWith } from '#libs/kernel';
import { createWorld, person } from '../testing/orders-world.ts';
import { NAMES_CONTRACT, RESERVED_NAMES, nameRecord, namesKeys, namesMethods } from './names.ts';

const alice = person('alice');
const bob = person('bob');

function setUp() {
  const settings = { 'names.deposit': 10n, 'names.shortDeposit': 60n };
  return createWorld({ people: [alice, bob], amountEach: 100n, settings });
}

describe('names', () => {
  it('stand for the account that registered them, at a key made of the name itself', () => {
    const world = setUp();
    world.must(alice, NAMES_CONTRACT, namesMethods.register, { name: 'alice-of-pku' });
    const stored = world.get(NAMES_CONTRACT, namesKeys.name('alice-of-pku')) as Uint8Array;
    const { account } = alice;
    const registeredAtUs = world.timeUs;
    expect(decodeWith(nameRecord, stored)).toEqual({ account, deposit: 10n, registeredAtUs });
    const resolved = world.must(bob, NAMES_CONTRACT, namesMethods.resolve, {
      name: 'alice-of-pku',
    });
    expect(resolved).toBe(account);
  });

  it('go to whoever comes first, and to nobody else until released', () => {
    const world = setUp();
    const args = { name: 'weather' };
    const { register, release, resolve } = namesMethods;
    world.must(alice, NAMES_CONTRACT, register, args);
    expect(world.refusal(bob, NAMES_CONTRACT, register, args)).toBe('NAMES_TAKEN');
    expect(world.refusal(alice, NAMES_CONTRACT, register, args)).toBe('NAMES_TAKEN');
    expect(world.refusal(bob, NAMES_CONTRACT, release, args)).toBe('NAMES_NOT_OWNER');
    world.must(alice, NAMES_CONTRACT, release, args);
    expect(world.balanceOf(alice.account)).toBe(100n);
    expect(world.refusal(bob, NAMES_CONTRACT, resolve, args)).toBe('NAMES_UNKNOWN');
    world.must(bob, NAMES_CONTRACT, register, args);
  });

  it('take their deposit with them when they change hands', () => {
    const world = setUp();
    const name = 'weather';
    world.must(alice, NAMES_CONTRACT, namesMethods.register, { name });
    const give = { name, to: bob.account };
    expect(world.refusal(bob, NAMES_CONTRACT, namesMethods.transfer, give)).toBe('NAMES_NOT_OWNER');
    world.must(alice, NAMES_CONTRACT, namesMethods.transfer, give);
    expect(world.refusal(alice, NAMES_CONTRACT, namesMethods.release, { name })).toBe(
      'NAMES_NOT_OWNER',
    );
    world.must(bob, NAMES_CONTRACT, namesMethods.release, { name });
    expect([world.balanceOf(alice.account), world.balanceOf(bob.account)]).toEqual([90n, 110n]);
    expect(world.balanceOf(contractAccount(NAMES_CONTRACT))).toBe(0n);
  });

  it('cost more when they are short, and are refused to who cannot pay', () => {
    const world = setUp();
    world.must(alice, NAMES_CONTRACT, namesMethods.register, { name: 'abc' });
    expect(world.balanceOf(alice.account)).toBe(40n);
    expect(world.refusal(alice, NAMES_CONTRACT, namesMethods.register, { name: 'abd' })).toBe(
      'TOKEN_BALANCE_TOO_LOW',
    );
    expect(world.get(NAMES_CONTRACT, namesKeys.name('abd'))).toBeUndefined();
  });

  it.each(['ab', 'Alice', 'a_b', '-abc', 'abc-', 'a--b', 'a.b.c', 'аlice', 'seele1xyz', ''])(
    'refuse %j as no name',
    (name) => {
      const refusal = setUp().refusal(alice, NAMES_CONTRACT, namesMethods.register, { name });
      expect(refusal).toBe('NAMES_SYNTAX');
    },
  );

  it('refuse what stands for a contract or a chain', () => {
    const world = setUp();
    for (const name of RESERVED_NAMES)
      expect(world.refusal(alice, NAMES_CONTRACT, namesMethods.register, { name })).toMatch(
        /NAMES_RESERVED|NAMES_SYNTAX/,
      );
  });
});
