import { keyedHashSigner, keyedHashVerifier } from '#libs/crypto';
import { createSeededRandomness, encodeCbor, encodeWith, utf8 } from '#libs/kernel';
import { createSimulatedDisk } from '#libs/store';
import { vmError } from '#libs/vm';
import { createChain } from './chain.ts';
import type { Genesis } from './genesis.ts';
import { createMempool } from './mempool.ts';
import { createProducer } from './producer.ts';
import { createSoloOrdering } from './solo.ts';
import { toyFees, toyToken, transfer } from './testing/toy-contracts.ts';
import { signTransaction } from './transaction.ts';
import type { DeployedContract, UserContracts } from './user-frames.ts';

const secret = utf8('test secret');
const sequencer = keyedHashSigner(secret, utf8('sequencer'));
const alice = keyedHashSigner(secret, utf8('alice'));
const START_US = 1_700_000_000_000_000;
const CONTRACT = 'cc'.repeat(32);

const genesis: Genesis = {
  chainName: 'test',
  timeUs: START_US,
  ordering: { kind: 'solo', sequencer: sequencer.publicKey },
  parameters: { allocations: [{ account: alice.account, amount: 10n ** 15n }], settings: [] },
};

/** An engine that counts its calls in the chain's state, and whose host fails the first times. */
function frailEngine(faults: number) {
  const seen = { runs: 0, resets: 0 };
  const deployed: DeployedContract = { account: CONTRACT, loadFuel: 1_000n };
  const port: UserContracts = {
    find: (_state, contract) => (contract === CONTRACT ? deployed : undefined),
    run: (_state, _contract, { host }) => {
      const key = utf8('count');
      const count = (host.get(key)?.[0] ?? 0) + 1;
      host.put(key, Uint8Array.of(count));
      if (++seen.runs <= faults) throw vmError('VM_HOST_FAULT', 'the host ran out of memory');
      return { kind: 'returned', data: encodeCbor(count), fuelUsed: 5_000n };
    },
    payment: () => ({ contract: 'token', method: 'transfer', args: new Uint8Array() }),
    reset: () => void seen.resets++,
  };
  return { port, seen };
}

async function nodeWith(faults: number) {
  const { port, seen } = frailEngine(faults);
  const disk = createSimulatedDisk(createSeededRandomness(1));
  const open = (userContracts: UserContracts) =>
    createChain({
      ...{ genesis, contracts: [toyToken], fees: toyFees, store: disk.open() },
      ...{ verifySignature: keyedHashVerifier(secret), userContracts },
    });
  const chain = await open(port);
  const mempool = createMempool({ chain: chain.id, limits: chain.limits, accounts: chain });
  const producer = createProducer({ chain, mempool, ordering: createSoloOrdering(sequencer) });
  const calls = [
    [
      {
        contract: 'token',
        method: 'transfer',
        args: encodeWith(transfer.args, { to: sequencer.account, amount: 5n }),
      },
    ],
    [{ contract: CONTRACT, method: 'count', args: encodeCbor([]) }],
  ];
  for (const [nonce, of] of calls.entries()) {
    const admission = mempool.add(
      signTransaction(alice, {
        ...{ chain: chain.id, publicKey: alice.publicKey, nonce, calls: of },
        ...{ validUntilUs: START_US + 10 ** 9, fuelLimit: 2_000_000n, fuelPrice: 1n },
      }),
      START_US,
    );
    if (!admission.ok) throw admission.error;
  }
  return { chain, producer, seen, open };
}

describe('a failure of the host while a block executes', () => {
  it('is never a result: the block runs again on a fresh engine and comes out as without it', async () => {
    const [sound, frail] = [await nodeWith(0), await nodeWith(1)];
    const expected = await sound.producer.step(START_US + 1_000);
    const block = await frail.producer.step(START_US + 1_000);
    expect(frail.seen).toEqual({ runs: 2, resets: 1 });
    expect(block?.receipts.map(({ status }) => status)).toEqual(['ok', 'ok']);
    expect(block?.header).toEqual(expected?.header);
    expect(frail.chain.get(CONTRACT, utf8('count'))).toEqual(Uint8Array.of(1));
  });

  it('stops the chain when it repeats, with nothing of the block stored', async () => {
    const { chain, producer, seen, open } = await nodeWith(2);
    await expect(producer.step(START_US + 1_000)).rejects.toMatchObject({ code: 'VM_HOST_FAULT' });
    expect(seen).toEqual({ runs: 2, resets: 1 });
    expect(chain.head.header.height).toBe(0);
    const again = await open(frailEngine(0).port);
    expect(again.head.header.height).toBe(0);
    expect(again.account(alice.account)).toEqual({ balance: 10n ** 15n, nonce: 0 });
    expect(again.get(CONTRACT, utf8('count'))).toBeUndefined();
  });
});
