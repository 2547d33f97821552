import type { TestChain, Tests } from '../api/seele-contract.d.ts';

function twoOfThree(chain: TestChain): TestChain {
  const [a, b, c, stranger] = chain.accounts;
  chain.call('init', [[a, b, c], 2n]);
  chain.call('deposit', [], { from: stranger, value: 500n });
  return chain;
}

export const tests: Tests = {
  'pays when two of three agree, and once': (chain) => {
    const [, b, c, , receiver] = twoOfThree(chain).accounts;
    const before = chain.balance(receiver);
    chain.equal(chain.call('propose', [receiver, 200n, 'rent']), 1n);
    chain.equal(chain.balance(receiver), before);
    chain.call('agree', [1n], { from: b });
    chain.equal(chain.balance(receiver) - before, 200n);
    chain.equal(chain.balance(chain.contract), 300n);
    chain.equal(chain.failure('agree', [1n], { from: c }), 'DONE');
  },
  'counts every owner once, and owners only': (chain) => {
    const [a, , , stranger] = twoOfThree(chain).accounts;
    chain.call('propose', [stranger, 1n, '']);
    chain.equal(chain.failure('agree', [1n]), 'AGREED_ALREADY');
    chain.equal(chain.failure('agree', [1n], { from: stranger }), 'NOT_OWNER');
    chain.equal(chain.failure('propose', [a, 1n, ''], { from: stranger }), 'NOT_OWNER');
    chain.equal(chain.failure('agree', [7n]), 'NO_PROPOSAL');
  },
  'forgets an agreement that was taken back': (chain) => {
    const [, b, c, stranger] = twoOfThree(chain).accounts;
    chain.call('propose', [stranger, 1n, '']);
    chain.call('disagree', [1n]);
    chain.call('agree', [1n], { from: b });
    chain.equal(chain.balance(chain.contract), 500n);
    chain.call('agree', [1n], { from: c });
    chain.equal(chain.balance(chain.contract), 499n);
  },
  'undoes the last agreement when there is too little to pay': (chain) => {
    const [, b, , stranger] = twoOfThree(chain).accounts;
    chain.call('propose', [stranger, 501n, '']);
    chain.equal(chain.failure('agree', [1n], { from: b }), 'TOKEN_BALANCE_TOO_LOW');
    chain.call('deposit', [], { value: 1n });
    chain.call('agree', [1n], { from: b });
    chain.equal(chain.balance(chain.contract), 0n);
  },
  'refuses owners that make no sense': (chain) => {
    const [a, b] = chain.accounts;
    chain.equal(chain.failure('init', [[a, a], 1n]), 'OWNERS');
    chain.equal(chain.failure('init', [[a, b], 3n]), 'NEEDED');
    chain.equal(chain.failure('init', [[], 1n]), 'OWNERS');
  },
};
