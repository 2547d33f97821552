import type { Signer } from '#libs/crypto';
import { decodeWith } from '#libs/kernel';
import type { ContractMethod, LedgerEvent } from '#libs/ledger';
import { orderId } from '../orders/documents.ts';
import { ordersMethods } from '../orders/orders.ts';
import { MANIFEST, createWorld, deliveryOf, person } from '../testing/orders-world.ts';
import { followReputation } from './derive.ts';
import {
  REPUTATION_CONTRACT,
  type ReputationRecord,
  outcomeOf,
  reputationKeys,
  reputationMethods,
  reputationRecord,
  reputationScore,
} from './reputation.ts';

const [consumer, market, liar, good] = ['consumer', 'market', 'liar', 'good'].map(person) as [
  ...[Signer, Signer, Signer, Signer],
];

test('orders count what became of deliveries, and the log alone gives the same records', () => {
  const world = createWorld({ people: [consumer, market, liar, good] });
  const seen = new Map<string, ReputationRecord>();
  const events: LedgerEvent[] = [];
  function must<A, R>(by: Signer, method: ContractMethod<A, R>, args: A): void {
    const outcome = world.call(by.account, 'orders', method, args);
    if (!outcome.ok) throw new Error(`${outcome.code}: ${outcome.message}`);
    events.push(...outcome.events);
    followReputation(seen, outcome.events, world.timeUs);
    world.advance(3);
  }
  const stored = (provider: Signer): ReputationRecord | undefined => {
    const bytes = world.get(REPUTATION_CONTRACT, reputationKeys.provider(provider.account));
    return bytes && decodeWith(reputationRecord, bytes);
  };
  const { account } = consumer;
  must(consumer, ordersMethods.deposit, { account, amount: 5_000n });
  for (const salt of ['01', '02']) {
    const order = {
      ...{ chain: world.chain, consumer: account, market: market.account, manifest: MANIFEST },
      ...{ salt: salt.repeat(16), priceCap: 900n },
      ...{ placeByUs: world.timeUs + 60_000_000, completeByUs: world.timeUs + 600_000_000 },
    };
    const id = orderId(order);
    must(market, ordersMethods.place, world.signOrder(order, consumer));
    for (const [i, provider] of [liar, good].entries()) {
      const fence = i + 1;
      const lease = { order: id, provider: provider.account, fence };
      must(market, ordersMethods.bind, { ...lease, price: 700n });
      const delivery = deliveryOf({ chain: world.chain, ...lease, charge: 600n });
      must(provider, ordersMethods.deliver, world.signDelivery(delivery, provider));
      if (provider === liar)
        must(market, ordersMethods.reject, { order: id, fence, reason: 'MARKET_ODD_RESULT' });
      else must(market, ordersMethods.settle, { order: id, fence });
    }
  }
  expect(stored(liar)).toMatchObject({ settled: 0, rejected: 2, paid: 0n });
  expect(stored(good)).toMatchObject({ settled: 2, rejected: 0, paid: 1_200n });
  expect(stored(consumer)).toBeUndefined();
  expect(seen.get(liar.account)).toEqual(stored(liar));
  expect(seen.get(good.account)).toEqual(stored(good));
  expect(seen.size).toBe(2);
});

test('nobody else writes it, the market and the provider least of all', () => {
  const world = createWorld({ people: [market, good] });
  const praise = outcomeOf(good.account, { settled: 1_000 });
  for (const by of [market, good])
    expect(world.refusal(by, REPUTATION_CONTRACT, reputationMethods.record, praise)).toBe(
      'REPUTATION_NOT_WRITER',
    );
});

test('the score is that of Laplace: unknown 500, rising with good work, falling by far with a lost dispute', () => {
  const score = (settled: number, rejected = 0, disputesLost = 0) =>
    reputationScore({ settled, rejected, disputesLost });
  expect(reputationScore(undefined)).toBe(500);
  expect([score(1), score(8), score(998)]).toEqual([666, 900, 999]);
  expect(score(998, 0, 1)).toBe(908);
  expect(score(8, 10)).toBe(450);
});
