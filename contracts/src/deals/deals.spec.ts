import type { Signer } from '#libs/crypto';
import type { ContractMethod } from '#libs/ledger';
import { MANIFEST } from '../testing/orders-world.ts';
import {
  EPOCH_US,
  TERMS,
  consumer,
  createDealsWorld,
  dealsAccount,
  everybody,
  first,
  hold,
  repairer,
  rootOf,
  second,
  shardOf,
  stranger,
  third,
} from '../testing/deals-world.ts';
import { dealsMethods } from './deals.ts';
import { DEALS_CONTRACT } from './state.ts';

const SALT = '01'.repeat(16);

function stage(terms: Partial<typeof TERMS> = {}) {
  const deals = createDealsWorld(everybody);
  const { world } = deals;
  world.advance(EPOCH_US - (world.timeUs % EPOCH_US) + 10);
  const must = <A, R>(by: Signer, method: ContractMethod<A, R>, args: A): R =>
    world.must(by, DEALS_CONTRACT, method, args);
  const refusal = <A, R>(by: Signer, method: ContractMethod<A, R>, args: A): string =>
    world.refusal(by, DEALS_CONTRACT, method, args);
  const { deal } = must(consumer, dealsMethods.propose, {
    ...{ ...TERMS, ...terms },
    ...{ salt: SALT, repairer: repairer.account },
  });
  const tick = () => must(stranger, dealsMethods.tick, { epochUs: EPOCH_US });
  const prove = (by: Signer, index: number, bytes = shardOf(index)) =>
    must(by, dealsMethods.prove, {
      ...{ deal, index, epoch: deals.epoch(), proofs: deals.proofs(deal, index, bytes) },
    });
  const nextChallenge = () => {
    deals.nextEpoch();
    tick();
  };
  const held = (by: Signer, provider: Signer, index: number, bytes = shardOf(index)) =>
    hold(deals, by, provider, deal, index, bytes);
  return { ...deals, deal, must, refusal, tick, prove, nextChallenge, held, record: deals.deal };
}

