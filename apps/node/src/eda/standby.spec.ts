import { Standby } from './standby.ts';

const bytes = (n: number, length = 10): Uint8Array => new Uint8Array(length).fill(n);

test('what a peer gave is taken up once its link stays down, once', () => {
  const standby = new Standby();
  standby.keep('ann', [bytes(1), bytes(2)], 0);
  standby.keep('bob', [bytes(3)], 0);
  expect(standby.take(5_000)).toEqual([]);
  standby.linkChanged('ann', false, 5_000);
  standby.linkChanged('bob', false, 5_000);
  standby.linkChanged('bob', true, 5_100);
  expect(standby.take(5_400)).toEqual([]);
  expect(standby.take(5_500)).toEqual([bytes(1), bytes(2)]);
  expect(standby.take(9_000)).toEqual([]);
  expect(standby.sizeBytes).toBe(10);
  expect(standby.take(31_000)).toEqual([]);
  expect(standby.sizeBytes).toBe(0);
});

test('a peer fills its own share only, and the oldest goes first', () => {
  const standby = new Standby();
  for (let i = 0; i < 9; i++) standby.keep('ann', [bytes(i, 1024 * 1024)], i);
  expect(standby.sizeBytes).toBe(4 * 1024 * 1024);
  standby.linkChanged('ann', false, 10);
  expect(standby.take(600).map(([first]) => first)).toEqual([5, 6, 7, 8]);
});
