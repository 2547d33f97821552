/** What accepted work teaches, and when that is stored. */
import type { Usage } from '#contracts';
import { type JobNeeds, type OrderRow } from '../model/rows.ts';
import { type Market, type ProviderState, type Step, saveRow } from '../state.ts';
import { nodeClassOf, paceOfScore } from './fits.ts';
import { observeFinish } from './forecast.ts';
import { neighboursOf } from './outlook.ts';

/** Learned rows go to the store so long after they changed, so many at a time. */
const STORE_AFTER_MS = 5_000;
const STORE_AT_ONCE = 500;
/** A slowdown of a shorter run is noise. */
const SLOWDOWN_FROM_MS = 250;
/** Runs of a kind that must be known before a difference counts as its neighbours' doing. */
const DEPTH_KNOWN = 4;

export interface FinishedRun {
  readonly needs: JobNeeds;
  readonly usage: Pick<Usage, 'cpuMs' | 'wallMs' | 'peakMemoryBytes'>;
  /** Classes of the work beside it. */
  readonly neighbours: readonly number[];
}

/** A run that ended well on this provider. */
export function observeRun(
  market: Market,
  { row: { provider, offer } }: Pick<ProviderState, 'row'>,
  { needs, usage, neighbours }: FinishedRun,
): void {
  const { learned } = market.places;
  const { code, inputBytes, inputs } = needs;
  const workClass = learned.workClassOf(code);
  const { cpuMs, wallMs, peakMemoryBytes } = usage;
  learned.observeUse(code, { cpuMs, wallMs, peakBytes: peakMemoryBytes });
  const key = { code, inputBytes, nodeClass: nodeClassOf(offer) };
  const work = wallMs / paceOfScore(offer.benchmarkScore);
  const before = learned.runTimes.predict(key);
  const slowdown = learned.interference.slowdown(workClass, neighbours);
  if (neighbours.length > 0 && wallMs >= SLOWDOWN_FROM_MS && before.depth >= DEPTH_KNOWN) {
    const measured = Math.max(0.01, work / Math.max(0.001, before.expectedMs));
    learned.interference.observed(workClass, neighbours, measured);
    learned.touch('slowdowns');
  }
  for (const name of learned.runTimes.finished(key, work / slowdown)) learned.touch(`runs ${name}`);
  learned.touch(`errors r${before.depth}`);
  learned.offerHeld(provider);
  const cids = inputs?.map(({ cid }) => cid) ?? [];
  market.places.sawContent(provider, [code, ...cids]);
}

/** An order's delivery was accepted. */
export function observeDelivery(step: Step, row: OrderRow): void {
  const { market } = step;
  if (!row.lease || !row.delivery) return;
  const { delivery } = row.delivery;
  const provider = market.providers.get(row.lease.provider);
  if (provider && delivery.exit === 'ok') {
    const neighbours = neighboursOf(market, provider, row.id);
    observeRun(market, provider, { needs: row.needs, usage: delivery.usage, neighbours });
    provider.trust = market.places.learned.trustOf(row.lease.provider);
  }
  observeFinish(step, row, delivery.charge);
  storeLater(step);
}

/** A provider could not do what it offers, or had no room although it said so. */
export function observeBrokenOffer(step: Step, provider: ProviderState): void {
  const { learned } = step.market.places;
  learned.offerBroken(provider.row.provider);
  provider.trust = learned.trustOf(provider.row.provider);
  storeLater(step);
}

export function storeLater({ market, now }: Step): void {
  if (market.places.learned.hasChanges && !market.deadlines.has('learn'))
    market.deadlines.set('learn', now.monotonicMs + STORE_AFTER_MS);
}

/** The time has come to store what was learned. */
export function storeLearned(step: Step): void {
  for (const [id, row] of step.market.places.learned.takeChanges(STORE_AT_ONCE))
    saveRow(step, 'learned', id, row);
  storeLater(step);
}
