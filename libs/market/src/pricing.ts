/**
 * What work costs. One rule for the quote, the bound price, the provider's bill and the market's
 * check of it: core-seconds of processor time used, plus GiB-seconds of the memory limit for the wall
 * time it was held. The total is rounded up once; the least price is one unit.
 */
import type { Usage } from '#contracts';
import type { ProviderOffer } from './agent-protocol.ts';
import type { JobLimits } from './manifest.ts';

export type OfferPrices = Pick<ProviderOffer, 'pricePerCoreSecond' | 'pricePerGibSecond'>;
type Used = Pick<Usage, 'cpuMs' | 'wallMs'>;

const MS_PER_SECOND = 1000n;
const GIB = 1n << 30n;
const MINIMUM_CHARGE = 1n;

function priceOf(prices: OfferPrices, memoryLimitBytes: number, used: Used): bigint {
  const cores = prices.pricePerCoreSecond * BigInt(used.cpuMs) * GIB;
  const memory = prices.pricePerGibSecond * BigInt(memoryLimitBytes) * BigInt(used.wallMs);
  const divisor = MS_PER_SECOND * GIB;
  const total = (cores + memory + divisor - 1n) / divisor;
  return total < MINIMUM_CHARGE ? MINIMUM_CHARGE : total;
}

/** The most a job can cost with this provider: its limits used up. Smallest units. */
export function priceAtLimits(prices: OfferPrices, limits: JobLimits): bigint {
  return priceOf(prices, limits.memoryBytes, limits);
}

/**
 * What a provider may charge for this use, in smallest units: never more than the bound price, and
 * never for time beyond the limits (a kill takes a moment, which is the provider's own).
 */
export function chargeFor(
  prices: OfferPrices,
  limits: JobLimits,
  used: Used,
  price: bigint,
): bigint {
  const charge = priceOf(prices, limits.memoryBytes, {
    cpuMs: Math.min(used.cpuMs, limits.cpuMs),
    wallMs: Math.min(used.wallMs, limits.wallMs),
  });
  return charge < price ? charge : price;
}
