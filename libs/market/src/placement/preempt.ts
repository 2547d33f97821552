/**
 * Taking a slot of level eco for other work: only from cheap work that agreed to it by its level, only
 * when nothing else has room, at most a few times from one job. The job begins anew elsewhere; of a batch of
 * many tasks what is done counts, and the rest goes back. Its provider is not to blame, and nobody pays for
 * what was lost.
 */
import { BATCH_UNITS_MAX } from '#contracts';
import { isOfferRoomy } from '../room.ts';
import type { OrderRow, UnitsRow } from '../model/rows.ts';
import { type Market, type ProviderState, orderOf } from '../state.ts';
import { absenceOf } from './absence.ts';
import type { Job } from './choose.ts';

/** A job gives way so often at most. */
const PREEMPTED_MAX = 3;
/** So many leases are looked at for one newcomer. */
const LOOK_AT = 512;

export interface Victim {
  readonly order: string;
  readonly provider: ProviderState;
  /** Of an order of many tasks: its batch. */
  readonly batch?: UnitsRow;
}

/** Tiers B and C, and whoever is within its quota, go before work of tier A on eco machines. */
const mayPreempt = (market: Market, { needs }: Job, consumer: string): boolean =>
  needs.tier !== 'A' || market.places.tenants.isEntitled(consumer, needs);

function mayGiveWay(market: Market, row: OrderRow, job: Job, consumer: string): boolean {
  const owner = row.signed.order.consumer;
  // As often as if each batch of it were a job.
  const most = PREEMPTED_MAX * Math.ceil((row.array?.tasks ?? 1) / BATCH_UNITS_MAX);
  return (
    (row.work === 'leased' || row.work === 'running') &&
    row.needs.tier === 'A' &&
    (row.preempted ?? 0) < most &&
    !(owner === consumer && job.needs.tier === 'A') &&
    !isOwed(market, owner)
  );
}

/** It holds no more than its quota, so nothing of it is borrowed. */
const isOwed = (market: Market, owner: string): boolean =>
  market.places.tenants.isWithinQuota(owner);

interface Work {
  readonly row: OrderRow;
  readonly atUs: number;
  readonly batch?: UnitsRow;
}

/** Jobs and batches in a provider's hands. */
function* workOf(market: Market, { holding, batches }: ProviderState): Generator<Work> {
  for (const order of holding) {
    const row = market.orders.get(order);
    if (row?.lease) yield { row, atUs: row.lease.grantedAtUs };
  }
  for (const lease of batches) {
    const batch = market.batches.get(lease);
    const row = batch && market.orders.get(batch.order);
    // What is being looked at holds no slot for long.
    if (row && batch.state !== 'checking') yield { row, atUs: batch.grantedAtUs, batch };
  }
}

/** The lease that costs least to take back: the newest, of whoever has the most; undefined for none. */
export function victimFor(market: Market, job: Job, consumer: string): Victim | undefined {
  if (!mayPreempt(market, job, consumer)) return undefined;
  let best: { readonly victim: Victim; readonly share: number; readonly atUs: number } | undefined;
  let looked = 0;
  for (const cell of market.places.fits.of(market.providers, job.needs).cells) {
    if (cell.level !== 'eco') continue;
    for (const { provider, price } of cell.candidates) {
      if (provider.session === undefined || absenceOf(market, provider)) continue;
      if (job.priceCap !== undefined && price > job.priceCap) continue;
      const { provider: account } = provider.row;
      if (job.tried.includes(account) || job.avoid?.has(account)) continue;
      for (const { row, atUs, batch } of workOf(market, provider)) {
        if (++looked > LOOK_AT) return best?.victim;
        if (!mayGiveWay(market, row, job, consumer)) continue;
        if (!isOfferRoomy(provider, job.needs, row.needs)) continue;
        const share = market.places.tenants.shareOf(row.signed.order.consumer);
        if (best && (share < best.share || (share === best.share && atUs <= best.atUs))) continue;
        best = { victim: { order: row.id, provider, ...(batch && { batch }) }, share, atUs };
      }
    }
  }
  return best?.victim;
}

/** What the log and the agent are told. */
export const preemptionReason = (market: Market, by: string): string =>
  `its eco slot was taken for order ${by.slice(0, 12)} of tier ${orderOf(market, by).needs.tier}`;
