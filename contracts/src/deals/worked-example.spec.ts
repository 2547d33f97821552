import { readFileSync } from 'node:fs';
import { createSigner } from '#libs/crypto';
import { TOKEN, decodeWith } from '#libs/kernel';
import { createContractHarness } from '#libs/ledger';
import { logLeafHash } from '#libs/merkle';
import {
  type Beacon,
  dealRecord,
  dealsKeys,
  dealsMethods,
  genesisSettings,
  sectorsOfChallenge,
  systemContracts,
  tokenFees,
} from '../index.ts';

// From here to the end mark, docs/deals.md shows these very lines.
// example
function keepOneShard() {
  const [consumer, provider] = [1, 2].map((n) => createSigner(new Uint8Array(32).fill(n)));
  if (!consumer || !provider) throw new Error('two people');
  const chain = createContractHarness({
    contracts: systemContracts,
    parameters: {
      allocations: [consumer, provider].map(({ account }) => ({ account, amount: 10n * TOKEN })),
      settings: genesisSettings,
    },
    fees: tokenFees,
  });
  const { propose, invite, accept, tick, prove } = dealsMethods;
  const epochUs = 60_000_000;

  // 0.002 in each of ten epochs; whoever keeps it puts 0.05 down. One sector: the root is its hash.
  const shard = new TextEncoder().encode('what the provider keeps, encrypted for it alone');
  const proposed = chain.call(consumer.account, 'deals', propose, {
    ...{ salt: '07'.repeat(16), descriptor: new Uint8Array(), needed: 1, shards: 1 },
    ...{ shardBytes: shard.length, samples: 3, epochUs, term: 10 },
    ...{ price: TOKEN / 500n, collateral: TOKEN / 20n },
  });
  if (!proposed.ok) throw new Error(proposed.code);
  const { deal } = proposed.value;
  const cid = 'bafyreigdmqpykrgxyaxtlafqpqhzrb7qy2rh75nldvfd4tucqmqqme5yje';
  const root = logLeafHash(shard);
  const to = { deal, index: 0, provider: provider.account, cid, root };
  chain.call(consumer.account, 'deals', invite, to);
  chain.call(provider.account, 'deals', accept, { deal, index: 0, generation: 1 });

  // In the next epoch anybody sets the challenge, and the provider answers it.
  chain.advance(epochUs);
  const challenge = chain.call(consumer.account, 'deals', tick, { epochUs });
  if (!challenge.ok) throw new Error(challenge.code);
  const beacon: Beacon = challenge.value;
  const record = () =>
    decodeWith(dealRecord, chain.get('deals', dealsKeys.deal(deal)) ?? new Uint8Array());
  const proofs = sectorsOfChallenge(record(), deal, 0, beacon).map((index) => ({
    ...{ index, sector: shard, path: [] },
  }));
  const proof = { deal, index: 0, epoch: beacon.epoch, proofs };
  chain.call(provider.account, 'deals', prove, proof);
  return record();
}
// end of the example

describe('docs/deals.md', () => {
  it('shows the example that this test runs', () => {
    expect(keepOneShard()).toMatchObject({ held: 1, paid: 2_000_000n, escrow: 18_000_000n });
    const page = readFileSync(new URL('../../../docs/deals.md', import.meta.url), 'utf8');
    const source = readFileSync(import.meta.filename, 'utf8');
    const [, example] = /\/\/ example\n([\s\S]*?)\/\/ end of the example/.exec(source) ?? [];
    expect(page).toContain(example?.trimEnd());
  });
});
