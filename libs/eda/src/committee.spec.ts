import { createSigner, hashOf, vrfProve } from '#libs/crypto';
import { createAuthenticator } from './authenticator.ts';
import { Committee, expectedSeats } from './committee.ts';
import { Roster } from './roster.ts';
import { TICKS_PER_PROOF, seatsInput } from './sortition.ts';
import { createValidatorSet } from './validator-set.ts';

const seeds = Array.from({ length: 3 }, (_, i) => new Uint8Array(32).fill(i + 1));
const signers = seeds.map(createSigner);
const payloadRoot = (payload: Uint8Array) => hashOf('seele/eda-payload/1', payload);
const set = createValidatorSet(
  signers.map(({ publicKey }) => ({ publicKey, weight: 40 })),
  'classic',
);
const beacon = new Uint8Array(32).fill(7);

function committee(index: number, samplingPerMille: number) {
  const roster = new Roster();
  roster.install(1, set, { samplingPerMille });
  const [signer, seed] = [signers[index], seeds[index]];
  if (!signer || !seed) throw new Error('three validators');
  const auth = createAuthenticator({ signer, seed, payloadRoot });
  return new Committee(auth, roster.at(1), beacon);
}

test('seats by a real proof: the same for the owner and who checks, for 64 ticks', () => {
  const [own, other] = [committee(0, 1000), committee(1, 1000)];
  let seats = 0;
  for (let k = 128; k < 128 + TICKS_PER_PROOF; k++) {
    const drawn = own.own(0, k);
    expect(other.proven(0, k, drawn.proof)).toBe(drawn.seats);
    seats += drawn.seats;
  }
  // Three expected seats a tick, a third of them: 64 ± 8.
  expect(seats).toBeGreaterThan(30);
  expect(seats).toBeLessThan(100);
});

test('no proof, another one’s, of another window or another beacon: no seat', () => {
  const other = committee(1, 1000);
  const k = Array.from({ length: 64 }, (_, i) => 128 + i).find(
    (at) => committee(0, 1000).own(0, at).seats > 0,
  );
  if (k === undefined) throw new Error('a seat');
  const { proof } = committee(0, 1000).own(0, k);
  expect(other.proven(0, k, proof)).toBeGreaterThan(0);
  expect(other.proven(0, k, undefined)).toBe(0);
  expect(other.proven(1, k, proof)).toBe(0);
  expect(other.proven(9, k, proof)).toBe(0);
  expect(other.proven(0, k + TICKS_PER_PROOF, proof)).toBe(0);
  const elsewhere = vrfProve(seeds[0] as Uint8Array, seatsInput(new Uint8Array(32), k)).proof;
  expect(other.proven(0, k, elsewhere)).toBe(0);
});

test('expected seats: the rate of the set, 200 or all without one', () => {
  expect(expectedSeats(set, {})).toBe(3);
  expect(expectedSeats(set, { samplingPerMille: 400 })).toBe(2);
  const many = createValidatorSet(
    Array.from({ length: 900 }, (_, i) => ({
      publicKey: `01${i.toString(16).padStart(64, '0')}`,
      weight: 1,
    })),
    'classic',
  );
  expect(expectedSeats(many, {})).toBe(200);
  expect(expectedSeats(many, { samplingPerMille: 100 })).toBe(90);
});
