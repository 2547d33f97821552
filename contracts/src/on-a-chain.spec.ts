import { type Signer, createSigner, verifySignature } from '#libs/crypto';
import { TOKEN, createSeededRandomness, decodeWith } from '#libs/kernel';
import {
  type Chain,
  type Genesis,
  createChain,
  createMempool,
  createProducer,
  createSoloOrdering,
  genesisId,
  signTransaction,
  verifyStateProof,
} from '#libs/ledger';
import { createSimulatedDisk } from '#libs/store';
import {
  type ContractCall,
  DELIVERY_DOMAIN,
  NAMES_CONTRACT,
  ORDERS_CONTRACT,
  ORDER_DOMAIN,
  type Order,
  deliveryBytes,
  genesisSettings,
  nameRecord,
  namesCalls,
  namesKeys,
  orderBytes,
  orderId,
  orderRecord,
  ordersCalls,
  ordersEvents,
  ordersKeys,
  readEvent,
  systemContracts,
  tokenCalls,
  tokenFees,
  tokenKeys,
} from './index.ts';
import { MANIFEST, deliveryOf } from './testing/orders-world.ts';

const START_US = 1_800_000_000_000_000;
const signer = (n: number): Signer => createSigner(new Uint8Array(32).fill(n));
const [sequencer, consumer, market, provider] = [signer(1), signer(2), signer(3), signer(4)];

const genesis: Genesis = {
  chainName: 'test',
  timeUs: START_US,
  ordering: { kind: 'solo', sequencer: sequencer.publicKey },
  parameters: {
    allocations: [consumer, market].map(({ account }) => ({ account, amount: 100n * TOKEN })),
    settings: genesisSettings,
  },
};

async function newChain() {
  const chain = await createChain({
    genesis,
    contracts: systemContracts,
    fees: tokenFees,
    store: createSimulatedDisk(createSeededRandomness(1)).open(),
    verifySignature,
  });
  const { id, limits } = chain;
  const mempool = createMempool({ chain: id, limits, accounts: chain });
  const producer = createProducer({ chain, mempool, ordering: createSoloOrdering(sequencer) });
  let nowUs = START_US;
  /** One transaction, one block; its receipt. */
  const run = async (by: Signer, ...calls: readonly ContractCall[]) => {
    const body = {
      chain: id,
      publicKey: by.publicKey,
      nonce: chain.account(by.account).nonce,
      validUntilUs: nowUs + 60_000_000,
      fuelLimit: 10_000_000n,
      fuelPrice: 1n,
      calls,
    };
    mempool.add(signTransaction(by, body), nowUs);
    nowUs += 1_000;
    const block = await producer.step(nowUs);
    return block?.receipts[0];
  };
  return { chain, run };
}

const supplyOf = (chain: Chain): bigint =>
  chain
    .scan('token', tokenKeys.balances, { limit: 100 })
    .reduce((sum, [key, value]) => sum + tokenFees.valueOf(key, value), 0n);

function signedOrder(chain: string) {
  const order: Order = {
    chain,
    consumer: consumer.account,
    market: market.account,
    salt: '07'.repeat(16),
    manifest: MANIFEST,
    priceCap: 2n * TOKEN,
    placeByUs: START_US + 60_000_000,
    completeByUs: START_US + 600_000_000,
  };
  const signature = consumer.sign(ORDER_DOMAIN, orderBytes(order));
  return { order, publicKey: consumer.publicKey, signature };
}

describe('the system contracts on a real chain', () => {
  it('carry an order from deposit to settlement in three transactions, money conserved', async () => {
    const { chain, run } = await newChain();
    const supply = supplyOf(chain);
    const signed = signedOrder(chain.id);
    const order = orderId(signed.order);
    const deposit = { account: consumer.account, amount: 3n * TOKEN };
    expect(await run(consumer, ordersCalls.deposit(deposit))).toMatchObject({ status: 'ok' });
    const bound = { order, provider: provider.account, price: TOKEN, fence: 1 };
    const opened = await run(market, ordersCalls.place(signed), ordersCalls.bind(bound));
    expect(opened).toMatchObject({ status: 'ok' });
    const delivery = deliveryOf({
      chain: chain.id,
      order,
      provider: provider.account,
      fence: 1,
      charge: TOKEN / 2n,
    });
    const signature = provider.sign(DELIVERY_DOMAIN, deliveryBytes(delivery));
    const handedIn = { delivery, publicKey: provider.publicKey, signature };
    const closed = await run(
      market,
      ordersCalls.deliver(handedIn),
      ordersCalls.settle({ order, fence: 1 }),
    );
    const settled = closed?.events.map((event) => readEvent(ordersEvents.settled, event));
    expect(settled?.at(-1)).toMatchObject({ order, paid: TOKEN / 2n, refunded: (3n * TOKEN) / 2n });
    expect(chain.account(provider.account).balance).toBe(TOKEN / 2n);
    expect(supplyOf(chain)).toBe(supply);
    const stored = chain.get(ORDERS_CONTRACT, ordersKeys.order(order)) ?? new Uint8Array();
    expect(decodeWith(orderRecord, stored)).toMatchObject({ state: 'settled', escrow: 0n });
  });

  it('refuse with their code in the receipt, and undo every call of the transaction', async () => {
    const { chain, run } = await newChain();
    const before = chain.account(provider.account).balance;
    const receipt = await run(
      market,
      tokenCalls.transfer({ to: provider.account, amount: 5n }),
      ordersCalls.place(signedOrder(chain.id)),
    );
    expect(receipt).toMatchObject({ status: 'reverted', code: 'ORDERS_PREPAID_TOO_LOW' });
    expect(chain.account(provider.account).balance).toBe(before);
  });

  it('prove whom a name stands for, and that a free name stands for nobody', async () => {
    const { chain, run } = await newChain();
    await run(consumer, namesCalls.register({ name: 'weather-lab' }));
    const proofOf = (name: string) => chain.prove(NAMES_CONTRACT, namesKeys.name(name));
    expect(chain.id).toBe(genesisId(genesis));
    const { value } = verifyStateProof(genesis, proofOf('weather-lab'), verifySignature);
    expect(decodeWith(nameRecord, value ?? new Uint8Array()).account).toBe(consumer.account);
    const free = verifyStateProof(genesis, proofOf('weather-lib'), verifySignature);
    expect(free.value).toBeUndefined();
  });
});
