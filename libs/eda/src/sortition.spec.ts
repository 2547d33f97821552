import { createSeededRandomness, utf8 } from '#libs/kernel';
import { advanceBase, genesisBase } from './base.ts';
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

const EDGES = [54, 58, 62, 67];
/** Mean 60, standard deviation 7.7: about a fifth in each bin. */
function count(bins: number[], seats: number): void {
  const bin = EDGES.filter((edge) => seats >= edge).length;
  bins[bin] = (bins[bin] ?? 0) + 1;
}

/** χ² of two samples over the same bins (Pearson). */
function chiSquare(a: readonly number[], b: readonly number[]): number {
  const whole = (counts: readonly number[]) => counts.reduce((sum, count) => sum + count, 0);
  const [sumA, sumB] = [whole(a), whole(b)];
  let total = 0;
  for (const [i, countA] of a.entries()) {
    const both = countA + (b[i] as number);
    const [expectA, expectB] = [(both * sumA) / (sumA + sumB), (both * sumB) / (sumA + sumB)];
    total += (countA - expectA) ** 2 / expectA + ((b[i] as number) - expectB) ** 2 / expectB;
  }
  return total;
}

test('25: seats of 30 % of the stake are spread alike in 1 and in 1000 identities (χ², p > 0.01)', () => {
  const inBins = (ids: number, ticks: number) => {
    const random = createSeededRandomness(ids + 7);
    const outputs = Array.from({ length: ids }, () => random.bytes(64));
    const bins = [0, 0, 0, 0, 0];
    for (let k = 0; k < ticks; k++) {
      let seats = 0;
      for (const output of outputs) seats += seatsOf(output, k, 3000 / ids, TOTAL, SEATS);
      count(bins, seats);
    }
    return bins;
  };
  // 1 % point of χ² with four degrees of freedom.
  expect(chiSquare(inBins(1, 1500), inBins(1000, 50))).toBeLessThan(13.28);
  // It sees a difference of a tenth in the stake.
  const more = createSeededRandomness(3).bytes(64);
  const bins = [0, 0, 0, 0, 0];
  for (let k = 0; k < 1500; k++) {
    const seats = seatsOf(more, k, 3300, TOTAL, SEATS);
    count(bins, seats);
  }
  expect(chiSquare(inBins(1, 1500), bins)).toBeGreaterThan(13.28);
});

describe('25: the beacon', () => {
  const CHAIN = 'cc'.repeat(32);
  const ERA_US = 2 ** 32;
  const base = genesisBase(CHAIN, 5 * ERA_US, ERA_US);
  const body = (slot: number, vrf: Uint8Array, timeUs: number, entries: number) => ({
    chain: CHAIN,
    era: 5,
    slot,
    prevHash: CHAIN,
    timeUs: 5 * ERA_US + timeUs,
    entries: Array.from({ length: entries }, (_, i) => ({
      era: 5,
      author: i,
      seq: 1,
      hash: CHAIN,
      pos: 5 * ERA_US + 1,
      raw: 5 * ERA_US + 1,
    })),
    stateRoot: CHAIN,
    receiptsRoot: CHAIN,
    outboxRoot: CHAIN,
    setHash: CHAIN,
    nextSetHash: CHAIN,
    parentHeader: null,
    creator: 0,
    vrf,
  });

  test('does not depend on what a leader lists, when, or in which form: one value per leader and slot', () => {
    const proof = utf8('the one proof of this leader for this slot');
    const beacons = [1, 2, 3].flatMap((timeUs) =>
      [0, 1, 4].map((entries) =>
        advanceBase(base, body(1, proof, timeUs, entries), String(timeUs), ERA_US).beacon.join(),
      ),
    );
    expect(new Set(beacons).size).toBe(1);
  });

  test('leaders of the last k slots choose among 2^k beacons, and gain less than 2^k', () => {
    const k = 3;
    const random = createSeededRandomness(5);
    const validators = Array.from({ length: 20 }, (_, i) => ({
      publicKey: `01${i.toString(16).padStart(64, '0')}`,
      weight: 1,
    }));
    const set = createValidatorSet(validators, 'classic');
    const eras = 400;
    let fair = 0;
    let ground = 0;
    for (let era = 0; era < eras; era++) {
      const start = { ...base, beacon: random.bytes(32) };
      let ends = [start];
      for (let slot = 1; slot <= k; slot++) {
        // Its own proof, or silence: then the proof of the next view's leader counts.
        const proofs = [random.bytes(80), random.bytes(80)];
        ends = ends.flatMap((end) =>
          proofs.map((vrf) => advanceBase(end, body(slot, vrf, slot, 0), CHAIN, ERA_US)),
        );
      }
      const leads = ends.map(({ beacon }) => leaderOf(set, beacon, k + 1, 0) === 0);
      expect(leads.length).toBe(2 ** k);
      if (leads[0]) fair += 1;
      if (leads.includes(true)) ground += 1;
    }
    // 5 % of the stake: 5 % of fair draws, at most eight times as much with eight draws (1 − 0.95^8 = 34 %).
    expect(fair / eras).toBeLessThan(0.09);
    expect(ground / eras).toBeGreaterThan(0.2);
    expect(ground / eras).toBeLessThan(2 ** k * 0.05);
  });
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
