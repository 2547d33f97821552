/**
 * The least fuel price moves with load by time, not per block: what counts is fuel per second, however
 * often blocks are cut. Excess is the fuel used above the target, price doubles with every minute at
 * twice the target and halves with every idle minute:
 *
 *   excess = clamp(excess + fuelUsed − target · Δt, 0, cap)
 *   price  = minimum · exp(excess / K),  K = 60 s · target / ln 2
 *
 * Integers throughout, so that every node gets the same. A rule per block (EIP-1559) multiplies the
 * price by 10^15 within a minute when five blocks are cut a second.
 */
import {
  type Bytes,
  type CodecValue,
  type TimeUs,
  decodeWith,
  encodeWith,
  record,
  u64,
  uint,
  utf8,
} from '#libs/kernel';

/** Stored in the ledger's own state whenever it changed, so that it can be proved. */
export const fuelExcess = record({
  /** Fuel above the target at `timeUs`. */
  excess: u64,
  /** Time of the block that wrote it. */
  timeUs: uint(),
});
export type FuelExcess = CodecValue<typeof fuelExcess>;

export const FUEL_EXCESS_KEY = utf8('fuel-excess');

export interface FuelPriceRule {
  /** Fuel per second at which the price stays as it is. */
  readonly targetPerSecond: bigint;
  /** Price while there is no excess. */
  readonly minimum: bigint;
}

/** Seconds at twice the target that double the price. */
const DOUBLING_SECONDS = 60n;
/** The price rises to at most 2^24 times the minimum. */
const DOUBLINGS_MAX = 24n;
const US_PER_SECOND = 1_000_000n;
/** ln 2 as a fraction, exact to 18 digits. */
const LN2 = { numerator: 693_147_180_559_945_309n, denominator: 10n ** 18n };
/** Digits below the point while the series is summed. */
const PRECISION = 2n ** 64n;

const NO_EXCESS: FuelExcess = { excess: 0n, timeUs: 0 };

export function readFuelExcess(stored: Bytes | undefined): FuelExcess {
  return stored === undefined ? NO_EXCESS : decodeWith(fuelExcess, stored);
}

export function encodeFuelExcess(value: FuelExcess): Bytes {
  return encodeWith(fuelExcess, value);
}

function onTarget(rule: FuelPriceRule, fromUs: TimeUs, toUs: TimeUs): bigint {
  return toUs <= fromUs ? 0n : (rule.targetPerSecond * BigInt(toUs - fromUs)) / US_PER_SECOND;
}

/**
 * Excess after a block that used `fuelUsed`.
 *
 * @param parentTimeUs time of the block before, from which the target counts
 */
export function excessAfter(
  rule: FuelPriceRule,
  excess: bigint,
  block: { readonly parentTimeUs: TimeUs; readonly timeUs: TimeUs; readonly fuelUsed: bigint },
): bigint {
  const cap = DOUBLINGS_MAX * DOUBLING_SECONDS * rule.targetPerSecond;
  const next = excess + block.fuelUsed - onTarget(rule, block.parentTimeUs, block.timeUs);
  if (next < 0n) return 0n;
  return next > cap ? cap : next;
}

/** Least price in a block of time `timeUs` when the block at `since.timeUs` left `since.excess`. */
export function fuelPriceAt(rule: FuelPriceRule, since: FuelExcess, timeUs: TimeUs): bigint {
  const excess = since.excess - onTarget(rule, since.timeUs, timeUs);
  if (excess <= 0n) return rule.minimum;
  const numerator = excess * LN2.numerator;
  const denominator = DOUBLING_SECONDS * rule.targetPerSecond * LN2.denominator;
  return roundedExponential(rule.minimum, numerator, denominator);
}

/** factor · e^(numerator / denominator) by its Taylor series, rounded to the nearest integer. */
function roundedExponential(factor: bigint, numerator: bigint, denominator: bigint): bigint {
  let sum = 0n;
  let term = factor * PRECISION;
  for (let i = 1n; term > 0n; i++) {
    sum += term;
    term = (term * numerator) / (denominator * i);
  }
  return (sum + PRECISION / 2n) / PRECISION;
}
