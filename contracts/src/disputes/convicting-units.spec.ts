import type { Signer } from '#libs/crypto';
import { decodeWith } from '#libs/kernel';
import { createLogTree } from '#libs/merkle';
import { BATCH_DELIVERY_DOMAIN, batchDeliveryBytes } from '../orders/batch-documents.ts';
import { type ExitClass, orderId } from '../orders/documents.ts';
import { ordersMethods } from '../orders/orders.ts';
import { encodeUnitLeaf, unitSetOf, unitsRoot } from '../orders/units.ts';
import { MANIFEST, type World, createWorld, person } from '../testing/orders-world.ts';
import type { UnitAnswer } from './convicting-units.ts';
import { disputesMethods as methods } from './disputes.ts';
import { DISPUTES_CONTRACT as DISPUTES } from './events.ts';
import { bondRecord, disputesKeys } from './state.ts';

const OTHER = 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku';
const names = ['consumer', 'market', 'liar', 'p2', 'p3', 'p4'] as const;
const people = Object.fromEntries(names.map((name) => [name, person(name)])) as Record<
  (typeof names)[number],
  Signer
>;
const { consumer, market, liar, p2, p3, p4 } = people;
const TASKS = 100;
const WINDOW_US = 10_000;

function started(): World {
  const world = createWorld({
    people: Object.values(people),
    amountEach: 100_000n,
    settings: { 'disputes.windowUs': BigInt(WINDOW_US) },
  });
  world.must(liar, DISPUTES, methods.bond, { amount: 10_000n });
  return world;
}

interface Asked {
  readonly by?: Signer;
  readonly at?: Signer;
  readonly manifest?: string;
  readonly tasks?: number;
}

let salt = 0;
/** An order of many tasks that a block has. */
function placed(
  world: World,
  { by = market, at = market, manifest = MANIFEST, tasks = TASKS }: Asked = {},
): string {
  const order = {
    ...{ chain: world.chain, consumer: by.account, market: at.account, manifest },
    ...{ salt: (++salt).toString(16).padStart(32, '0'), priceCap: 900n },
    ...{ placeByUs: world.timeUs + 60_000_000, completeByUs: world.timeUs + 600_000_000 },
    array: { tasks, replicas: 1, unitPrice: 9n },
  };
  world.must(at, 'orders', ordersMethods.place, world.signOrder(order, by));
  return orderId(order);
}

interface Said {
  readonly units?: readonly number[];
  /** The unit that is shown. */
  readonly unit?: number;
  /** What it says of it; equal for equal numbers. */
  readonly saying?: number;
  readonly exit?: ExitClass;
}

/** What a provider signed of a batch, and one unit of it. */
function answer(
  world: World,
  order: string,
  provider: Signer,
  { units = [7], unit = 7, saying = 0, exit = 'ok' }: Said = {},
): UnitAnswer {
  const leaves = units.map((one) =>
    encodeUnitLeaf({
      ...{ unit: one, exit, charge: 6n },
      usage: { cpuMs: 5, wallMs: 9, peakMemoryBytes: 1, inputBytes: 0, outputBytes: 7 },
      ...(exit === 'ok' && { output: Uint8Array.from({ length: 36 }, (_, i) => i + 1 + saying) }),
    }),
  );
  const delivery = {
    ...{ chain: world.chain, order, provider: provider.account, fence: 1 },
    ...{ units: unitSetOf(units), root: unitsRoot(leaves), charge: 6n * BigInt(units.length) },
  };
  const signature = provider.sign(BATCH_DELIVERY_DOMAIN, batchDeliveryBytes(delivery));
  const tree = createLogTree();
  for (const leaf of leaves) tree.append(leaf);
  const at = units.indexOf(unit);
  return {
    delivery: { delivery, publicKey: provider.publicKey, signature },
    leaf: leaves[at] as Uint8Array,
    proof: tree.inclusionProof(at, leaves.length),
  };
}

const bondOf = (world: World, { account }: Signer): bigint => {
  const bytes = world.get(DISPUTES, disputesKeys.bond(account));
  return bytes ? decodeWith(bondRecord, bytes).bonded : 0n;
};
const BATCH = Array.from({ length: 50 }, (_, i) => i);

