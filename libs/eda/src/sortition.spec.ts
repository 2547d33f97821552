import { createSeededRandomness } from '#libs/kernel';
import { seatsInput, seatsOf } from './sortition.ts';
import { createValidatorSet, leaderOf } from './validator-set.ts';

const TOTAL = 10_000;
const SEATS = 200;
const TICKS = 400;

/** Seats of a stake over many ticks, held by `ids` identities. */
function seatsPerTick(stake: number, ids: number): { mean: number; variance: number } {
  const random = createSeededRandomness(ids);
  const outputs = Array.from({ length: ids }, () => random.bytes(64));
  const perTick: number[] = [];
  for (let k = 0; k < TICKS; k++) {
    let seats = 0;
    for (const output of outputs) seats += seatsOf(output, k, stake / ids, TOTAL, SEATS);
    perTick.push(seats);
  }
  const mean = perTick.reduce((sum, seats) => sum + seats, 0) / TICKS;
  const variance = perTick.reduce((sum, seats) => sum + (seats - mean) ** 2, 0) / TICKS;
  return { mean, variance };
}

test('30 % of the stake has 60 of 200 seats, in one identity or in 50', () => {
  const one = seatsPerTick(3000, 1);
  const many = seatsPerTick(3000, 50);
  // Standard error of the mean: √(60 · 0.98 / 400) ≈ 0.38 seats.
  expect(Math.abs(one.mean - 60)).toBeLessThan(1.5);
  expect(Math.abs(many.mean - 60)).toBeLessThan(1.5);
  expect(one.variance).toBeGreaterThan(35);
  expect(one.variance).toBeLessThan(90);
});

test('the same output and tick give the same seats; a proof covers 64 ticks', () => {
  const output = new Uint8Array(64).fill(3);
  expect(seatsOf(output, 7, 500, TOTAL, SEATS)).toBe(seatsOf(output, 7, 500, TOTAL, SEATS));
  expect(seatsOf(output, 7, 500, TOTAL, TOTAL)).toBe(500);
  const beacon = new Uint8Array(32);
  expect(seatsInput(beacon, 63)).toEqual(seatsInput(beacon, 0));
  expect(seatsInput(beacon, 64)).not.toEqual(seatsInput(beacon, 63));
});

test('25: 30 % of the stake leads 30 % of the slots, in one identity or in 100', () => {
  const shareOf = (ids: number) => {
    const validators = Array.from({ length: ids + 70 }, (_, i) => ({
      publicKey: `01${i.toString(16).padStart(64, '0')}`,
      weight: i < ids ? 3000 / ids : 100,
    }));
    const set = createValidatorSet(validators, 'classic');
    const beacon = new Uint8Array(32).fill(9);
    let led = 0;
    for (let slot = 1; slot <= 1500; slot++) if (leaderOf(set, beacon, slot, 0) < ids) led += 1;
    return led / 1500;
  };
  // Standard error 1.2 %.
  for (const ids of [1, 100]) expect(Math.abs(shareOf(ids) - 0.3)).toBeLessThan(0.04);
});
