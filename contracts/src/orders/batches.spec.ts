import { decodeWith, equalBytes } from '#libs/kernel';
import { verifyInclusion, createLogTree } from '#libs/merkle';
import {
  ordersAccount,
  type World,
  createWorld,
  person,
  MANIFEST,
} from '../testing/orders-world.ts';
import {
  BATCH_DELIVERY_DOMAIN,
  type BatchDelivery,
  batchDeliveryBytes,
  batchDeliveryHash,
  settledHead,
} from './batch-documents.ts';
import { type ArrayTerms, type OrderRecord, orderId, orderRecord } from './documents.ts';
import { ordersMethods } from './orders.ts';
import { ORDERS_CONTRACT, ordersKeys, prepaid } from './state.ts';
import {
  type UnitResult,
  decodeUnitLeaf,
  encodeUnitLeaf,
  splitUnitLeaves,
  joinUnitLeaves,
  unitLeafHashes,
  unitSetOf,
  unitSetProblem,
  unitsRoot,
  withoutUnits,
} from './units.ts';

const [consumer, market, provider, other] = ['consumer', 'market', 'provider', 'other'].map(
  person,
) as [
  ReturnType<typeof person>,
  ReturnType<typeof person>,
  ReturnType<typeof person>,
  ReturnType<typeof person>,
];
const people = [consumer, market, provider, other];

const leafOf = (unit: number, charge: bigint): UnitResult => ({
  unit,
  charge,
  exit: 'ok',
  usage: { cpuMs: 5, wallMs: 9, peakMemoryBytes: 1 << 20, inputBytes: 0, outputBytes: 7 },
  output: Uint8Array.from({ length: 36 }, (_, i) => i + 1),
});

function stage(terms: Partial<ArrayTerms> = {}, cap = 10_000n, deposit = 10_000n) {
  const world = createWorld({ people });
  const order = {
    ...{ chain: world.chain, consumer: consumer.account, market: market.account },
    ...{ salt: '01'.repeat(16), manifest: MANIFEST, priceCap: cap },
    placeByUs: world.timeUs + 60_000_000,
    completeByUs: world.timeUs + 600_000_000,
    array: { tasks: 1000, replicas: 2, unitPrice: 10n, ...terms },
  };
  const id = orderId(order);
  world.must(consumer, ORDERS_CONTRACT, ordersMethods.deposit, {
    account: consumer.account,
    amount: deposit,
  });
  const place = () =>
    world.must(market, ORDERS_CONTRACT, ordersMethods.place, world.signOrder(order, consumer));
  return { world, order, id, place };
}

const range = (from: number, count: number) => [{ from, count }];
const bindArgs = (order: string, fence: number, units = range(0, 100), unitPrice = 10n) => ({
  ...{ order, fence, units, unitPrice, provider: provider.account },
});

function deliveryFor(
  world: World,
  order: string,
  fence: number,
  change: Partial<BatchDelivery> = {},
  signer = provider,
) {
  const delivery: BatchDelivery = {
    ...{ chain: world.chain, order, provider: provider.account, fence },
    ...{ units: range(0, 100), root: 'ab'.repeat(32), charge: 700n },
    ...change,
  };
  const signature = signer.sign(BATCH_DELIVERY_DOMAIN, batchDeliveryBytes(delivery));
  return { delivery, publicKey: signer.publicKey, signature };
}

const recordOf = (world: World, id: string): OrderRecord =>
  decodeWith(orderRecord, world.get(ORDERS_CONTRACT, ordersKeys.order(id)) as Uint8Array);
const prepaidOf = (world: World): bigint => {
  const bytes = world.get(ORDERS_CONTRACT, ordersKeys.prepaid(consumer.account));
  return bytes ? decodeWith(prepaid, bytes).balance : 0n;
};

