import { type Signer, contractAccount } from '#libs/crypto';
import { decodeWith } from '#libs/kernel';
import { type Delivery, orderId } from '../orders/documents.ts';
import { ordersMethods } from '../orders/orders.ts';
import { followReputation } from '../reputation/derive.ts';
import {
  REPUTATION_CONTRACT,
  type ReputationRecord,
  reputationKeys,
  reputationRecord,
} from '../reputation/reputation.ts';
import { MANIFEST, type World, createWorld, deliveryOf, person } from '../testing/orders-world.ts';
import { disputesMethods as methods } from './disputes.ts';
import { DISPUTES_CONTRACT as DISPUTES } from './events.ts';
import { bondRecord, disputesKeys } from './state.ts';

const OTHER = 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku';
const names = ['consumer', 'market', 'liar', 'p2', 'p3', 'p4'] as const;
const people = Object.fromEntries(names.map((name) => [name, person(name)])) as Record<
  (typeof names)[number],
  Signer
>;
const { consumer, market, liar, p2, p3 } = people;
const EACH = 100_000n;

function started(): World {
  const world = createWorld({
    people: Object.values(people),
    amountEach: EACH,
    settings: { 'disputes.windowUs': 10_000n },
  });
  world.must(liar, DISPUTES, methods.bond, { amount: 10_000n });
  world.must(liar, DISPUTES, methods.unbond, { amount: 4_000n });
  for (const { account } of [consumer, market])
    world.must(consumer, 'orders', ordersMethods.deposit, { account, amount: 10_000n });
  return world;
}

let salt = 0;
/** An order of this consumer that the provider has delivered like that. */
function delivered(
  world: World,
  by: Signer,
  provider: Signer,
  change: Partial<Delivery> = {},
  manifest = MANIFEST,
  at = market,
): string {
  const order = {
    ...{ chain: world.chain, consumer: by.account, market: at.account, manifest },
    ...{ salt: (++salt).toString(16).padStart(32, '0'), priceCap: 900n },
    ...{ placeByUs: world.timeUs + 60_000_000, completeByUs: world.timeUs + 600_000_000 },
  };
  const id = orderId(order);
  const lease = { order: id, provider: provider.account, fence: 1 };
  world.must(at, 'orders', ordersMethods.place, world.signOrder(order, by));
  world.must(at, 'orders', ordersMethods.bind, { ...lease, price: 700n });
  const honest = deliveryOf({ chain: world.chain, ...lease, charge: 600n });
  const delivery: Delivery = { ...honest, ...change };
  world.must(provider, 'orders', ordersMethods.deliver, world.signDelivery(delivery, provider));
  world.must(at, 'orders', ordersMethods.settle, { order: id, fence: 1 });
  return id;
}

const bondOf = (world: World, { account }: Signer): bigint => {
  const bytes = world.get(DISPUTES, disputesKeys.bond(account));
  return bytes ? decodeWith(bondRecord, bytes).bonded : 0n;
};

test('who alone came to something else loses half of the bond, and the consumer gets the price back', () => {
  const world = started();
  const order = delivered(world, consumer, liar, { result: OTHER });
  const others = [delivered(world, market, p2), delivered(world, market, p3)];
  const accounts = [...Object.values(people).map(({ account }) => account)].concat(
    ['orders', 'disputes'].map(contractAccount),
  );
  const supply = (): bigint => accounts.reduce((sum, one) => sum + world.balanceOf(one), 0n);
  const [before, all] = [world.balanceOf(consumer.account), supply()];
  const outcome = world.call(market.account, DISPUTES, methods.convict, { order, others });
  if (!outcome.ok) throw new Error(outcome.code);
  expect(outcome.value).toEqual({ slashed: 5_000n });
  expect(bondOf(world, liar)).toBe(3_000n);
  expect(world.balanceOf(consumer.account)).toBe(before + 600n);
  expect(supply()).toBe(all);
  const stored = decodeWith(
    reputationRecord,
    world.get(REPUTATION_CONTRACT, reputationKeys.provider(liar.account)) as Uint8Array,
  );
  expect(stored).toMatchObject({ settled: 1, disputesLost: 1 });
  const derived = new Map<string, ReputationRecord>();
  followReputation(derived, outcome.events, world.timeUs);
  expect(derived.get(liar.account)).toMatchObject({ disputesLost: 1 });
  const again = world.refusal(market, DISPUTES, methods.convict, { order, others });
  expect(again).toBe('DISPUTES_EXISTS');
});

test('an auditor that lied is the odd one as well', () => {
  const world = started();
  const audited = delivered(world, consumer, p2);
  const order = delivered(world, market, liar, { exit: 'guest-error', result: undefined });
  const others = [audited, delivered(world, market, p3)];
  expect(world.must(market, DISPUTES, methods.convict, { order, others }).slashed).toBe(5_000n);
});

test('refused: strangers, other manifests, one provider twice, no majority, limits, too late', () => {
  const world = started();
  const order = delivered(world, consumer, liar, { result: OTHER });
  const [good, same] = [delivered(world, market, p2), delivered(world, market, p3)];
  const refusal = (by: Signer, others: string[], odd = order) =>
    world.refusal(by, DISPUTES, methods.convict, { order: odd, others });
  expect(refusal(consumer, [good, same])).toBe('DISPUTES_NOT_PARTY');
  const elsewhere = delivered(world, market, people.p4, {}, MANIFEST, people.p4);
  expect(refusal(market, [good, elsewhere])).toBe('DISPUTES_NOT_PARTY');
  const foreign = delivered(world, market, people.p4, {}, OTHER);
  expect(refusal(market, [good, foreign])).toBe('DISPUTES_NOT_COMPARABLE');
  expect(refusal(market, [good, delivered(world, market, p2)])).toBe('DISPUTES_NOT_COMPARABLE');
  expect(refusal(market, [good])).toBe('DISPUTES_NOT_COMPARABLE');
  expect(refusal(market, [order, same], good)).toBe('DISPUTES_SAME');
  const slow = delivered(world, market, people.p4, { exit: 'wall-limit', result: undefined });
  expect(refusal(market, [good, same], slow)).toBe('DISPUTES_NOT_COMPARABLE');
  expect(refusal(market, [good, 'ab'.repeat(32)])).toBe('DISPUTES_NOT_COMPARABLE');
  expect(bondOf(world, liar)).toBe(6_000n);
  world.advance(10_000);
  expect(refusal(market, [good, same])).toBe('DISPUTES_LATE');
});
