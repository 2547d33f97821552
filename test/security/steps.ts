/**
 * The levels of isolation that this machine reaches, each with the layers that make it and no others,
 * so that hostile programs can be run at every one of them: what contains them must not be a layer that
 * another machine lacks.
 */
import { spawn } from 'node:child_process';
import { extname, join } from 'node:path';
import type { JobLimits } from '#libs/market';
import { type SlotLayer, type SlotPool, createSlotPool, defaultLayers } from '#sandbox';
import { CORPUS_LIMITS, type Verdict, isHostAlive, runProgram } from './corpus.ts';

/** Weakest first. */
export const STEPS = ['permission', 'unshare', 'bubblewrap'] as const;
export type Step = (typeof STEPS)[number];

/** Bombs show themselves in less than a user gets. */
export const QUICK_LIMITS: JobLimits = { ...CORPUS_LIMITS, cpuMs: 1_000, wallMs: 4_000 };

const SLOTS = 2;
const USER_TIMEOUT_MS = 300_000;
/** Of `nobody` on most systems; any user without rights will do. */
const ORDINARY_USER = 65_534;

function layersOf(step: Step): SlotLayer[] | undefined {
  const { memoryBytes } = CORPUS_LIMITS;
  if (step === 'bubblewrap') return undefined;
  const names =
    step === 'permission'
      ? ['permission', 'prlimit']
      : ['namespaces', 'permission', 'no-new-privileges', 'prlimit'];
  return defaultLayers(memoryBytes, ['unshare']).filter(({ name }) => names.includes(name));
}

/** What one step did with the programs. */
export interface StepResult {
  readonly step: Step;
  readonly user: 'own' | 'ordinary';
  /** The level that was probed. */
  readonly level: string;
  readonly verdicts: readonly Verdict[];
  readonly hostAlive: boolean;
  /** Why there are no verdicts. */
  readonly skipped?: string;
}

/** Runs programs two at a time. */
export async function runPrograms(
  pool: SlotPool,
  paths: readonly string[],
  limits: JobLimits,
): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  const queue = [...paths];
  const worker = async () => {
    for (let path = queue.shift(); path !== undefined; path = queue.shift())
      verdicts.push(await runProgram(pool, path, limits));
  };
  await Promise.all(Array.from({ length: SLOTS }, worker));
  return verdicts.toSorted((a, b) => (a.program < b.program ? -1 : 1));
}

/** Why the pool is not what the step is about. */
function missingFrom({ isolation }: SlotPool, step: Step): string | undefined {
  if (step === 'permission') return undefined;
  const { holds, evidence } = isolation.layers.find(({ name }) => name === 'namespaces') ?? {};
  if (holds !== true) return evidence ?? 'no namespaces';
  const seccomp = isolation.layers.find(({ name }) => name === 'seccomp');
  return step === 'bubblewrap' && seccomp?.holds !== true ? seccomp?.evidence : undefined;
}

/** Runs the programs at one step as the user of this process. */
export async function runStep(
  step: Step,
  paths: readonly string[],
  limits: JobLimits,
): Promise<StepResult> {
  const layers = layersOf(step);
  const pool = await createSlotPool({ slots: SLOTS, ...(layers && { layers }) });
  try {
    const head = { step, user: 'own', level: pool.isolation.level } as const;
    const skipped = missingFrom(pool, step);
    if (skipped !== undefined) return { ...head, skipped, verdicts: [], hostAlive: true };
    const verdicts = await runPrograms(pool, paths, limits);
    return { ...head, verdicts, hostAlive: await isHostAlive(pool) };
  } finally {
    pool.close();
  }
}

/** The same as a user without rights, where this one is root; a process of its own. */
export function runStepAsOrdinaryUser(step: Step, paths: readonly string[]): Promise<StepResult> {
  const extension = extname(import.meta.filename);
  const main = join(import.meta.dirname, `main${extension}`);
  const nothing = { step, user: 'ordinary', level: 'S0', verdicts: [] } as const;
  const args = [main, '--step', step, ...paths];
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, {
      ...{ uid: ORDINARY_USER, gid: ORDINARY_USER, cwd: '/', env: {} },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...({ timeout: USER_TIMEOUT_MS, killSignal: 'SIGKILL' } as const),
    });
    let [said, complaint] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint += text));
    child.on('error', (error) => (complaint += String(error)));
    child.on('close', () => {
      try {
        resolve({ ...(JSON.parse(said) as StepResult), user: 'ordinary' });
      } catch {
        const skipped = `an ordinary user cannot run this build: ${complaint.slice(0, 200)}`;
        resolve({ ...nothing, skipped, hostAlive: true });
      }
    });
  });
}
