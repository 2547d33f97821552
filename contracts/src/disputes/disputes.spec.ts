import fc from 'fast-check';
import { type Signer, contractAccount, sha256Hex } from '#libs/crypto';
import { decodeWith, utf8 } from '#libs/kernel';
import {
  type Checkpoint,
  NOTHING_RECORDED,
  bisect,
  checkpointProof,
  checkpointsRoot,
} from '#libs/vm';
import { orderId } from '../orders/documents.ts';
import { ordersMethods } from '../orders/orders.ts';
import { MANIFEST, type World, createWorld, deliveryOf, person } from '../testing/orders-world.ts';
import { REPUTATION_CONTRACT, reputationKeys, reputationRecord } from '../reputation/reputation.ts';
import { disputesMethods as methods } from './disputes.ts';
import { DISPUTES_CONTRACT as DISPUTES } from './events.ts';
import { findingCommitment } from './panel.ts';
import {
  type DisputeRecord,
  type DisputedClaim,
  type Finding,
  bondRecord,
  disputeId,
  disputeRecord,
  disputesKeys,
} from './state.ts';

const names = ['consumer', 'market', 'defender', 'challenger', 'j1', 'j2', 'j3', 'j4'] as const;
const people = Object.fromEntries(names.map((name) => [name, person(name)])) as Record<
  (typeof names)[number],
  Signer
>;
const { consumer, market, defender, challenger } = people;
const jurors = [people.j1, people.j2, people.j3, people.j4];
const EACH = 100_000n;
const SALT = '5a'.repeat(32);
const times = { windowUs: 10_000n, unbondingUs: 50_000n, moveUs: 100n, panelUs: 200n };
const sums = { challengeBond: 100n, panelBond: 500n, panelFine: 50n };

interface Claimed {
  readonly claim: DisputedClaim;
  readonly checkpoints: readonly Checkpoint[];
}

/** A run with so many checkpoints, that is the honest one below `parts` and its own from there on. */
function runOf(count: number, parts: number, name: string): Claimed {
  const checkpoints = Array.from({ length: count }, (_, i) => ({
    fuel: BigInt(1_000 * (i + 1)),
    root: sha256Hex(utf8(`${i < parts ? 'honest' : name} ${i}`)),
    resumable: i % 2 === 0,
  }));
  const outputChain = sha256Hex(utf8(name));
  const root = checkpointsRoot(checkpoints);
  return {
    claim: {
      ...{ exit: 'ok', fuel: BigInt(1_000 * count + 7), checkpoints: count },
      ...{ checkpointsRoot: root, outputChain, outputBytes: 5 },
    },
    checkpoints,
  };
}

interface Stage {
  readonly world: World;
  readonly order: string;
}

/** An order whose delivery makes this claim; everybody has bonded. */
function delivered({ claim }: Claimed, isSettled = true): Stage {
  const settings = { ...times, ...sums };
  const world = createWorld({
    people: Object.values(people),
    amountEach: EACH,
    settings: Object.fromEntries(
      Object.entries(settings).map(([name, value]) => [`disputes.${name}`, value]),
    ),
  });
  for (const by of [defender, ...jurors])
    world.must(by, DISPUTES, methods.bond, { amount: 10_000n });
  const { account } = consumer;
  world.must(consumer, 'orders', ordersMethods.deposit, { account, amount: 5_000n });
  const order = {
    ...{ chain: world.chain, consumer: account, market: market.account, manifest: MANIFEST },
    ...{ salt: '07'.repeat(16), priceCap: 900n },
    ...{ placeByUs: world.timeUs + 60_000_000, completeByUs: world.timeUs + 600_000_000 },
  };
  const id = orderId(order);
  const lease = { order: id, provider: defender.account, fence: 1 };
  world.must(market, 'orders', ordersMethods.place, world.signOrder(order, consumer));
  world.must(market, 'orders', ordersMethods.bind, { ...lease, price: 700n });
  const { exit: _exit, ...run } = claim;
  const metered = { ...run, engine: 'ee'.repeat(32) };
  const delivery = { ...deliveryOf({ chain: world.chain, ...lease, charge: 600n }), metered };
  world.must(defender, 'orders', ordersMethods.deliver, world.signDelivery(delivery, defender));
  if (isSettled) world.must(market, 'orders', ordersMethods.settle, { order: id, fence: 1 });
  return { world, order: id };
}

function disputeOf({ world, order }: Stage): DisputeRecord {
  const bytes = world.get(DISPUTES, disputesKeys.dispute(disputeId(order, challenger.account)));
  return decodeWith(disputeRecord, bytes as Uint8Array);
}

function open({ world, order }: Stage, { claim }: Claimed): string {
  return world.must(challenger, DISPUTES, methods.open, { order, claim }).dispute;
}

