/**
 * Generated histories of contract `deals` against a second account of its rules: who was paid for which
 * epochs, who lost what. After each step every purse agrees, and the contract owns exactly what it owes.
 */
import fc from 'fast-check';
import type { Signer } from '#libs/crypto';
import type { ContractMethod } from '#libs/ledger';
import { MANIFEST } from '../testing/orders-world.ts';
import {
  EACH,
  EPOCH_US,
  TERMS,
  consumer,
  createDealsWorld,
  dealsAccount,
  everybody,
  first,
  repairer,
  rootOf,
  second,
  shardOf,
  stranger,
  third,
} from '../testing/deals-world.ts';
import { dealsMethods } from './deals.ts';
import { DEALS_CONTRACT } from './state.ts';

const providers = [first, second, third];
const filler = (provider: number, index: number) => provider * 3 + index;

const step = fc.record({
  kind: fc.constantFrom(
    ...(['invite', 'accept', 'prove', 'prove', 'prove', 'cheat', 'leave', 'report'] as const),
    ...(['invite', 'accept', 'accept', 'prove', 'prove', 'prove', 'prove'] as const),
    ...([
      'next',
      'next',
      'next',
      'next',
      'next',
      'next',
      'tick',
      'renew',
      'end',
      'topUp',
      'finish',
      'decline',
    ] as const),
  ),
  provider: fc.nat(2),
  index: fc.nat(1),
  /** Mostly whoever has the shard does what is to be done. */
  isOther: fc.nat(9).map((n) => n === 0),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface ModelShard {
  provider: number | undefined;
  held: boolean;
  collateral: bigint;
  /** Epochs whose challenges it must answer: from the next challenge after accepting. */
  due: Set<number>;
  row: number;
  isBrought: boolean;
  until: number;
}

/** Money by person, epochs as sets: nothing is a counter here. */
class Model {
  purse = new Map(everybody.map(({ account }) => [account, EACH]));
  escrow = 60n;
  fund = 0n;
  challenge: number | undefined;
  end: number;
  paid = new Set<string>();
  generations = [0, 0];
  shards: ModelShard[];

  constructor(start: number) {
    this.end = start + 5;
    this.add(consumer, -60n);
    this.shards = [this.#empty(), this.#empty()];
  }

  #empty(): ModelShard {
    return {
      ...{ provider: undefined, held: false, collateral: 0n, due: new Set<number>() },
      ...{ row: 0, isBrought: false, until: 0 },
    };
  }

  add({ account }: Signer, amount: bigint): void {
    this.purse.set(account, (this.purse.get(account) as bigint) + amount);
  }

  drop(index: number): void {
    const shard = this.shards[index] as ModelShard;
    this.add(providers[shard.provider as number] as Signer, shard.collateral);
    this.shards[index] = this.#empty();
  }

  lose(shard: ModelShard, asked: bigint): void {
    const amount = asked < shard.collateral ? asked : shard.collateral;
    shard.collateral -= amount;
    this.fund += amount;
  }

  /** Missed challenges, one by one; true when the shard is lost. */
  settle(index: number, now: number): boolean {
    const shard = this.shards[index] as ModelShard;
    const missed = [...shard.due].filter((epoch) => epoch < now && epoch <= this.end);
    for (const epoch of missed) shard.due.delete(epoch);
    shard.row += missed.length;
    if (missed.length === 0) return false;
    const isLost = shard.row >= 3;
    this.lose(shard, isLost ? shard.collateral : 10n * BigInt(missed.length));
    if (isLost) this.drop(index);
    return isLost;
  }

  tick(now: number): void {
    if (this.challenge === now) return;
    this.challenge = now;
    for (const shard of this.shards) if (shard.held && now <= this.end) shard.due.add(now);
  }

  step({ kind, provider, index }: Step, now: number): boolean {
    const shard = this.shards[index] as ModelShard;
    const who = providers[provider] as Signer;
    const isHolder = shard.held && shard.provider === provider;
    const isOver = now > this.end;
    switch (kind) {
      case 'invite':
        if (isOver) return false;
        if (shard.provider !== undefined && !(shard.provider === provider)) return false;
        if (shard.provider === undefined) {
          this.generations[index] = (this.generations[index] as number) + 1;
          shard.provider = provider;
          shard.isBrought = (this.generations[index] as number) > 1;
        }
        return true;
      case 'accept':
        if (shard.provider !== provider) return false;
        if (shard.held) return true;
        if (isOver) return false;
        Object.assign(shard, { held: true, collateral: 100n, until: this.end });
        this.add(who, -100n);
        return true;
      case 'decline':
        if (shard.provider !== provider || shard.held) return false;
        this.shards[index] = this.#empty();
        return true;
      case 'prove':
      case 'cheat': {
        if (!isHolder) return false;
        if (this.paid.has(`${index}/${now}`)) return true;
        if (isOver || !shard.due.has(now)) return false;
        if (this.settle(index, now)) return true;
        if (kind === 'cheat') {
          this.lose(shard, shard.collateral);
          this.drop(index);
          return true;
        }
        shard.due.delete(now);
        shard.row = 0;
        this.paid.add(`${index}/${now}`);
        this.escrow -= 5n;
        this.add(who, 5n);
        if (shard.isBrought) {
          const reward = this.fund < 10n ? this.fund : 10n;
          this.fund -= reward;
          this.add(repairer, reward);
          shard.isBrought = false;
        }
        return true;
      }
      case 'leave':
        if (!isHolder) return false;
        if (this.settle(index, now)) return true;
        if (now <= Math.min(shard.until, this.end)) this.lose(shard, 20n);
        this.drop(index);
        return true;
      case 'report':
        if (shard.held) this.settle(index, now);
        return true;
      case 'finish':
        if (!shard.held) return true;
        if (!isOver) return false;
        if (!this.settle(index, now)) this.drop(index);
        return true;
      case 'tick':
        this.tick(now);
        return true;
      case 'renew':
        if (isOver) return false;
        this.end += 2;
        this.escrow += 20n;
        this.add(consumer, -20n);
        return true;
      case 'end':
        this.end = Math.min(this.end, now + 1);
        return true;
      case 'topUp':
        if (isOver) return false;
        this.fund += 9n;
        this.add(stranger, -9n);
        return true;
      case 'next':
        return true;
    }
  }
}

const of =
  (index: number, provider: number) =>
  (kind: Step['kind']): Step => ({ kind, provider, index, isOther: false });

/** A history with every kind of step done at least once: what is drawn need not have them all. */
const EVERY_KIND: readonly Step[] = [
  ...(['invite', 'accept', 'next', 'prove'] as const).map(of(0, 0)),
  ...(['invite', 'decline', 'invite', 'accept', 'next', 'cheat'] as const).map(of(1, 1)),
  ...(['invite', 'accept', 'tick', 'next', 'prove', 'topUp', 'leave'] as const).map(of(1, 2)),
  ...(['report', 'renew', 'end', 'prove', 'next', 'next', 'finish'] as const).map(of(0, 0)),
];

/** Accepted in an epoch without a challenge, ended, and challenged for others after that. */
const ENDED_BEFORE_CHALLENGES: readonly Step[] = [
  ...(['invite', 'end', 'accept', 'next', 'next', 'next'] as const).map(of(0, 0)),
];

/** How often each kind of step was done, to show that the histories reach all of them. */
const tally = new Map<string, number>();

function play(steps: readonly Step[]): void {
  const at = createDealsWorld(everybody, 1_000_000n);
  const { world } = at;
  at.nextEpoch();
  const call = <A, R>(by: Signer, method: ContractMethod<A, R>, args: A): boolean => {
    const outcome = world.call(by.account, DEALS_CONTRACT, method, args);
    if (!outcome.ok && !outcome.code.startsWith('DEALS_'))
      throw new Error(`${method.name}: ${outcome.code} ${outcome.message}`);
    return outcome.ok;
  };
  const { deal } = world.must(consumer, DEALS_CONTRACT, dealsMethods.propose, {
    ...TERMS,
    ...{ salt: '07'.repeat(16), repairer: repairer.account },
  });
  const model = new Model(at.epoch());
  const act = (given: Step): boolean => {
    const { kind, provider, index } = given;
    const who = providers[provider] as Signer;
    const bytes = shardOf(kind === 'cheat' ? 99 : filler(provider, index));
    const shard = { deal, index };
    const { generation } = at.shard(deal, index);
    switch (kind) {
      case 'invite': {
        const root = rootOf(bytes);
        const cid = MANIFEST;
        return call(repairer, dealsMethods.invite, { ...shard, provider: who.account, cid, root });
      }
      case 'accept':
      case 'decline':
        return call(who, dealsMethods[kind], { ...shard, generation });
      case 'prove':
      case 'cheat': {
        const proofs = at.beacon() ? at.proofs(deal, index, bytes) : [];
        return call(who, dealsMethods.prove, { ...shard, epoch: at.epoch(), proofs });
      }
      case 'leave':
        return call(who, dealsMethods.leave, shard);
      case 'report':
        return call(who, dealsMethods.report, shard);
      case 'finish':
        return call(who, dealsMethods.finish, shard);
      case 'tick':
        return call(stranger, dealsMethods.tick, { epochUs: EPOCH_US });
      case 'renew':
        return call(consumer, dealsMethods.renew, { deal, endEpoch: at.deal(deal).endEpoch + 2 });
      case 'end':
        return call(consumer, dealsMethods.end, { deal });
      case 'topUp':
        return call(stranger, dealsMethods.topUp, { deal, amount: 9n });
      case 'next':
        at.nextEpoch();
        return call(stranger, dealsMethods.tick, { epochUs: EPOCH_US });
    }
  };
  const agree = (what: string): void => {
    for (const { account } of everybody)
      if (world.balanceOf(account) !== model.purse.get(account))
        throw new Error(
          `${what}: ${account} has ${world.balanceOf(account)}, not ${model.purse.get(account)}`,
        );
    const { escrow, fund } = at.deal(deal);
    expect({ what, escrow, fund }).toEqual({ what, escrow: model.escrow, fund: model.fund });
    expect(at.owed([deal])).toBe(world.balanceOf(dealsAccount));
  };
  for (const [i, chosen] of steps.entries()) {
    const { provider = chosen.provider } = model.shards[chosen.index] as ModelShard;
    const given = chosen.isOther ? chosen : { ...chosen, provider };
    tally.set(chosen.kind, tally.get(chosen.kind) ?? 0);
    const isDone = act(given);
    const now = at.epoch();
    if (given.kind === 'next') model.tick(now);
    const expected = model.step(given, now);
    const what = `step ${i} ${given.kind} by ${given.provider} of ${given.index}`;
    if (isDone !== expected) throw new Error(`${what}: ${isDone ? 'done' : 'refused'}`);
    agree(what);
    if (isDone) tally.set(given.kind, (tally.get(given.kind) as number) + 1);
  }
  tally.set('paid epochs', (tally.get('paid epochs') ?? 0) + model.paid.size);
  // Anybody ends it, and no money stays.
  while (at.epoch() <= at.deal(deal).endEpoch) at.nextEpoch();
  for (const index of [0, 1]) {
    const last = { kind: 'finish' as const, provider: 0, index, isOther: true };
    act(last);
    model.step(last, at.epoch());
  }
  expect(call(stranger, dealsMethods.close, { deal })).toBe(true);
  model.add(consumer, model.escrow + model.fund);
  for (const { account } of everybody)
    expect(world.balanceOf(account)).toBe(model.purse.get(account));
  expect(world.balanceOf(dealsAccount)).toBe(0n);
}

describe('contract deals', () => {
  it('moves money as its rules say, whatever happens in which order', () => {
    fc.assert(fc.property(fc.array(step, { minLength: 30, maxLength: 70, size: 'max' }), play), {
      numRuns: 25,
      examples: [[[...EVERY_KIND]], [[...ENDED_BEFORE_CHALLENGES]]],
    });
    for (const [what, times] of tally) expect([what, times > 0]).toEqual([what, true]);
  });
});
