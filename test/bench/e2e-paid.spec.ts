import { ordersEvents } from '#contracts';
import { encodeWith } from '#libs/kernel';
import { PaidUnits } from './e2e-paid.ts';

const ORDER = 'a'.repeat(64);
const party = 'b'.repeat(64);

function settled(
  units: readonly { readonly from: number; readonly count: number }[],
  withheld?: readonly { readonly from: number; readonly count: number }[],
): Parameters<PaidUnits['take']>[0] {
  const { contract, topic, codec } = ordersEvents.unitsSettled;
  const parties = { order: ORDER, market: party, consumer: party, provider: party, fence: 1 };
  const sums = { paid: 1n, refunded: 0n, delivery: party };
  const value = {
    ...parties,
    ...sums,
    units: [...units],
    ...(withheld && { withheld: [...withheld] }),
  };
  return { contract, topic, data: encodeWith(codec, value) };
}

const paidBy = (...events: readonly Parameters<PaidUnits['take']>[0][]) => {
  const paid = new PaidUnits(new Map([[ORDER, 10]]));
  for (const event of events) paid.take(event);
  return { lost: paid.lost, paidTwice: paid.paidTwice };
};

describe('what the chain paid for tasks', () => {
  it('is nothing lost and nothing twice when every unit is in one settlement', () => {
    const events = [settled([{ from: 0, count: 4 }]), settled([{ from: 4, count: 6 }])];
    expect(paidBy(...events)).toEqual({ lost: 0, paidTwice: 0 });
  });

  it('shows units that no settlement names, or that one withholds', () => {
    const withheld = settled([{ from: 0, count: 9 }], [{ from: 2, count: 1 }]);
    expect(paidBy(withheld)).toEqual({ lost: 2, paidTwice: 0 });
  });

  it('shows units that two settlements name', () => {
    const events = [settled([{ from: 0, count: 10 }]), settled([{ from: 8, count: 2 }])];
    expect(paidBy(...events)).toEqual({ lost: 0, paidTwice: 2 });
  });

  it('does not count other orders', () => {
    const paid = new PaidUnits(new Map([['c'.repeat(64), 1]]));
    paid.take(settled([{ from: 0, count: 1 }]));
    expect(paid.lost).toBe(1);
  });
});