describe('a deal from proposal to the last payment', () => {
  it('pays each proven epoch, gives collateral and what was not used back', () => {
    const at = stage();
    at.held(consumer, first, 0, shardOf(0));
    at.held(consumer, second, 1, shardOf(1));
    expect(at.world.balanceOf(first.account)).toBe(10_000n - 100n);
    for (let epoch = 0; epoch < 3; epoch++) {
      at.nextChallenge();
      expect(at.prove(first, 0)).toEqual({ paid: 5n, held: true });
      expect(at.prove(second, 1)).toEqual({ paid: 5n, held: true });
      expect(at.prove(second, 1)).toEqual({ paid: 0n, held: true }); // again: nothing happens
    }
    expect(at.must(consumer, dealsMethods.end, { deal: at.deal })).toEqual({
      endEpoch: at.epoch() + 1,
    });
    at.nextChallenge();
    at.prove(first, 0);
    at.prove(second, 1);
    expect(at.refusal(stranger, dealsMethods.close, { deal: at.deal })).toBe('DEALS_NOT_ENDED');
    at.nextChallenge();
    expect(
      at.refusal(first, dealsMethods.prove, {
        ...{ deal: at.deal, index: 0, epoch: at.epoch() },
        proofs: at.proofs(at.deal, 0, shardOf(0)),
      }),
    ).toBe('DEALS_ENDED');
    for (const index of [0, 1])
      expect(at.must(stranger, dealsMethods.finish, { deal: at.deal, index })).toEqual({
        returned: 100n,
      });
    expect(at.must(stranger, dealsMethods.close, { deal: at.deal })).toEqual({ refunded: 20n });
    expect(at.must(stranger, dealsMethods.close, { deal: at.deal })).toEqual({ refunded: 0n });
    expect(at.world.balanceOf(first.account)).toBe(10_000n + 20n);
    expect(at.world.balanceOf(consumer.account)).toBe(10_000n - 40n);
    expect(at.world.balanceOf(dealsAccount)).toBe(0n);
  });

  it('refuses whoever is not entitled', () => {
    const at = stage();
    const { deal } = at;
    const invited = {
      ...{ deal, index: 0, provider: first.account, cid: MANIFEST, root: rootOf(shardOf(0)) },
    };
    expect(at.refusal(stranger, dealsMethods.invite, invited)).toBe('DEALS_NOT_PARTY');
    expect(
      at.refusal(consumer, dealsMethods.invite, { ...invited, provider: repairer.account }),
    ).toBe('DEALS_TERMS');
    at.must(consumer, dealsMethods.invite, invited);
    expect(at.must(consumer, dealsMethods.invite, invited)).toEqual({ generation: 1 });
    expect(
      at.refusal(consumer, dealsMethods.invite, { ...invited, provider: second.account }),
    ).toBe('DEALS_SHARD_TAKEN');
    expect(at.refusal(second, dealsMethods.accept, { deal, index: 0, generation: 1 })).toBe(
      'DEALS_NOT_INVITED',
    );
    at.world.advance(3_000);
    expect(at.refusal(first, dealsMethods.accept, { deal, index: 0, generation: 1 })).toBe(
      'DEALS_NOT_INVITED',
    );
    at.held(consumer, second, 0, shardOf(0));
    expect(at.refusal(first, dealsMethods.accept, { deal, index: 0, generation: 1 })).toBe(
      'DEALS_NOT_INVITED',
    );
    at.nextChallenge();
    const proofs = at.proofs(deal, 0, shardOf(0));
    const proof = { deal, index: 0, epoch: at.epoch(), proofs };
    expect(at.refusal(first, dealsMethods.prove, proof)).toBe('DEALS_NOT_PARTY');
    expect(at.refusal(second, dealsMethods.prove, { ...proof, epoch: proof.epoch - 1 })).toBe(
      'DEALS_EPOCH',
    );
    expect(at.refusal(stranger, dealsMethods.end, { deal })).toBe('DEALS_NOT_PARTY');
    expect(at.refusal(stranger, dealsMethods.close, { deal })).toBe('DEALS_NOT_ENDED');
    expect(at.refusal(stranger, dealsMethods.renew, { deal, endEpoch: 9e9 })).toBe(
      'DEALS_NOT_PARTY',
    );
    expect(at.refusal(first, dealsMethods.leave, { deal, index: 0 })).toBe('DEALS_NOT_PARTY');
    const again = { ...TERMS, salt: SALT, repairer: repairer.account };
    expect(at.refusal(consumer, dealsMethods.propose, again)).toBe('DEALS_EXISTS');
    expect(at.refusal(consumer, dealsMethods.propose, { ...TERMS, salt: SALT, needed: 3 })).toBe(
      'DEALS_EXISTS',
    );
    const other = '02'.repeat(16);
    for (const bad of [{ needed: 3 }, { epochUs: 99 }, { term: 0 }, { price: 0n }, { samples: 0 }])
      expect(at.refusal(consumer, dealsMethods.propose, { ...TERMS, salt: other, ...bad })).toBe(
        'DEALS_TERMS',
      );
  });
});