const shownBy = (dispute: string, { checkpoints }: Claimed, index: number) => ({
  ...{ dispute, index, checkpoint: checkpoints[index] as Checkpoint },
  proof: checkpointProof(checkpoints, index),
});

/** Both sides show what is asked for until the first difference is found; how many rounds it took. */
function bisectOnChain(stage: Stage, defence: Claimed, challenge: Claimed): number {
  const dispute = disputeId(stage.order, challenger.account);
  for (let round = 0; ; round++) {
    const { phase, agreed, open: until } = disputeOf(stage);
    if (phase !== 'bisect') return round;
    const index = (agreed + until) >>> 1;
    stage.world.must(defender, DISPUTES, methods.show, shownBy(dispute, defence, index));
    stage.world.must(challenger, DISPUTES, methods.show, shownBy(dispute, challenge, index));
  }
}

/** The panel says what it found; a member with undefined says nothing. */
function vote(stage: Stage, findings: readonly (Finding | undefined)[]): void {
  const { world } = stage;
  const dispute = disputeId(stage.order, challenger.account);
  const { panel } = disputeOf(stage);
  const seats = panel.map(({ account }, i) => ({
    by: jurors.find((one) => one.account === account) as Signer,
    found: findings[i],
  }));
  for (const { by, found } of seats)
    if (found) {
      const commitment = findingCommitment(dispute, by.account, found, SALT);
      world.must(by, DISPUTES, methods.commit, { dispute, commitment });
    }
  if (findings.includes(undefined)) {
    world.advance(Number(times.panelUs));
    world.must(market, DISPUTES, methods.timeout, { dispute });
  }
  for (const { by, found } of seats)
    if (found && disputeOf(stage).phase === 'reveal')
      world.must(by, DISPUTES, methods.reveal, { dispute, finding: found, salt: SALT });
}

const bondOf = (world: World, { account }: Signer): bigint => {
  const bytes = world.get(DISPUTES, disputesKeys.bond(account));
  return bytes ? decodeWith(bondRecord, bytes).bonded : 0n;
};
const reputationOf = (world: World) => {
  const bytes = world.get(REPUTATION_CONTRACT, reputationKeys.provider(defender.account));
  return bytes && decodeWith(reputationRecord, bytes);
};
/** Everything that people and contracts hold. */
const supplyOf = (world: World): bigint =>
  [...Object.values(people).map(({ account }) => account)]
    .concat(['orders', 'disputes'].map(contractAccount))
    .reduce((sum, account) => sum + world.balanceOf(account), 0n);

describe('a wrong result', () => {
  const honest = runOf(9, 9, 'honest');
  const lie = runOf(9, 4, 'lie');

  test('costs its provider half of the bond; consumer, challenger and panel are paid', () => {
    const stage = delivered(lie);
    const { world } = stage;
    expect(supplyOf(world)).toBe(EACH * BigInt(names.length));
    const before = world.balanceOf(consumer.account);
    open(stage, honest);
    expect(bisectOnChain(stage, lie, honest)).toBeLessThanOrEqual(4);
    expect(disputeOf(stage)).toMatchObject({ phase: 'commit', agreed: 4, open: 4 });
    expect(disputeOf(stage).panel).toHaveLength(3);
    vote(stage, ['challenger', 'challenger', 'challenger']);
    expect(disputeOf(stage)).toMatchObject({ phase: 'decided', ruling: 'challenger' });
    expect(bondOf(world, defender)).toBe(5_000n);
    // 5 000 slashed: 600 back to the consumer, a fifth of the rest to the challenger and to the panel.
    expect(world.balanceOf(consumer.account)).toBe(before + 600n);
    expect(world.balanceOf(challenger.account)).toBe(EACH + 880n);
    expect(reputationOf(world)).toMatchObject({ settled: 1, disputesLost: 1 });
    expect(supplyOf(world)).toBe(EACH * BigInt(names.length));
    // Proven wrong once, it is not disputed again.
    expect(
      world.refusal(market, DISPUTES, methods.open, { order: stage.order, claim: honest.claim }),
    ).toBe('DISPUTES_EXISTS');
  });

  test('is not saved by silence, and unbonding money is liable too', () => {
    const stage = delivered(lie);
    const { world } = stage;
    world.must(defender, DISPUTES, methods.unbond, { amount: 9_000n });
    const dispute = open(stage, honest);
    world.must(challenger, DISPUTES, methods.show, shownBy(dispute, honest, 4));
    expect(world.refusal(market, DISPUTES, methods.timeout, { dispute })).toBe('DISPUTES_EARLY');
    world.advance(Number(times.moveUs));
    expect(world.refusal(defender, DISPUTES, methods.show, shownBy(dispute, lie, 4))).toBe(
      'DISPUTES_LATE',
    );
    world.must(market, DISPUTES, methods.timeout, { dispute });
    expect(disputeOf(stage).ruling).toBe('challenger');
    expect(bondOf(world, defender)).toBe(500n);
    world.advance(Number(times.unbondingUs));
    expect(world.must(defender, DISPUTES, methods.withdraw, {}).amount).toBe(4_500n);
  });
});

