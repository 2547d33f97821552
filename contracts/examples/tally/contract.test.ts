import type { Tests } from '../api/seele-contract.d.ts';

export const tests: Tests = {
  'counts, also past the borders of the encoding': (chain) => {
    for (let i = 1n; i <= 300n; i++) if (chain.call('add') !== i) chain.equal(i, 'another number');
    chain.equal(chain.call('count'), 300n);
  },
  'has no other methods': (chain) => {
    chain.equal(chain.failure('remove'), 'NO_SUCH_METHOD');
  },
};
