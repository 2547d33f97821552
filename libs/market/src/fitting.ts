/** Which providers may ever run a job, and why others may not: the floors that no price crosses. */
import { type ProviderOffer, kindsOf } from './agent-protocol.ts';
import {
  type ArrayManifest,
  ISOLATION_LEVELS,
  type IsolationLevel,
  type Manifest,
} from './manifest.ts';
import { DOMAIN_BITS } from '#libs/scheduler';
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
    ...(manifest.inputs.length > 0 && {
      inputs: manifest.inputs.map(({ cid, sizeBytes }) => ({ cid, sizeBytes })),
    }),
    ...(manifest.placement && { placement: manifest.placement }),
    ...(manifest.validator && { hasValidator: true }),
    ...(manifest.array && { tasks: manifest.array.tasks, replicas: replicasOf(manifest.array) }),
  };
}

const replicasOf = ({ replicas: most, check }: ArrayManifest) => ({
  most,
  isAdaptive: check === 'adaptive',
});

/** Bits of the domains that the job permits. */
export function domainsOf({ tier, placement }: JobNeeds): number {
  const named = placement?.domains?.reduce((bits, name) => bits | DOMAIN_BITS[name], 0) ?? 15;
  // Tier C is a promise about where data goes, so nothing else makes another domain acceptable.
  return tier === 'C' ? named & (DOMAIN_BITS.confidential | DOMAIN_BITS.private) : named;
}

/** Filters in the order in which they are reported. */
export const MISFITS = [
  'domain',
  'level',
  'region',
  'kind',
  'isolation',
  'cores',
  'memory',
  'disk',
  'price',
] as const;
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
  domain: ({ domain }, needs) => (DOMAIN_BITS[domain] & domainsOf(needs)) === 0,
  level: ({ level }, { placement }) => placement?.levels?.includes(level) === false,
  region: ({ region }, { placement }) =>
    placement?.regions !== undefined &&
    (region === undefined || !placement.regions.includes(region)),
  kind: (offer, { kind = 'js' }) => !kindsOf(offer).includes(kind),
  isolation: ({ isolation }, { minIsolation }) =>
    isolationRank(isolation) < isolationRank(minIsolation),
  cores: (offer, needs) => offer.cores < needs.cores,
  memory: (offer, needs) => offer.memoryBytes < needs.memoryBytes,
  disk: (offer, needs) => offer.diskBytes < needs.diskBytes,
  price: (offer, { limits }, priceCap) =>
    priceCap !== undefined && priceAtLimits(offer, limits) > priceCap,
};