describe('a right result', () => {
  const honest = runOf(6, 6, 'honest');
  const lie = runOf(8, 2, 'lie');

  test('costs who doubted it; a member of the panel that found otherwise is fined', () => {
    const stage = delivered(honest);
    const { world } = stage;
    const before = world.balanceOf(defender.account);
    open(stage, lie);
    bisectOnChain(stage, honest, lie);
    vote(stage, ['defender', 'challenger', 'defender']);
    expect(disputeOf(stage).ruling).toBe('defender');
    expect(world.balanceOf(challenger.account)).toBe(EACH - 100n);
    expect(world.balanceOf(defender.account)).toBe(before + 50n);
    expect(bondOf(world, defender)).toBe(10_000n);
    const fined = jurors.filter((one) => bondOf(world, one) === 9_950n);
    expect(fined).toHaveLength(1);
    expect(reputationOf(world)).toMatchObject({ disputesWon: 1, disputesLost: 0 });
  });

  test('stands when the panel does not agree: the bond goes back, silent members are fined', () => {
    const stage = delivered(honest);
    open(stage, lie);
    bisectOnChain(stage, honest, lie);
    vote(stage, ['defender', 'challenger', undefined]);
    expect(disputeOf(stage).ruling).toBe('undecided');
    expect(stage.world.balanceOf(challenger.account)).toBe(EACH);
    expect(jurors.filter((one) => bondOf(stage.world, one) < 10_000n)).toHaveLength(1);
    expect(reputationOf(stage.world)).toMatchObject({ disputesWon: 0, disputesLost: 0 });
  });

  test('a friend who opens a dispute to lose it does not shield the provider from others', () => {
    const stage = delivered(lie);
    const { world, order } = stage;
    const friend = people.j4;
    const sham = runOf(3, 1, 'sham').claim;
    const { dispute } = world.must(friend, DISPUTES, methods.open, { order, claim: sham });
    world.must(defender, DISPUTES, methods.show, shownBy(dispute, lie, 2));
    world.advance(Number(times.moveUs));
    world.must(defender, DISPUTES, methods.timeout, { dispute });
    open(stage, honest);
    bisectOnChain(stage, lie, honest);
    vote(stage, ['challenger', 'challenger', 'challenger']);
    expect(disputeOf(stage).ruling).toBe('challenger');
  });
});

test('the chain finds the same first difference as libs/vm does with both claims in hand', () => {
  const shape = fc.record({ count: fc.integer({ min: 0, max: 12 }), parts: fc.nat(12) });
  fc.assert(
    fc.property(shape, shape, (a, b) => {
      const defence = runOf(a.count, a.parts, 'one');
      const challenge = runOf(b.count, b.parts, 'two');
      const stage = delivered(defence);
      open(stage, challenge);
      bisectOnChain(stage, defence, challenge);
      const io = { ...NOTHING_RECORDED, outputLength: 5 };
      const [first, second] = [defence, challenge].map(({ claim, checkpoints }) => ({
        ...{ exit: 'ok' as const, fuelUsed: claim.fuel, checkpoints },
        io: { ...io, outputChain: claim.outputChain },
      })) as [Parameters<typeof bisect>[0], Parameters<typeof bisect>[1]];
      const where = bisect(first, second);
      const { agreed } = disputeOf(stage);
      expect(where.kind === 'checkpoint' ? where.index : Math.max(a.count, b.count)).toBe(agreed);
    }),
    { numRuns: 30 },
  );
});

