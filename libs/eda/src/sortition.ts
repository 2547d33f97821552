/**
 * Who ticks in a sampled committee (n > 64): every validator draws its seats by itself from a VRF,
 * nobody knows them before it speaks, and everybody can check them. Stake buys seats in proportion,
 * however many identities hold it.
 */
import { hkdfSha256 } from '#libs/crypto';
import { type Bytes, concatBytes, utf8 } from '#libs/kernel';

/** Ticks that one proof covers. */
export const TICKS_PER_PROOF = 64;

const DRAW_BYTES = 6;
const DRAW_SCALE = 2 ** 48;
const PURPOSE = utf8('seele/eda-seats/1');

/** What the VRF is evaluated on for tick `k`: one proof per 64 ticks. */
export function seatsInput(eraBeacon: Bytes, k: number): Bytes {
  return concatBytes(eraBeacon, utf8(`seats/${Math.floor(k / TICKS_PER_PROOF)}`));
}

/**
 * Seats of a validator in tick `k`: binomial(weight, seats / total), by inversion of a uniform number
 * from HKDF(VRF output, k). Multiplications and divisions of doubles in a fixed order only, so every
 * machine gets the same count.
 */
export function seatsOf(
  output: Bytes,
  k: number,
  weight: number,
  total: number,
  seats: number,
): number {
  const p = Math.min(1, seats / total);
  if (p === 1) return weight;
  // Pieces small enough for (1 − p)^n not to vanish; sums of binomials of one p are binomial.
  const piece = Math.max(1, Math.floor(MEAN_MAX / p));
  let count = 0;
  for (let i = 0; i * piece < weight; i++)
    count += binomialAt(uniform(output, k, i), Math.min(piece, weight - i * piece), p);
  return count;
}

/** Probability that a weight has at least one seat: 1 − (1 − seats / total)^weight. */
export function presenceOf(weight: number, total: number, seats: number): number {
  return 1 - power(1 - Math.min(1, seats / total), weight);
}

function uniform(output: Bytes, k: number, piece: number): number {
  const info = concatBytes(PURPOSE, utf8(`/${k}/${piece}`));
  let u = 0;
  for (const byte of hkdfSha256(output, new Uint8Array(0), info, DRAW_BYTES)) u = u * 256 + byte;
  return u / DRAW_SCALE;
}

/** (1 − p)^n by squaring: `Math.pow` may differ between machines. */
function power(base: number, exponent: number): number {
  let result = 1;
  let factor = base;
  for (let left = exponent; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) result *= factor;
    factor *= factor;
  }
  return result;
}

/** Largest mean of one piece; (1 − p)^n underflows beyond some 700. */
const MEAN_MAX = 256;

/** The smallest count whose cumulative probability exceeds `u`. */
function binomialAt(u: number, n: number, p: number): number {
  let probability = power(1 - p, n);
  let sum = probability;
  let count = 0;
  while (u >= sum && count < n && probability > 0) {
    probability = (probability * (n - count) * p) / ((count + 1) * (1 - p));
    count += 1;
    sum += probability;
  }
  return count;
}
