import { Roster } from './roster.ts';
import { createValidatorSet } from './validator-set.ts';

const key = (index: number) => `01${index.toString(16).padStart(64, '0')}`;
const setOf = (count: number) =>
  createValidatorSet(
    Array.from({ length: count }, (_, i) => ({ publicKey: key(i), weight: 1 })),
    'classic',
  );

test('sets in any order of eras, also before the first one; ε goes on until it is set anew', () => {
  const roster = new Roster();
  roster.install(10, setOf(4), { epsilonUs: 200 });
  roster.install(8, setOf(5));
  roster.install(12, setOf(7));
  roster.install(14, setOf(7), { epsilonUs: 300, samplingPerMille: 50 });
  expect([8, 9, 10, 11, 12, 13, 14].map((era) => roster.at(era).parameters.epsilonUs)).toEqual([
    undefined,
    undefined,
    200,
    200,
    200,
    200,
    300,
  ]);
  expect([9, 11, 13].map((era) => roster.at(era).set.total)).toEqual([5, 4, 7]);
  expect(() => roster.at(7)).toThrow(/era 7/);
  for (const epsilonUs of [0, 1.5, 2e6])
    expect(() => roster.install(20, setOf(4), { epsilonUs })).toThrow(/interval/);
  for (const samplingPerMille of [0, 0.5, 1001])
    expect(() => roster.install(20, setOf(4), { samplingPerMille })).toThrow(/sampling/);
});