test('only the right people move, in time, with what they claimed', () => {
  const honest = runOf(6, 6, 'honest');
  const lie = runOf(6, 2, 'lie');
  const stage = delivered(lie, false);
  const { world, order } = stage;
  const refused = <A, R>(by: Signer, method: Parameters<typeof world.refusal<A, R>>[2], args: A) =>
    world.refusal(by, DISPUTES, method, args);
  expect(refused(defender, methods.open, { order, claim: honest.claim })).toBe(
    'DISPUTES_NOT_PARTY',
  );
  expect(refused(challenger, methods.open, { order, claim: lie.claim })).toBe('DISPUTES_SAME');
  expect(refused(challenger, methods.open, { order: 'ab'.repeat(32), claim: lie.claim })).toBe(
    'DISPUTES_NOT_REPEATABLE',
  );
  const dispute = open(stage, honest);
  expect(refused(challenger, methods.open, { order, claim: honest.claim })).toBe('DISPUTES_EXISTS');
  const { account } = defender;
  expect(account).toBe(disputeOf(stage).defender);
  expect(refused(market, methods.show, shownBy(dispute, lie, 3))).toBe('DISPUTES_NOT_PARTY');
  expect(refused(defender, methods.show, shownBy(dispute, lie, 2))).toBe('DISPUTES_PHASE');
  expect(refused(defender, methods.show, shownBy(dispute, honest, 3))).toBe('DISPUTES_PROOF');
  world.must(defender, DISPUTES, methods.show, shownBy(dispute, lie, 3));
  expect(refused(defender, methods.show, shownBy(dispute, lie, 3))).toBe('DISPUTES_MOVED');
  expect(refused(people.j1, methods.commit, { dispute, commitment: SALT })).toBe('DISPUTES_PHASE');
  world.must(challenger, DISPUTES, methods.show, shownBy(dispute, honest, 3));
  bisectOnChain(stage, lie, honest);
  const [seat] = disputeOf(stage).panel;
  const member = jurors.find((one) => one.account === seat?.account) as Signer;
  expect(refused(market, methods.commit, { dispute, commitment: SALT })).toBe('DISPUTES_NOT_PARTY');
  world.must(member, DISPUTES, methods.commit, { dispute, commitment: SALT });
  expect(refused(member, methods.commit, { dispute, commitment: SALT })).toBe('DISPUTES_MOVED');
  world.advance(Number(times.panelUs));
  world.must(market, DISPUTES, methods.timeout, { dispute });
  const found = { dispute, finding: 'challenger' as const, salt: SALT };
  expect(refused(member, methods.reveal, found)).toBe('DISPUTES_COMMITMENT');
  world.must(member, DISPUTES, methods.unbond, { amount: 1n });
  world.advance(Number(times.unbondingUs));
  expect(refused(member, methods.withdraw, {})).toBe('DISPUTES_OPEN');
  world.must(market, DISPUTES, methods.timeout, { dispute });
  world.must(member, DISPUTES, methods.withdraw, {});
  expect(refused(member, methods.withdraw, {})).toBe('DISPUTES_NOTHING_RELEASED');
  expect(refused(market, methods.timeout, { dispute })).toBe('DISPUTES_PHASE');
});

test('after the window nobody disputes', () => {
  const stage = delivered(runOf(3, 1, 'lie'));
  stage.world.advance(Number(times.windowUs));
  const { claim } = runOf(3, 3, 'honest');
  expect(
    stage.world.refusal(challenger, DISPUTES, methods.open, { order: stage.order, claim }),
  ).toBe('DISPUTES_LATE');
});

test('whatever anybody does in whatever order, no money comes from nowhere or leaves unseen', () => {
  const lie = runOf(4, 1, 'lie');
  const honest = runOf(4, 4, 'honest');
  const step = fc.record({
    who: fc.constantFrom(...names),
    what: fc.constantFrom(
      ...(['bond', 'unbond', 'withdraw', 'open', 'show', 'show', 'show', 'timeout'] as const),
      ...(['commit', 'commit', 'reveal', 'reveal', 'wait', 'wait'] as const),
    ),
    amount: fc.bigInt({ min: 0n, max: 12_000n }),
    finding: fc.constantFrom('defender', 'challenger', 'neither'),
    us: fc.constantFrom(1, 99, 101, 250, 60_000),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const stage = delivered(lie);
      const { world, order } = stage;
      const dispute = disputeId(order, challenger.account);
      for (const { who, what, amount, finding, us } of steps) {
        const by = people[who];
        const call = <A, R>(method: Parameters<typeof world.refusal<A, R>>[2], args: A) =>
          world.refusal(by, DISPUTES, method, args);
        const run = by === defender ? lie : honest;
        if (what === 'bond') call(methods.bond, { amount });
        else if (what === 'unbond') call(methods.unbond, { amount });
        else if (what === 'withdraw') call(methods.withdraw, {});
        else if (what === 'open') call(methods.open, { order, claim: honest.claim });
        else if (what === 'show')
          for (const index of [0, 1, 2, 3]) call(methods.show, shownBy(dispute, run, index));
        else if (what === 'timeout') call(methods.timeout, { dispute });
        else if (what === 'commit')
          call(methods.commit, {
            dispute,
            commitment: findingCommitment(dispute, by.account, finding, SALT),
          });
        else if (what === 'reveal') call(methods.reveal, { dispute, finding, salt: SALT });
        else world.advance(us);
        expect(supplyOf(world)).toBe(EACH * BigInt(names.length));
        const bonded = Object.values(people).reduce((sum, one) => sum + bondOf(world, one), 0n);
        expect(world.balanceOf(contractAccount('disputes'))).toBeGreaterThanOrEqual(bonded);
      }
    }),
    { numRuns: 30 },
  );
});
