/** What a planned job would cost at most, by the market's quote. */
import { formatAmount } from '#libs/kernel';
import type { Manifest } from '#libs/market';
import type { QuoteDocument } from '#libs/sdk';
import type { PlannedJob } from './plan.ts';

export interface Price {
  /** For the whole order, smallest units; undefined when nobody takes it. */
  readonly priceCap?: bigint;
  /** For one task of many. */
  readonly unitPrice?: bigint;
  /** Why it cannot be ordered now. */
  readonly problem?: string;
}

export function priceOf(
  { units, priceCap: given }: PlannedJob,
  manifest: Manifest,
  { options, reasons }: Pick<QuoteDocument, 'options' | 'reasons'>,
): Price {
  const [best] = options;
  if (!best) {
    const why = reasons.map(({ providers, text }) => `${providers} ${text}`).join('; ');
    return { problem: `no provider can take it now: ${why || 'none known'}` };
  }
  const least = options
    .map((option) => BigInt(option.priceCap))
    .reduce((low, price) => (price < low ? price : low));
  const priceCap = given ?? BigInt(best.priceCap);
  const quotedUnit = best.unitPrice === undefined ? undefined : BigInt(best.unitPrice);
  const unit = given === undefined ? (quotedUnit ?? priceCap) : given / BigInt(units);
  const price = { priceCap, ...(manifest.array && { unitPrice: unit }) };
  return priceCap < least
    ? { ...price, problem: `priceCap is below the cheapest quote, ${formatAmount(least)}` }
    : price;
}
