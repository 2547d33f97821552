/** Quotes: for each cell that could take a job, its price, when it would start and end, and its risk. */
import type { Randomness } from '#libs/kernel';
import { MISFITS, misfitOf } from './fitting.ts';
import type { JobNeeds } from './model/rows.ts';
import type { Quote, QuoteOption, QuoteReason } from './model/views.ts';
import { distrustFor } from './checks/bonds.ts';
import { operatorsFor } from './checks/operators.ts';
import { type Absence, absenceOf } from './placement/absence.ts';
import { type Choice, choosePlace } from './placement/choose.ts';
import { foresee } from './placement/forecast.ts';
import { UNKNOWN_SHARE } from './placement/outlook.ts';
import { cellRisk } from './placement/risk.ts';
import { chargeFor, priceAtLimits } from './pricing.ts';
import { quoteWhole } from './quote-array.ts';
import { hasRoom } from './room.ts';
import type { Market } from './state.ts';

export type QuoteFilter = QuoteReason['code'];

const FILTER_TEXT: Readonly<Record<Exclude<QuoteFilter, 'kind' | 'domain'>, string>> = {
  offline: 'offline',
  draining: 'finishing their work before they stop',
  unsteady: 'resting: they came and went with work too often a moment ago',
  level: 'of levels that the job does not permit',
  region: 'outside the permitted regions, or stating none',
  isolation: 'with weaker isolation than asked for',
  cores: 'with too few cores',
  memory: 'with too little memory',
  disk: 'with too little disk',
  price: 'above the price cap',
  barred: 'whose results were found wrong too often',
  bond: 'of level assured whose bond is too low for this price: a lie would pay them (seele dispute bond)',
  busy: 'that fit, with no slot or resources free now',
  operators: 'that fit, where more operators must agree',
  neighbours: 'that fit, beside work that would slow it or be slowed beyond their level',
};

/** Order in which filters are reported. */
const FILTERS: readonly QuoteFilter[] = [
  ...(['offline', 'draining', 'unsteady'] satisfies Absence[]),
  ...MISFITS,
  'bond',
  'barred',
  ...(['busy', 'neighbours'] as const),
];

export interface QuoteTerms {
  /** Leaves dearer providers out and says so. */
  readonly priceCap?: bigint | undefined;
  readonly nowMs?: number;
  readonly draws?: Randomness;
}

const NO_DRAWS: Randomness = { bytes: (count) => new Uint8Array(count) };

/**
 * Answers a quote from what is known now; changes nothing. Cells come in the order of the objective by
 * which orders are placed: the first is where the job would go if all had room.
 */
export function quoteJob(market: Market, needs: JobNeeds, terms: QuoteTerms = {}): Quote {
  const { priceCap, nowMs = 0, draws = NO_DRAWS } = terms;
  const job = { needs, priceCap, deadlineMs: Infinity, tried: [] };
  const options: QuoteOption[] = [];
  for (const { name } of market.places.fits.of(market.providers, needs).cells) {
    const choice = choosePlace(market, job, { mustHaveRoom: false, nowMs, draws, cell: name });
    if (choice) options.push(quoteWhole(market, needs, optionOf(market, needs, choice, name)));
  }
  const { wanted, there } = operatorsFor(market, needs, priceCap);
  const isFew = wanted > 1 && there < wanted;
  options.sort((a, b) => a.score.total - b.score.total || (a.cell < b.cell ? -1 : 1));
  return {
    // What could not be ordered has no price.
    options: isFew ? [] : options,
    considered: market.providers.size,
    reasons: [
      ...(isFew && there > 0 ? [fewOf(wanted, there)] : []),
      ...reasonsFor(market, needs, priceCap),
    ],
  };
}

const fewOf = (wanted: number, there: number): QuoteReason => ({
  ...{ code: 'operators', providers: there },
  text: `that fit, where ${wanted} operators must agree`,
});

/** Counted one by one only where that is quick; else by what offers alone say. */
const COUNT_UP_TO = 1024;

function reasonsFor(market: Market, needs: JobNeeds, priceCap: bigint | undefined): QuoteReason[] {
  const left = new Map<QuoteFilter, number>();
  if (market.providers.size > COUNT_UP_TO)
    return reasonsOf(market.places.fits.of(market.providers, needs).left, needs);
  for (const provider of market.providers.values()) {
    const code =
      absenceOf(market, provider) ??
      misfitOf(provider.row.offer, needs, priceCap) ??
      distrustFor(market, provider, needs);
    if (code) left.set(code, (left.get(code) ?? 0) + 1);
  }
  return reasonsOf(left, needs);
}

function optionOf(market: Market, needs: JobNeeds, choice: Choice, cell: string): QuoteOption {
  const { offer, score } = choice;
  const { row } = offer.provider;
  const { likelyMs, lowMs, highMs, isCalibrated, errorClass } = foresee(market, needs, choice);
  const fit = market.places.fits.of(market.providers, needs);
  const candidates = fit.cells.find(({ name }) => name === cell)?.candidates ?? [];
  const there = candidates.filter(({ provider }) => !absenceOf(market, provider));
  return {
    ...{ cell, provider: row.provider, name: row.offer.name, isolation: row.offer.isolation },
    providers: there.length,
    free: there.filter(({ provider }) => hasRoom(provider, needs)).length,
    priceCap: offer.exactPrice,
    expectedPrice: expectedPrice(market, needs, choice),
    startMs: Math.round(offer.startMs),
    finishMs: { likely: Math.round(likelyMs), earliest: lowMs, latest: highMs },
    ...{ isCalibrated, errorClass, score },
    risk: cellRisk(
      needs,
      { domain: choice.cell.domain, level: choice.cell.level.name },
      market.config,
    ),
  };
}

/** The processor time it takes here: what the code took elsewhere, else a share of its limit. */
function expectedPrice(market: Market, needs: JobNeeds, { offer }: Choice): bigint {
  const { limits, code } = needs;
  const use = market.places.learned.useOf(code);
  const share = use ? use.cpuMs / Math.max(1, use.wallMs) : UNKNOWN_SHARE;
  const wallMs = Math.ceil(offer.run.expectedMs);
  const cpuMs = Math.ceil(use ? wallMs * share : limits.cpuMs * UNKNOWN_SHARE);
  const { offer: prices } = offer.provider.row;
  return chargeFor(prices, limits, { cpuMs, wallMs }, priceAtLimits(prices, limits));
}

function textOf(code: QuoteFilter, { kind = 'js', tier, placement }: JobNeeds): string {
  if (code === 'domain')
    return tier === 'C' && !placement?.domains
      ? 'outside the confidential domains that tier C keeps to'
      : 'outside the domains that the job permits';
  if (code !== 'kind') return FILTER_TEXT[code];
  return kind === 'js'
    ? 'that run metered jobs only, not js'
    : `without the metered engine that ${kind} jobs need (kinds are listed by: seele provider list)`;
}

export function reasonsOf(left: ReadonlyMap<QuoteFilter, number>, needs: JobNeeds): QuoteReason[] {
  const reasons: QuoteReason[] = [];
  for (const code of FILTERS) {
    const providers = left.get(code);
    if (providers === undefined) continue;
    reasons.push({ code, providers, text: textOf(code, needs) });
  }
  return reasons;
}
