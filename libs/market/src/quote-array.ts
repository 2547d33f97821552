/** What a quote says of an order of many tasks: price and time of all of them, not of one. */
import { BATCH_UNITS_MAX } from '#contracts';
import type { JobNeeds } from './model/rows.ts';
import type { QuoteOption } from './model/views.ts';
import { absenceOf } from './placement/absence.ts';
import type { Market } from './state.ts';
import { QUORUM_TERMS } from './verification/index.ts';

/** Room for binding, reporting and settling batches. */
const SLACK_MS = 10_000;

/** Units that are done when nobody errs. */
function usualUnits(
  tasks: number,
  { most, isAdaptive }: NonNullable<JobNeeds['replicas']>,
): number {
  return tasks * (isAdaptive ? QUORUM_TERMS.quorum : (most >> 1) + 1);
}

/**
 * A quote for one unit as one for the whole order. Replicas go to distinct providers, so the price of a
 * unit reaches the dearest of those that must agree. Times count the slots that this price opens.
 */
export function quoteWhole(market: Market, needs: JobNeeds, option: QuoteOption): QuoteOption {
  const { tasks, replicas = { most: 1, isAdaptive: false } } = needs;
  if (tasks === undefined) return option;
  const there = market.places.fits
    .of(market.providers, needs)
    .cells.flatMap(({ candidates }) =>
      candidates.filter(({ provider }) => !absenceOf(market, provider)),
    )
    .toSorted((a, b) => (a.price < b.price ? -1 : 1));
  const distinct = replicas.isAdaptive ? QUORUM_TERMS.quorum : replicas.most;
  const last = there[Math.min(distinct, there.length) - 1]?.price ?? 0n;
  const unitPrice = last > option.priceCap ? last : option.priceCap;
  const slots = there
    .filter(({ price }) => price <= unitPrice)
    .reduce((sum, { provider }) => sum + provider.row.offer.slots, 0);
  const most = tasks * replicas.most;
  const usual = usualUnits(tasks, replicas);
  const rounds = (units: number): number =>
    Math.ceil(units / Math.max(1, Math.min(slots, Math.ceil(units / BATCH_UNITS_MAX))));
  const runMs = Math.max(1, option.finishMs.likely - option.startMs);
  const { startMs, finishMs } = option;
  return {
    ...option,
    priceCap: unitPrice * BigInt(most),
    expectedPrice: option.expectedPrice * BigInt(usual),
    unitPrice,
    units: most,
    finishMs: {
      likely: Math.round(startMs + rounds(usual) * runMs),
      earliest: finishMs.earliest,
      latest: Math.ceil(finishMs.latest + rounds(most) * needs.limits.wallMs + SLACK_MS),
    },
    isCalibrated: false,
  };
}
