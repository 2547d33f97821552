import { readFileSync } from 'node:fs';
import { createSigner, verifySignature } from '#libs/crypto';
import { TOKEN, decodeWith } from '#libs/kernel';
import { createContractHarness } from '#libs/ledger';
import {
  CONTRACT_ERRORS,
  DELIVERY_DOMAIN,
  type Delivery,
  ORDER_DOMAIN,
  type Order,
  deliveryBytes,
  genesisSettings,
  orderBytes,
  orderId,
  orderRecord,
  ordersKeys,
  ordersMethods,
  systemContracts,
  tokenFees,
} from './index.ts';

// From here to the end mark, docs/contracts.md shows these very lines.
// example
function buyOneJob() {
  const signer = (n: number) => createSigner(new Uint8Array(32).fill(n));
  const [consumer, market, provider] = [signer(1), signer(2), signer(3)];
  const chain = createContractHarness({
    contracts: systemContracts,
    parameters: {
      allocations: [{ account: consumer.account, amount: 10n * TOKEN }],
      settings: genesisSettings,
    },
    fees: tokenFees,
    verifySignature,
  });

  // The consumer prepays 3 tokens and signs an order for at most 2.
  chain.call(consumer.account, 'orders', ordersMethods.deposit, {
    account: consumer.account,
    amount: 3n * TOKEN,
  });
  const order: Order = {
    chain: chain.chain,
    consumer: consumer.account,
    market: market.account,
    salt: '00'.repeat(16),
    manifest: 'bafyreigdmqpykrgxyaxtlafqpqhzrb7qy2rh75nldvfd4tucqmqqme5yje',
    priceCap: 2n * TOKEN,
    placeByUs: chain.timeUs + 60_000_000,
    completeByUs: chain.timeUs + 600_000_000,
  };
  const signature = consumer.sign(ORDER_DOMAIN, orderBytes(order));
  const id = orderId(order);

  // The market places it, which holds the 2 tokens, and binds it to a provider for 1.5.
  const { place, bind, deliver, settle } = ordersMethods;
  const { publicKey } = consumer;
  chain.call(market.account, 'orders', place, { order, publicKey, signature });
  chain.call(market.account, 'orders', bind, {
    order: id,
    provider: provider.account,
    price: (15n * TOKEN) / 10n,
    fence: 1,
  });

  // The provider signs what it did and asks for 1.2; anyone may hand that in.
  const delivery: Delivery = {
    chain: chain.chain,
    order: id,
    provider: provider.account,
    fence: 1,
    exit: 'ok',
    result: 'bafyreigdmqpykrgxyaxtlafqpqhzrb7qy2rh75nldvfd4tucqmqqme5yje',
    usage: {
      cpuMs: 40,
      wallMs: 55,
      peakMemoryBytes: 9_000_000,
      inputBytes: 48_000,
      outputBytes: 600,
    },
    charge: (12n * TOKEN) / 10n,
    logLength: 7,
    logHead: 'ab'.repeat(32),
  };
  chain.call(market.account, 'orders', deliver, {
    delivery,
    publicKey: provider.publicKey,
    signature: provider.sign(DELIVERY_DOMAIN, deliveryBytes(delivery)),
  });

  // The market checked the result and settles: 1.2 to the provider, 0.8 back to the consumer.
  chain.call(market.account, 'orders', settle, { order: id, fence: 1 });
  return decodeWith(orderRecord, chain.get('orders', ordersKeys.order(id)) ?? new Uint8Array());
}
// end of the example

describe('docs/contracts.md', () => {
  const page = readFileSync(new URL('../../docs/contracts.md', import.meta.url), 'utf8');

  it('shows the example that this test runs', () => {
    expect(buyOneJob()).toMatchObject({
      state: 'settled',
      escrow: 0n,
      paid: 1_200_000_000n,
      refunded: 800_000_000n,
    });
    const source = readFileSync(import.meta.filename, 'utf8');
    const [, example] = /\/\/ example\n([\s\S]*?)\/\/ end of the example/.exec(source) ?? [];
    expect(page).toContain(example?.trimEnd());
  });

  it('names every method, every refusal and every setting', () => {
    const wanted = [
      ...systemContracts.flatMap(({ methods }) => Object.keys(methods).map((key) => `\`${key}`)),
      ...genesisSettings.map(({ name }) => `\`${name}\``),
      ...Object.keys(CONTRACT_ERRORS).map((code) => `\`${code}\``),
    ];
    expect(wanted.filter((what) => !page.includes(what))).toEqual([]);
  });
});
