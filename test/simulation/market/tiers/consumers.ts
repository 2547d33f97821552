/** Who orders: A, B and C with the same jobs and different wishes, twenty tenants, and a crowd. */
import { type VerificationRegime, regimeFor } from '#libs/market';
import {
  ANY_MODEL,
  DOMAIN_BITS,
  type Level,
  TIER_WEIGHTS,
  type TaskShape,
  createShapeTable,
} from '#libs/scheduler';
import type { JobClass } from './task.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
export const CONSUMER_JOBS = 300;
export const TENANTS = 20;
/** Cell that the tenants fill to the brim. */
export const TENANT_CELL = 'public.standard';

const shapes = createShapeTable();
const shapeOf = (cores: number, gib: number): TaskShape =>
  shapes.intern({
    ...{ cpuMilli: cores * 1000, memoryMib: gib * 1024, gpuCount: 0, gpuMilli: 0 },
    modelBits: ANY_MODEL,
  });

/** What each would pay for the job at most; it costs about 0.1 to 1 token (10⁹), by domain and level. */
const BUDGETS = { A: 250_000_000, B: 500_000_000, C: 2_500_000_000 } as const;
const NO_MATTER = 10_000_000_000;
const everywhere =
  DOMAIN_BITS.public | DOMAIN_BITS.vetted | DOMAIN_BITS.confidential | DOMAIN_BITS.private;

function consumer(
  owner: 'A' | 'B' | 'C',
  deadlineMs: number,
  domains: number,
  levels: readonly Level['name'][],
  regime: VerificationRegime,
): JobClass {
  return {
    ...{ owner, code: 'report', shape: shapeOf(2, 4), weights: TIER_WEIGHTS[owner] },
    floors: { domains, budget: BUDGETS[owner], regions: [], levels },
    ...{ deadlineMs, regime },
  };
}

/** The same work for each of them. */
export const CONSUMERS: readonly JobClass[] = [
  consumer(
    ...(['A', 20 * MINUTE_MS, DOMAIN_BITS.public | DOMAIN_BITS.vetted, []] as const),
    regimeFor({ kind: 'js', tier: 'A', level: 'eco' }),
  ),
  consumer(
    ...(['B', 10 * MINUTE_MS, everywhere & ~DOMAIN_BITS.private, []] as const),
    regimeFor({ kind: 'js', tier: 'B', level: 'fast' }),
  ),
  consumer(
    ...(['C', HOUR_MS, DOMAIN_BITS.confidential, ['assured']] as const),
    regimeFor({ kind: 'js', tier: 'C', level: 'assured', replicas: 3 }),
  ),
];

const adaptive = regimeFor({ kind: 'js', tier: 'A', level: 'assured' });

/** Cores and GiB of the tenants' tasks: some ask for CPU, some for memory. */
const TENANT_SHAPES = [
  ...[shapeOf(2, 4), shapeOf(4, 8), shapeOf(1, 12), shapeOf(2, 24), shapeOf(4, 24)],
];

/** Twenty tenants of one cell, each with more work than it can place; results by adaptive quorum. */
export const TENANT_JOBS: readonly JobClass[] = Array.from({ length: TENANTS }, (_, i) => ({
  ...{ owner: `tenant-${String(i).padStart(2, '0')}`, code: `sweep-${i % 4}` },
  shape: TENANT_SHAPES[i % TENANT_SHAPES.length] as TaskShape,
  weights: TIER_WEIGHTS.A,
  floors: { domains: DOMAIN_BITS.public, budget: NO_MATTER, regions: [], levels: ['standard'] },
  ...{ deadlineMs: 100 * HOUR_MS, regime: adaptive },
}));

/** Others who use what is not the tenants', so that nobody finds the machines empty. */
export const CROWD: JobClass = {
  ...{ owner: 'crowd', code: 'misc', shape: shapeOf(8, 16), weights: TIER_WEIGHTS.A },
  floors: {
    ...{ domains: DOMAIN_BITS.public | DOMAIN_BITS.vetted, budget: NO_MATTER, regions: [] },
    levels: ['eco', 'fast'],
  },
  ...{ deadlineMs: HOUR_MS, regime: regimeFor({ kind: 'js', tier: 'A', level: 'eco' }) },
};