describe('a provider that does not keep its shard', () => {
  it('loses a share for each missed proof, and the shard with all collateral after three in a row', () => {
    const at = stage();
    const { deal } = at;
    at.held(consumer, first, 0, shardOf(0));
    at.nextChallenge(); // missed
    at.nextChallenge();
    expect(at.prove(first, 0)).toEqual({ paid: 5n, held: true });
    expect(at.shard(deal, 0)).toMatchObject({ collateral: 90n, missed: 1, missedInRow: 0 });
    at.nextChallenge(); // missed
    at.nextChallenge(); // missed
    expect(at.must(stranger, dealsMethods.report, { deal, index: 0 })).toEqual({
      missed: 1,
      held: true,
    });
    expect(at.must(stranger, dealsMethods.report, { deal, index: 0 }).missed).toBe(0);
    at.nextChallenge();
    at.tick(); // a second tick in an epoch changes nothing
    at.must(stranger, dealsMethods.report, { deal, index: 0 });
    at.nextEpoch();
    expect(at.must(stranger, dealsMethods.report, { deal, index: 0 })).toEqual({
      missed: 1,
      held: false,
    });
    expect(at.shard(deal, 0)).toMatchObject({ state: 'vacant', collateral: 0n });
    expect(at.record(deal)).toMatchObject({ fund: 100n, held: 0 });
    expect(at.owed([deal])).toBe(at.world.balanceOf(dealsAccount));
  });

  it('is not blamed for epochs that nobody challenged', () => {
    const at = stage();
    at.held(consumer, first, 0, shardOf(0));
    at.nextEpoch();
    at.nextEpoch();
    at.nextChallenge();
    at.prove(first, 0);
    expect(at.shard(at.deal, 0)).toMatchObject({ missed: 0, collateral: 100n });
  });

  it('is not challenged by what it knew before it accepted', () => {
    const at = stage();
    at.nextChallenge();
    at.held(consumer, first, 0, shardOf(0));
    expect(
      at.refusal(first, dealsMethods.prove, {
        ...{ deal: at.deal, index: 0, epoch: at.epoch() },
        proofs: at.proofs(at.deal, 0, shardOf(0)),
      }),
    ).toBe('DEALS_EPOCH');
  });

  it('loses everything by proving with another’s copy of the same content', () => {
    const at = stage();
    at.held(consumer, first, 0, shardOf(0));
    at.held(consumer, second, 1, shardOf(1));
    at.nextChallenge();
    expect(at.prove(second, 1, shardOf(0))).toEqual({ paid: 0n, held: false });
    expect(at.record(at.deal)).toMatchObject({ fund: 100n, held: 1 });
    expect(at.world.balanceOf(second.account)).toBe(10_000n - 100n);
    expect(at.prove(first, 0)).toMatchObject({ paid: 5n });
  });
});

describe('a lost shard', () => {
  it('goes to another provider; the repairer is rewarded with its first proof', () => {
    const at = stage();
    const { deal } = at;
    at.held(consumer, first, 0, shardOf(0));
    at.nextChallenge();
    at.prove(first, 0, shardOf(9));
    at.held(repairer, third, 0, shardOf(3));
    at.nextChallenge();
    const before = at.world.balanceOf(repairer.account);
    at.prove(third, 0, shardOf(3));
    expect(at.world.balanceOf(repairer.account) - before).toBe(10n);
    at.nextChallenge();
    at.prove(third, 0, shardOf(3));
    expect(at.world.balanceOf(repairer.account) - before).toBe(10n);
    expect(at.record(deal)).toMatchObject({ fund: 90n, held: 1, paid: 10n });
  });

  it('can be given up, for a share of the collateral while the agreed term runs', () => {
    const at = stage({ term: 3 });
    const { deal } = at;
    at.held(consumer, first, 0, shardOf(0));
    at.held(consumer, second, 1, shardOf(1));
    expect(at.must(first, dealsMethods.leave, { deal, index: 0 })).toEqual({ returned: 80n });
    const { endEpoch } = at.record(deal);
    expect(at.must(consumer, dealsMethods.renew, { deal, endEpoch: endEpoch + 4 })).toEqual({
      cost: 40n,
    });
    expect(at.must(consumer, dealsMethods.renew, { deal, endEpoch: endEpoch + 4 }).cost).toBe(0n);
    at.must(stranger, dealsMethods.topUp, { deal, amount: 7n });
    expect(at.record(deal).fund).toBe(27n);
    for (let i = 0; i < 3; i++) at.nextEpoch();
    expect(at.must(second, dealsMethods.leave, { deal, index: 1 })).toEqual({ returned: 100n });
  });
});
