/** Contract `stake` on a real chain that was idle: which era its sets and parameters are of. */
import { type Signer, createSigner, sha256, verifySignature } from '#libs/crypto';
import { advanceBase, genesisBase } from '#libs/eda';
import { createSeededRandomness, hexToBytes, utf8, type Bytes } from '#libs/kernel';
import {
  type Certificate,
  type Chain,
  type Execution,
  type Genesis,
  CERTIFICATE_DOMAIN,
  createChain,
  readTransaction,
  signTransaction,
} from '#libs/ledger';
import { createSimulatedDisk } from '#libs/store';
import {
  type ContractCall,
  genesisSettings,
  stakeCalls,
  systemContracts,
  tokenFees,
} from '../index.ts';

const ERA_US = 8_000_000;
const START_US = 1_800_000_000_000_000;
const UNIT = 1_000n;
const signer = (name: string): Signer => createSigner(sha256(utf8(name)));
const validators = ['a', 'b', 'c', 'd'].map(signer);
const joiner = signer('e');

const genesis: Genesis = {
  chainName: 'eras',
  timeUs: START_US,
  ordering: {
    kind: 'eda',
    validators: validators.map(({ publicKey }) => ({ publicKey, stake: UNIT })),
    stakeUnit: UNIT,
    profile: 'seele-40',
    deltaUs: 50_000,
    epsilonUs: 128,
    eraUs: ERA_US,
    attestEveryUs: 0,
  },
  parameters: {
    allocations: [...validators, joiner].map(({ account }) => ({ account, amount: 10n ** 12n })),
    settings: genesisSettings,
  },
};
const parts = { genesis, contracts: systemContracts, fees: tokenFees, verifySignature };

/** The first three validators, as index in the set, sign for an era. */
function certify({ headerHash }: Execution, era: number): Certificate {
  const votes = validators.slice(0, 3).map((by, from) => ({
    from,
    signature: by.sign(CERTIFICATE_DOMAIN, hexToBytes(headerHash) as Bytes),
  }));
  return { kind: 'eda', era, votes };
}

function createStage(chain: Chain) {
  let base = genesisBase(chain.id, START_US, ERA_US);
  const cutOf = (timeUs: number, by?: Signer, ...calls: readonly ContractCall[]) => ({
    height: chain.head.header.height + 1,
    parent: chain.head.hash,
    timeUs,
    decision: '11'.repeat(32),
    transactions: by
      ? [
          signTransaction(by, {
            chain: chain.id,
            publicKey: by.publicKey,
            nonce: chain.account(by.account).nonce,
            validUntilUs: timeUs + 60_000_000,
            fuelLimit: 10_000_000n,
            fuelPrice: 1n,
            calls,
          }),
        ].map(({ bytes }) => readTransaction(bytes))
      : [],
  });
  /** One cut, executed and committed; the era that consensus counts goes along. */
  const run = async (timeUs: number, by?: Signer, ...calls: readonly ContractCall[]) => {
    const { era } = base;
    const execution = chain.execute(cutOf(timeUs, by, ...calls), 'skip');
    expect(execution.receipts.map(({ code, message }) => code && `${code} ${message}`)).toEqual(
      by ? [undefined] : [],
    );
    await chain.commit(execution, certify(execution, era));
    const body = { slot: chain.head.header.height, timeUs, entries: [], vrf: new Uint8Array(80) };
    base = advanceBase(
      base,
      body as unknown as Parameters<typeof advanceBase>[1],
      '11'.repeat(32),
      ERA_US,
    );
    expect(chain.era).toBe(base.era);
    return chain.block(chain.head.header.height);
  };
  return { cutOf, run, era: () => base.era };
}

const open = (seed: number) => createSimulatedDisk(createSeededRandomness(seed)).open();
const sizeOf = (chain: Chain, era: number): number => chain.validators(era).validators.length;

test('a bond after many idle eras is in the set two borders later, a vote on parameters likewise', async () => {
  const store = open(1);
  const chain = await createChain({ ...parts, store });
  const { run, era } = createStage(chain);
  const begin = era();
  await run(START_US + 1_000);
  // Six eras without a cut; the next one crosses one border, and carries a bond.
  let timeUs = START_US + 6 * ERA_US;
  const { publicKey } = joiner;
  await run(timeUs, joiner, stakeCalls.bond({ publicKey, amount: UNIT }));
  expect(era()).toBe(begin + 1);
  expect([1, 2, 3].map((ahead) => sizeOf(chain, begin + ahead))).toEqual([4, 4, 5]);
  const wanted = { epsilonUs: 300, samplingPerMille: 500 };
  for (const by of validators.slice(0, 4))
    await run(
      (timeUs += 1_000),
      by,
      stakeCalls.voteParameters({ publicKey: by.publicKey, ...wanted }),
    );
  expect([2, 3].map((ahead) => chain.eraParameters(begin + ahead))).toEqual([{}, wanted]);

  // The cut that ends an era fixes nothing for the one that begins with it, nor for the next.
  timeUs = START_US + 7 * ERA_US;
  const unbond = stakeCalls.unbond({ publicKey, amount: UNIT });
  await run(timeUs, joiner, unbond);
  expect(era()).toBe(begin + 2);
  expect([2, 3, 4].map((ahead) => sizeOf(chain, begin + ahead))).toEqual([4, 5, 4]);

  // A node that opens the same data, and one that takes the blocks over, come to the same.
  const again = await createChain({ ...parts, store });
  expect(again.era).toBe(era());
  const follower = await createChain({ ...parts, store: open(2) });
  for (let height = 1; height <= chain.head.header.height; height++) {
    const block = chain.block(height);
    if (block) await follower.apply(block);
  }
  expect([follower.era, follower.head.hash]).toEqual([era(), chain.head.hash]);
});

test('a set that left office certifies nothing that comes after it', async () => {
  const chain = await createChain({ ...parts, store: open(3) });
  const { run, cutOf, era } = createStage(chain);
  await run(START_US + ERA_US);
  const execution = chain.execute(cutOf(START_US + ERA_US + 1), 'skip');
  // The same keys and weights: only the era is another one.
  for (const wrong of [era() - 1, era() + 1]) {
    const certificate = certify(execution, wrong);
    expect(chain.isCertified(execution.header, certificate)).toBe(false);
    await expect(chain.commit(execution, certificate)).rejects.toMatchObject({
      code: 'LEDGER_CERTIFICATE_INVALID',
    });
  }
  await chain.commit(execution, certify(execution, era()));
});
