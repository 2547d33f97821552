import { keyedHashSigner } from '#libs/crypto';
import { utf8 } from '#libs/kernel';
import type { Transaction } from '#libs/ledger';
import type { ProviderOffer } from '#libs/market';
import type { NodeClient } from '#libs/platform';
import { registerOffer } from './register-offer.ts';

const GENESIS = 'ab'.repeat(32);
const signer = keyedHashSigner(utf8('test'), utf8('provider'));
const offer: ProviderOffer = {
  ...{ provider: signer.account, name: 'own', domain: 'public', level: 'eco' },
  ...{ slots: 2, cores: 2, memoryBytes: 2 ** 30, diskBytes: 2 ** 30, architecture: 'x86_64' },
  ...{ kernel: 'Linux', node: 'v24', benchmarkScore: 1, isolation: 'S1' },
  ...{ pricePerCoreSecond: 1_000n, pricePerGibSecond: 1_000n },
};

describe('an offer on the chain', () => {
  it('is signed for the chain by its genesis id, not by its name', async () => {
    const sent: Transaction[] = [];
    const node = {
      status: () =>
        Promise.resolve({ chain: 'seele-development', genesis: GENESIS, minimumFuelPrice: 1n }),
      state: () => Promise.resolve(undefined),
      account: () => Promise.resolve({ balance: 1n, nonce: 0, nextNonce: 0 }),
      genesis: () => Promise.resolve({ parameters: { allocations: [], settings: [] } }),
      execute: (transaction: Transaction) => {
        sent.push(transaction);
        return Promise.resolve({ height: 1, receipt: { status: 'ok' } });
      },
    } as unknown as NodeClient;
    const clock = { nowUs: () => 1_000_000, monotonicMs: () => 1_000 };
    expect(await registerOffer(node, signer, offer, clock)).toBe('registered');
    expect(sent.map(({ body }) => body.chain)).toEqual([GENESIS]);
  });
});
