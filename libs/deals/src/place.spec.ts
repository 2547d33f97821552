import { assignShards } from './place.ts';
import type { ListedOffer } from './offer.ts';

const offer = (name: string, operator = name) =>
  ({ provider: name, operator, pricePerGibDay: 1n, gateway: '', repairs: false }) as ListedOffer;
const offers = ['a', 'b', 'c', 'd'].map((name) => offer(name));
const choice = { offers, perOperator: 1, taken: ['a'], refused: new Set(['b']) };

describe('who keeps which shard', () => {
  it('is nobody who holds one already, refused, or repairs the deal', () => {
    const assigned = assignShards([7], choice, { repairer: 'c' });
    expect([...assigned]).toEqual([[7, 'd']]);
  });

  it('a new deal wants all of its shards placed', () => {
    expect(() => assignShards([1, 2, 3], choice, {})).toThrow(
      expect.objectContaining({ code: 'DEALS_NO_OFFERS' }),
    );
  });

  it('a repair places what it can', () => {
    const assigned = assignShards([1, 2, 3], { ...choice, atLeast: 1 }, {});
    expect([...assigned.keys()]).toEqual([1, 2]);
    expect(new Set(assigned.values())).toEqual(new Set(['c', 'd']));
    const none = { ...choice, refused: new Set(['b', 'c', 'd']), atLeast: 1 };
    expect(() => assignShards([1], none, {})).toThrow(
      expect.objectContaining({ code: 'DEALS_NO_OFFERS' }),
    );
  });
});
