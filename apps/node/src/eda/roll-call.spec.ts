import { RollCall } from './roll-call.ts';

const ALL = ['ann', 'bob', 'cid'];
const journal = (n: number): Uint8Array => new Uint8Array(16).fill(n);
const waiting = (who: string, n: number): RollCall => new RollCall(who, journal(n), ALL, []);

test('a chain begins once every validator has said that it holds nothing', () => {
  const ann = waiting('ann', 1);
  ann.hear('bob', waiting('bob', 2).sayTo('ann'));
  ann.hear('dan', waiting('cid', 3).sayTo('ann'));
  expect(ann.conclude()).toBeUndefined();
  expect(ann.missing).toEqual(['cid']);
  ann.hear('cid', waiting('cid', 3).sayTo('ann'));
  expect(ann.conclude()).toHaveLength(3);
  expect(ann.isWaiting).toBe(false);
});

test('who was heard before the others began may follow; who comes with another empty directory may not', () => {
  const ann = waiting('ann', 1);
  const [bob, again] = [waiting('bob', 2), waiting('bob', 22)];
  ann.hear('bob', bob.sayTo('ann'));
  ann.hear('cid', waiting('cid', 3).sayTo('ann'));
  expect(ann.conclude()).toHaveLength(3);
  for (const [late, mayBegin] of [
    [bob, true],
    [again, false],
  ] as const) {
    late.hear('ann', ann.sayTo('bob'));
    late.hear('cid', waiting('cid', 3).sayTo('bob'));
    expect(late.conclude() !== undefined).toBe(mayBegin);
  }
});

test('a validator that signed and says so keeps the others from beginning anew', () => {
  const ann = waiting('ann', 1);
  ann.hear('bob', waiting('bob', 2).sayTo('ann'));
  ann.hear('cid', new RollCall('cid', journal(3), ALL, undefined).sayTo('ann'));
  expect(ann.conclude()).toBeUndefined();
});