describe('an order of many tasks', () => {
  const { bindUnits, deliverUnits, settleUnits, releaseUnits, cancel, refund, bind } =
    ordersMethods;

  it('is held, delivered and paid batch by batch, and adds up', () => {
    const { world, id, place } = stage();
    place();
    expect(recordOf(world, id)).toMatchObject({ state: 'placed', escrow: 0n });
    world.must(market, ORDERS_CONTRACT, bindUnits, bindArgs(id, 1));
    expect(recordOf(world, id)).toMatchObject({ escrow: 1000n, fence: 1, array: { open: 1 } });
    expect(prepaidOf(world)).toBe(9000n);
    const signed = deliveryFor(world, id, 1, { units: range(0, 90) });
    world.must(other, ORDERS_CONTRACT, deliverUnits, signed);
    const before = world.balanceOf(provider.account);
    expect(world.must(market, ORDERS_CONTRACT, settleUnits, { order: id, fence: 1 })).toEqual({
      ...{ paid: 700n, refunded: 300n },
    });
    expect(world.balanceOf(provider.account) - before).toBe(700n);
    expect(prepaidOf(world)).toBe(9300n);
    const delivery = batchDeliveryHash(signed.delivery);
    expect(recordOf(world, id)).toMatchObject({
      ...{ escrow: 0n, paid: 700n, refunded: 300n },
      array: {
        ...{ open: 0, settled: 90 },
        head: settledHead(undefined, {
          ...{ fence: 1, provider: provider.account, units: range(0, 90), delivery, paid: 700n },
        }),
      },
    });
    world.must(market, ORDERS_CONTRACT, cancel, { order: id });
    expect(recordOf(world, id)).toMatchObject({ state: 'settled', paid: 700n });
    expect(world.balanceOf(ordersAccount)).toBe(9300n);
  });

  it('never has a unit in two batches, and takes none up again that was paid', () => {
    const { world, id, place } = stage();
    place();
    world.must(market, ORDERS_CONTRACT, bindUnits, bindArgs(id, 1));
    const again = (fence: number, units = range(99, 1)) =>
      world.refusal(market, ORDERS_CONTRACT, bindUnits, bindArgs(id, fence, units));
    expect(again(2)).toBe('ORDERS_UNITS_TAKEN');
    expect(again(2, range(950, 100))).toBe('nothing refused');
    world.must(
      other,
      ORDERS_CONTRACT,
      deliverUnits,
      deliveryFor(world, id, 1, { units: range(0, 90) }),
    );
    expect(again(3)).toBe('ORDERS_UNITS_TAKEN');
    world.must(market, ORDERS_CONTRACT, settleUnits, { order: id, fence: 1 });
    expect(again(3, range(89, 1))).toBe('ORDERS_UNITS_TAKEN');
    expect(again(3, range(90, 10))).toBe('nothing refused');
  });

  it('pays nothing for what the market withholds, and frees it', () => {
    const { world, id, place } = stage();
    place();
    world.must(market, ORDERS_CONTRACT, bindUnits, bindArgs(id, 1));
    world.must(other, ORDERS_CONTRACT, deliverUnits, deliveryFor(world, id, 1));
    const withheld = { units: range(10, 20), charge: 140n };
    const args = { order: id, fence: 1, withheld, reason: 'MARKET_QUORUM' };
    expect(world.refusal(consumer, ORDERS_CONTRACT, settleUnits, args)).toBe('ORDERS_WINDOW_OVER');
    const greedy = { ...args, withheld: { units: range(90, 20), charge: 1n } };
    expect(world.refusal(market, ORDERS_CONTRACT, settleUnits, greedy)).toBe('ORDERS_UNITS');
    expect(world.must(market, ORDERS_CONTRACT, settleUnits, args)).toEqual({
      ...{ paid: 560n, refunded: 440n },
    });
    expect(recordOf(world, id).array?.settled).toBe(80);
    world.must(market, ORDERS_CONTRACT, bindUnits, bindArgs(id, 2, range(10, 20)));
  });

  it('gives a lost batch back, and refuses what its provider says afterwards', () => {
    const { world, id, place } = stage();
    place();
    world.must(market, ORDERS_CONTRACT, bindUnits, bindArgs(id, 1));
    const release = { order: id, fence: 1 };
    expect(world.refusal(other, ORDERS_CONTRACT, releaseUnits, release)).toBe('ORDERS_NOT_DUE');
    world.must(market, ORDERS_CONTRACT, releaseUnits, release);
    expect(prepaidOf(world)).toBe(10_000n);
    const late = deliveryFor(world, id, 1);
    expect(world.refusal(provider, ORDERS_CONTRACT, deliverUnits, late)).toBe('ORDERS_FENCE_STALE');
    world.must(market, ORDERS_CONTRACT, bindUnits, bindArgs(id, 2));
    expect(world.refusal(provider, ORDERS_CONTRACT, deliverUnits, late)).toBe('ORDERS_FENCE_STALE');
  });

  it('can be ended by anyone when its time is over, batch after batch', () => {
    const { world, id, place, order } = stage();
    place();
    world.must(market, ORDERS_CONTRACT, bindUnits, bindArgs(id, 1));
    world.must(market, ORDERS_CONTRACT, bindUnits, bindArgs(id, 2, range(100, 50)));
    world.must(other, ORDERS_CONTRACT, deliverUnits, deliveryFor(world, id, 1));
    world.advance(order.completeByUs - world.timeUs);
    const calls = () => ({
      release: world.refusal(other, ORDERS_CONTRACT, releaseUnits, { order: id, fence: 2 }),
      refund: world.refusal(other, ORDERS_CONTRACT, refund, { order: id }),
    });
    expect(calls()).toEqual({ release: 'ORDERS_NOT_DUE', refund: 'ORDERS_BATCHES_OPEN' });
    world.advance(30_000_000);
    expect(calls()).toEqual({ release: 'nothing refused', refund: 'ORDERS_BATCHES_OPEN' });
    world.advance(600_000_000);
    world.must(other, ORDERS_CONTRACT, settleUnits, { order: id, fence: 1 });
    world.must(other, ORDERS_CONTRACT, refund, { order: id });
    expect(recordOf(world, id)).toMatchObject({ state: 'settled', escrow: 0n, paid: 700n });
  });

  it.each([
    ['ORDERS_UNITS', { units: range(1_950, 60) }],
    ['ORDERS_UNITS', { units: [...range(5, 1), ...range(5, 1)] }],
    ['ORDERS_UNITS', { units: [...range(0, 150), ...range(200, 100)] }],
    ['ORDERS_PRICE_TOO_HIGH', { unitPrice: 11n }],
    ['ORDERS_FENCE_STALE', { fence: 0 }],
  ])('refuses a batch with %s', (code, change) => {
    const { world, id, place } = stage();
    place();
    const args = { ...bindArgs(id, 1), ...change };
    expect(world.refusal(market, ORDERS_CONTRACT, bindUnits, args)).toBe(code);
  });

  it('refuses batches that are not covered, above the cap, or of an order of one task', () => {
    const poor = stage({}, 10_000n, 500n);
    poor.place();
    expect(poor.world.refusal(market, ORDERS_CONTRACT, bindUnits, bindArgs(poor.id, 1))).toBe(
      'ORDERS_PREPAID_TOO_LOW',
    );
    const capped = stage({}, 900n);
    capped.place();
    expect(capped.world.refusal(market, ORDERS_CONTRACT, bindUnits, bindArgs(capped.id, 1))).toBe(
      'ORDERS_PRICE_TOO_HIGH',
    );
    const whole = { order: capped.id, provider: provider.account, price: 1n, fence: 1 };
    expect(capped.world.refusal(market, ORDERS_CONTRACT, bind, whole)).toBe('ORDERS_STATE');
    const { world, order } = stage({ tasks: 0 });
    const signed = world.signOrder(order, consumer);
    expect(world.refusal(market, ORDERS_CONTRACT, ordersMethods.place, signed)).toBe(
      'ORDERS_ARRAY',
    );
  });

  it.each([
    ['ORDERS_CHARGE_TOO_HIGH', { charge: 1_001n }],
    ['ORDERS_UNITS', { units: range(50, 51) }],
    ['ORDERS_WRONG_CHAIN', { chain: 'cc'.repeat(32) }],
    ['ORDERS_NOT_PROVIDER', { provider: other.account }],
  ])('refuses a delivery with %s', (code, change) => {
    const { world, id, place } = stage();
    place();
    world.must(market, ORDERS_CONTRACT, bindUnits, bindArgs(id, 1));
    const signed = deliveryFor(world, id, 1, change);
    expect(world.refusal(provider, ORDERS_CONTRACT, deliverUnits, signed)).toBe(code);
  });
});