test('who alone came to something else in one task of a batch is convicted, and the task is paid back', () => {
  const world = started();
  const odd = answer(world, placed(world, { by: consumer }), liar, { units: BATCH, saying: 1 });
  const others = [p2, p3].map((one) => answer(world, placed(world), one));
  const before = world.balanceOf(consumer.account);
  const outcome = world.call(market.account, DISPUTES, methods.convictUnits, { odd, others });
  if (!outcome.ok) throw new Error(`${outcome.code}: ${outcome.message}`);
  expect(outcome.value).toEqual({ slashed: 5_000n });
  expect(bondOf(world, liar)).toBe(5_000n);
  expect(world.balanceOf(consumer.account)).toBe(before + 6n);
  // A batch is wrong once, whichever of its tasks is shown.
  const more = answer(world, odd.delivery.delivery.order, liar, {
    ...{ units: BATCH, saying: 1, unit: 9 },
  });
  const again = [p2, p3].map((one) => answer(world, placed(world), one, { units: [9], unit: 9 }));
  expect(world.refusal(market, DISPUTES, methods.convictUnits, { odd: more, others: again })).toBe(
    'DISPUTES_EXISTS',
  );
});

test('refused: strangers, other manifests and tasks, one provider twice, no majority, limits, forged proofs, too late', () => {
  const world = started();
  const order = placed(world, { by: consumer });
  const odd = answer(world, order, liar, { units: BATCH, saying: 1 });
  const [good, same] = [p2, p3].map((one) => answer(world, placed(world), one)) as [
    UnitAnswer,
    UnitAnswer,
  ];
  const refusal = (others: UnitAnswer[], wrong = odd, by = market) =>
    world.refusal(by, DISPUTES, methods.convictUnits, { odd: wrong, others });
  expect(refusal([good, same], odd, consumer)).toBe('DISPUTES_NOT_PARTY');
  const elsewhere = answer(world, placed(world, { by: p4, at: p4 }), p4);
  expect(refusal([good, elsewhere])).toBe('DISPUTES_NOT_PARTY');
  const foreign = answer(world, placed(world, { manifest: OTHER }), p4);
  expect(refusal([good, foreign])).toBe('DISPUTES_NOT_COMPARABLE');
  const otherTask = answer(world, placed(world), p4, { units: [8], unit: 8 });
  expect(refusal([good, otherTask])).toBe('DISPUTES_NOT_COMPARABLE');
  expect(refusal([good, answer(world, placed(world), p2)])).toBe('DISPUTES_NOT_COMPARABLE');
  expect(refusal([good])).toBe('DISPUTES_NOT_COMPARABLE');
  expect(refusal([odd, same], good)).toBe('DISPUTES_SAME');
  expect(refusal([good, same], answer(world, order, liar))).toBe('DISPUTES_SAME');
  const slow = answer(world, order, liar, { exit: 'wall-limit' });
  expect(refusal([good, same], slow)).toBe('DISPUTES_NOT_COMPARABLE');
  const unknown = answer(world, 'ab'.repeat(32), p4);
  expect(refusal([good, unknown])).toBe('DISPUTES_NOT_COMPARABLE');
  // A leaf of another unit of the batch, a signature of somebody else's, a proof that is cut.
  const { leaf } = answer(world, order, liar, { units: BATCH, unit: 8 });
  expect(refusal([good, same], { ...odd, leaf })).toBe('DISPUTES_PROOF');
  const { delivery } = odd.delivery;
  const signature = p4.sign(BATCH_DELIVERY_DOMAIN, batchDeliveryBytes(delivery));
  expect(refusal([good, same], { ...odd, delivery: { ...odd.delivery, signature } })).toBe(
    'DISPUTES_PROOF',
  );
  const { publicKey } = p4;
  expect(refusal([good, same], { ...odd, delivery: { delivery, publicKey, signature } })).toBe(
    'DISPUTES_PROOF',
  );
  expect(refusal([good, same], { ...odd, proof: odd.proof.slice(1) })).toBe('DISPUTES_PROOF');
  expect(bondOf(world, liar)).toBe(10_000n);
  world.advance(600_000_000 + WINDOW_US);
  expect(refusal([good, same])).toBe('DISPUTES_LATE');
});
