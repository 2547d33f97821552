import type { TestChain, Tests } from '../api/seele-contract.d.ts';

const DAY = 86_400;

function opened(chain: TestChain): TestChain {
  chain.call('open', ['bafy-data', 100n, 60n]);
  return chain;
}

export const tests: Tests = {
  'sells to the highest bidder once the grant is there': (chain) => {
    const [seller, b, c] = opened(chain).accounts;
    chain.call('bid', [], { from: b, value: 100n });
    chain.call('bid', [], { from: c, value: 150n });
    chain.advance(60);
    chain.equal(chain.failure('accept', [], { from: c }), 'NOT_GRANTED');
    chain.call('grant', ['grant-1']);
    chain.equal(chain.failure('accept', [], { from: b }), 'NOT_WINNER');
    const before = chain.balance(seller);
    chain.call('accept', [], { from: c });
    chain.equal(chain.balance(seller) - before, 150n);
    chain.equal(chain.failure('accept', [], { from: c }), 'NOT_WINNER');
  },
  'gives the outbid their money, once': (chain) => {
    const [, b, c] = opened(chain).accounts;
    const before = chain.balance(b);
    chain.call('bid', [], { from: b, value: 100n });
    chain.call('bid', [], { from: c, value: 105n });
    chain.equal(chain.call('withdraw', [], { from: b }), 100n);
    chain.equal(chain.balance(b), before);
    chain.equal(chain.failure('withdraw', [], { from: b }), 'NOTHING');
    chain.equal(chain.balance(chain.contract), 105n);
  },
  'takes no bid that is too low, too late or the seller’s own': (chain) => {
    const [a, b] = opened(chain).accounts;
    chain.equal(chain.failure('bid', [], { from: b, value: 99n }), 'TOO_LOW');
    chain.equal(chain.failure('bid', [], { from: a, value: 200n }), 'SELLER');
    chain.call('bid', [], { from: b, value: 100n });
    chain.equal(chain.failure('bid', [], { from: b, value: 104n }), 'TOO_LOW');
    chain.advance(60);
    chain.equal(chain.failure('bid', [], { from: b, value: 500n }), 'OVER');
  },
  'leaves nobody’s money behind when one side is silent': (chain) => {
    const [, b] = opened(chain).accounts;
    const before = chain.balance(b);
    chain.call('bid', [], { from: b, value: 100n });
    chain.advance(60);
    chain.equal(chain.failure('reclaim', [], { from: b }), 'WAIT');
    chain.advance(DAY);
    chain.call('reclaim', [], { from: b });
    chain.equal(chain.balance(b), before);
    chain.equal(chain.balance(chain.contract), 0n);
  },
  'pays a seller that delivered to a silent winner': (chain) => {
    const [seller, b] = opened(chain).accounts;
    chain.call('bid', [], { from: b, value: 100n });
    chain.advance(60);
    chain.call('grant', ['grant-1']);
    chain.equal(chain.failure('reclaim', [], { from: b }), 'GRANTED');
    chain.equal(chain.failure('collect'), 'WAIT');
    chain.advance(7 * DAY);
    const before = chain.balance(seller);
    chain.call('collect');
    chain.equal(chain.balance(seller) - before, 100n);
  },
};