describe('units', () => {
  it('are packed into leaves that say all of it, and each is provable under the root', () => {
    const results = [0, 1, 2, 5, 7].map((unit) => leafOf(unit, BigInt(unit) * 3n));
    const leaves = results.map(encodeUnitLeaf);
    expect(leaves.map((leaf) => decodeUnitLeaf(leaf))).toEqual(results);
    const split = splitUnitLeaves(joinUnitLeaves(leaves)) as Uint8Array[];
    expect(split.every((leaf, i) => equalBytes(leaf, leaves[i] as Uint8Array))).toBe(true);
    const hashes = unitLeafHashes(leaves);
    const tree = createLogTree(hashes);
    const root = unitsRoot(leaves);
    expect(tree.root()).toBe(root);
    const proof = tree.inclusionProof(3);
    expect(verifyInclusion(hashes[3] as string, 3, 5, proof, root)).toBe(true);
    expect(verifyInclusion(hashes[2] as string, 3, 5, proof, root)).toBe(false);
  });

  it('are sets: made, checked and taken apart', () => {
    const set = unitSetOf([7, 3, 4, 5, 4, 9]);
    expect(set).toEqual([
      { from: 3, count: 3 },
      { from: 7, count: 1 },
      { from: 9, count: 1 },
    ]);
    expect(unitSetProblem(set, 10)).toBeUndefined();
    expect(unitSetProblem(set, 9)).toContain('unit 9');
    expect(withoutUnits(set, [{ from: 4, count: 1 }])).toEqual(unitSetOf([3, 5, 7, 9]));
  });
});
