/** What the guests of a simulation do, and the manifests that say so. */
import type { ExitClass } from '#contracts';
import type { SeededRandomness } from '#libs/kernel';
import { DEFAULT_JOB_LIMITS, type JobLimits, type Manifest } from '#libs/market';
import { cidOf } from './result-store.ts';

export interface JobScript {
  readonly code: string;
  readonly limits: JobLimits;
  readonly runMs: number;
  readonly ending: Exclude<ExitClass, 'wall-limit'> | 'hangs';
  /** Of an order of many tasks: how many, so that replicas of one task come to the same. */
  readonly tasks?: number;
}

const WALL_MS = 4000;
const GIB = 2 ** 30;

const ENDINGS: readonly JobScript['ending'][] = [
  ...Array.from({ length: 14 }, () => 'ok' as const),
  'guest-error',
  'memory-limit',
  'crash',
  'refused',
  'hangs',
];

export function randomScript(random: SeededRandomness): JobScript {
  const ending = random.pick(ENDINGS);
  const limits = { ...DEFAULT_JOB_LIMITS, wallMs: WALL_MS, cpuMs: WALL_MS, outputBytes: 1000 };
  return { code: cidOf(`code ${random.below(5)}`), limits, runMs: 20 + random.below(1500), ending };
}

export function manifestOf(
  script: JobScript,
  random: SeededRandomness,
  tier: Manifest['tier'],
): Manifest {
  return {
    version: 1,
    name: `${script.ending} in ${script.runMs} ms`,
    kind: 'js',
    code: script.code,
    inputs: [],
    params: JSON.stringify({ salt: random.below(2 ** 31) }),
    limits: script.limits,
    minIsolation: random.pick(['S0', 'S1', 'S2']),
    tier,
    resources: { cores: 1 + random.below(2), memoryBytes: GIB / 4 },
  };
}
