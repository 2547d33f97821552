/** Quotes: what a job would cost, and when it would start and end, with each provider that fits. */
import { MISFITS, type Misfit, cellOf, compareScores, misfitOf, tierScore } from './fitting.ts';
import type { JobNeeds } from './model/rows.ts';
import type { Quote, QuoteOption, QuoteReason } from './model/views.ts';
import { chargeFor, priceAtLimits } from './pricing.ts';
import { hasRoom } from './room.ts';
import type { Market, ProviderState } from './state.ts';

/** Until a job's code has run here, its use is guessed as this share of its limits. */
const UNKNOWN_SHARE = 0.1;
/** From a free slot to the first guest statement. */
const START_MS = 100;
const OPTIONS_MAX = 100;

export type QuoteFilter = 'offline' | 'draining' | Misfit | 'busy';

const FILTER_TEXT: Readonly<Record<Exclude<QuoteFilter, 'kind'>, string>> = {
  offline: 'offline',
  draining: 'finishing their work before they stop',
  domain: 'outside the confidential domains that tier C keeps to',
  isolation: 'with weaker isolation than asked for',
  cores: 'with too few cores',
  memory: 'with too little memory',
  disk: 'with too little disk',
  price: 'above the price cap',
  busy: 'that fit, with no slot or resources free now',
};

/**
 * Answers a quote from what is known now; changes nothing. Tiers order the options: A by price, B by
 * speed, C by isolation. `priceCap`, when given, leaves dearer providers out and says so.
 */
export function quoteJob(market: Market, needs: JobNeeds, priceCap?: bigint): Quote {
  const left = new Map<QuoteFilter, number>();
  const fitting: { option: QuoteOption; score: readonly number[] }[] = [];
  for (const provider of market.providers.values()) {
    const misfit = absenceOf(provider) ?? misfitOf(provider.row.offer, needs, priceCap);
    if (misfit) {
      left.set(misfit, (left.get(misfit) ?? 0) + 1);
      continue;
    }
    const option = optionOf(market, provider, needs);
    const score = tierScore(needs.tier, provider.row.offer, option.priceCap);
    fitting.push({ option, score: needs.tier === 'B' ? [option.startMs, ...score] : score });
  }
  fitting.sort((a, b) => compareScores(a.score, b.score));
  return {
    options: fitting.slice(0, OPTIONS_MAX).map(({ option }) => option),
    considered: market.providers.size,
    reasons: reasonsOf(left, needs),
  };
}

/** Why a provider takes nothing at all now. */
export function absenceOf({
  session,
  draining,
}: ProviderState): 'offline' | 'draining' | undefined {
  if (session === undefined) return 'offline';
  return draining ? 'draining' : undefined;
}

function textOf(code: QuoteFilter, { kind = 'js' }: JobNeeds): string {
  if (code !== 'kind') return FILTER_TEXT[code];
  return kind === 'js'
    ? 'that run metered jobs only, not js'
    : `without the metered engine that ${kind} jobs need (kinds are listed by: seele provider list)`;
}

export function reasonsOf(left: ReadonlyMap<QuoteFilter, number>, needs: JobNeeds): QuoteReason[] {
  const reasons: QuoteReason[] = [];
  for (const code of ['offline', 'draining', ...MISFITS, 'busy'] as const) {
    const providers = left.get(code);
    if (providers === undefined) continue;
    reasons.push({ code, providers, text: textOf(code, needs) });
  }
  return reasons;
}

function expectedUse(market: Market, needs: JobNeeds): { cpuMs: number; wallMs: number } {
  const seen = market.runs.get(needs.code);
  if (seen) return { cpuMs: Math.ceil(seen.meanCpuMs), wallMs: Math.ceil(seen.meanWallMs) };
  return {
    cpuMs: Math.ceil(needs.limits.cpuMs * UNKNOWN_SHARE),
    wallMs: Math.ceil(needs.limits.wallMs * UNKNOWN_SHARE),
  };
}

function optionOf(market: Market, provider: ProviderState, needs: JobNeeds): QuoteOption {
  const { offer } = provider.row;
  const priceCap = priceAtLimits(offer, needs.limits);
  const use = expectedUse(market, needs);
  // Without room the job waits for about as many runs as stand before it, spread over the slots.
  const ahead = hasRoom(provider, needs) ? 0 : 1 + market.waiting.size / Math.max(1, offer.slots);
  const startMs = Math.round(START_MS + ahead * use.wallMs);
  return {
    provider: provider.row.provider,
    name: offer.name,
    cell: cellOf(offer),
    isolation: offer.isolation,
    priceCap,
    expectedPrice: chargeFor(offer, needs.limits, use, priceCap),
    startMs,
    finishMs: {
      likely: startMs + use.wallMs,
      latest: startMs + Math.round(ahead * needs.limits.wallMs) + needs.limits.wallMs,
    },
  };
}

const RUNS_MAX = 10_000;
const MEMORY_OF_RUNS = 20;

/** Takes a finished run into the estimates; the oldest code is forgotten when there are too many. */
export function observeRun(market: Market, code: string, cpuMs: number, wallMs: number): void {
  const { runs } = market;
  const seen = runs.get(code) ?? { runs: 0, meanCpuMs: 0, meanWallMs: 0 };
  const weight = 1 / Math.min(seen.runs + 1, MEMORY_OF_RUNS);
  runs.delete(code);
  runs.set(code, {
    runs: seen.runs + 1,
    meanCpuMs: seen.meanCpuMs + weight * (cpuMs - seen.meanCpuMs),
    meanWallMs: seen.meanWallMs + weight * (wallMs - seen.meanWallMs),
  });
  if (runs.size > RUNS_MAX) runs.delete(runs.keys().next().value as string);
}
