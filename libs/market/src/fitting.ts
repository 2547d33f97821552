/** Which providers may run a job, why others may not, and which of them a tier likes best. */
import { type ProviderOffer, kindsOf } from './agent-protocol.ts';
import { ISOLATION_LEVELS, type IsolationLevel, type Manifest, type Tier } from './manifest.ts';
import type { JobNeeds } from './model/rows.ts';
import { priceAtLimits } from './pricing.ts';

/** `<domain>.<level>`: one queue per cell. */
export const cellOf = (offer: Pick<ProviderOffer, 'domain' | 'level'>): string =>
  `${offer.domain}.${offer.level}`;

export const isolationRank = (level: IsolationLevel): number => ISOLATION_LEVELS.indexOf(level);

/** The part of a manifest that binding and pricing need. */
export function needsOf(manifest: Manifest): JobNeeds {
  return {
    name: manifest.name,
    code: manifest.code,
    ...(manifest.kind !== 'js' && { kind: manifest.kind }),
    limits: manifest.limits,
    minIsolation: manifest.minIsolation,
    tier: manifest.tier,
    cores: Math.max(1, manifest.resources.cores),
    memoryBytes: Math.max(manifest.resources.memoryBytes, manifest.limits.memoryBytes),
    diskBytes: manifest.resources.diskBytes ?? 0,
    inputBytes: manifest.inputs.reduce((sum, input) => sum + input.sizeBytes, 0),
  };
}

/** Filters in the order in which they are reported. */
export const MISFITS = ['domain', 'kind', 'isolation', 'cores', 'memory', 'disk', 'price'] as const;
export type Misfit = (typeof MISFITS)[number];

/** What keeps this machine from ever taking the job, or undefined when nothing does. */
export function misfitOf(
  offer: ProviderOffer,
  needs: JobNeeds,
  priceCap: bigint | undefined,
): Misfit | undefined {
  return MISFITS.find((misfit) => IS_MISFIT[misfit](offer, needs, priceCap));
}

/** Everything that keeps it from that. */
export function misfitsOf(
  offer: ProviderOffer,
  needs: JobNeeds,
  priceCap: bigint | undefined,
): readonly Misfit[] {
  return MISFITS.filter((misfit) => IS_MISFIT[misfit](offer, needs, priceCap));
}

type IsMisfit = (offer: ProviderOffer, needs: JobNeeds, priceCap: bigint | undefined) => boolean;

const IS_MISFIT: Readonly<Record<Misfit, IsMisfit>> = {
  // Tier C is a promise about where data goes, so no price makes another domain acceptable.
  domain: ({ domain }, { tier }) =>
    tier === 'C' && domain !== 'confidential' && domain !== 'private',
  kind: (offer, { kind = 'js' }) => !kindsOf(offer).includes(kind),
  isolation: ({ isolation }, { minIsolation }) =>
    isolationRank(isolation) < isolationRank(minIsolation),
  cores: (offer, needs) => offer.cores < needs.cores,
  memory: (offer, needs) => offer.memoryBytes < needs.memoryBytes,
  disk: (offer, needs) => offer.diskBytes < needs.diskBytes,
  price: (offer, { limits }, priceCap) =>
    priceCap !== undefined && priceAtLimits(offer, limits) > priceCap,
};

const LEVEL_RANK = { eco: 0, standard: 1, fast: 2, assured: 3 } as const;

/** How a tier judges an offer: each figure smaller is better, the first difference decides. */
export function tierScore(tier: Tier, offer: ProviderOffer, price: bigint): readonly number[] {
  const cost = Number(price);
  const speed = -offer.benchmarkScore;
  const isolation = -isolationRank(offer.isolation);
  if (tier === 'A') return [cost, speed];
  if (tier === 'B') return [offer.level === 'fast' ? 0 : 1, speed, cost];
  return [isolation, -LEVEL_RANK[offer.level], cost];
}

export function compareScores(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}
