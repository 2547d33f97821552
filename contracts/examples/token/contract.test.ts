import type { TestChain, Tests } from '../api/seele-contract.d.ts';

function born(chain: TestChain): TestChain {
  chain.call('init', ['BEE', 1_000n]);
  return chain;
}

export const tests: Tests = {
  'gives the supply to whoever begins it, once': (chain) => {
    born(chain);
    chain.equal(chain.call('balance', [chain.accounts[0]]), 1_000n);
    chain.equal(chain.failure('init', ['BEE', 1n]), 'INITIALISED');
  },
  'moves tokens and says so': (chain) => {
    const [a, b] = born(chain).accounts;
    chain.call('transfer', [b, 30n]);
    chain.equal(chain.events, [{ topic: 'transfer', data: { from: a, to: b, amount: 30n } }]);
    chain.equal([chain.call('balance', [a]), chain.call('balance', [b])], [970n, 30n]);
  },
  'refuses what nobody holds, and amounts that are none': (chain) => {
    const [, b] = born(chain).accounts;
    chain.equal(chain.failure('transfer', [b, 1_001n]), 'BALANCE');
    chain.equal(chain.failure('transfer', [b, 0n]), 'AMOUNT');
    chain.equal(chain.failure('transfer', [b, -1n]), 'AMOUNT');
    chain.equal(chain.failure('transfer', ['bob', 1n]), 'ACCOUNT');
  },
  'changes nothing when a holder pays itself': (chain) => {
    const [a] = born(chain).accounts;
    chain.call('transfer', [a, 10n]);
    chain.equal(chain.call('balance', [a]), 1_000n);
  },
  'lets a spender take what is allowed, and no more': (chain) => {
    const [a, b, c] = born(chain).accounts;
    chain.call('approve', [b, 50n]);
    chain.call('transferFrom', [a, c, 20n], { from: b });
    chain.equal(chain.call('allowance', [a, b]), 30n);
    chain.equal(chain.failure('transferFrom', [a, c, 31n], { from: b }), 'ALLOWANCE');
    chain.equal(chain.failure('transferFrom', [a, c, 1n], { from: c }), 'ALLOWANCE');
    chain.equal(chain.call('balance', [c]), 20n);
  },
};
