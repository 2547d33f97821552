/** The part of the sandbox area that runs hostile programs: at every level reached, and in the engine. */
import type { SlotPool } from '#sandbox';
import {
  CORPUS_LIMITS,
  type Verdict,
  corpusFolder,
  corpusPrograms,
  isHostAlive,
  programsIn,
} from '../security/corpus.ts';
import { ENGINE_LETTERS, runInEngine } from '../security/engine-corpus.ts';
import {
  QUICK_LIMITS,
  STEPS,
  type StepResult,
  runPrograms,
  runStep,
  runStepAsOrdinaryUser,
} from '../security/steps.ts';
import type { BenchFigures } from './harness.ts';

export interface AttackOptions {
  /** A folder of programs; the corpus when absent. */
  readonly given: string | undefined;
  readonly full: boolean;
  readonly note: (text: string) => void;
}

/** Every level below the strongest, and all of them as an ordinary user where this one is root. */
async function otherSteps(paths: readonly string[], note: AttackOptions['note']) {
  const results: StepResult[] = [];
  for (const step of STEPS.filter((name) => name !== 'bubblewrap')) {
    note(`hostile programs: ${step}`);
    results.push(await runStep(step, paths, QUICK_LIMITS));
  }
  if (process.getuid?.() !== 0) return results;
  for (const step of STEPS) {
    note(`hostile programs: ${step}, ordinary user`);
    results.push(await runStepAsOrdinaryUser(step, paths));
  }
  return results;
}

const nameOf = ({ step, user, level }: Omit<StepResult, 'verdicts' | 'hostAlive'>): string =>
  `${level} ${step}${user === 'ordinary' ? ' (ordinary user)' : ''}`;

/** Figures over all pairs of program and place, and the verdict of each. */
export async function attack(
  pool: SlotPool,
  { given, full, note }: AttackOptions,
): Promise<{ readonly figures?: BenchFigures; readonly skipped: Record<string, string> }> {
  const { folder, reason = '' } = corpusFolder(given);
  if (folder === undefined) return { skipped: { attacksTotal: reason } };
  const paths = given === undefined ? corpusPrograms(folder) : programsIn(folder);
  const everywhere = full || given !== undefined;
  const strongest = await runPrograms(pool, paths, full ? CORPUS_LIMITS : QUICK_LIMITS);
  const places: StepResult[] = [
    {
      ...{ step: 'bubblewrap', user: 'own', level: pool.isolation.level, verdicts: strongest },
      hostAlive: await isHostAlive(pool),
    },
    ...(everywhere ? await otherSteps(paths, note) : []),
  ];
  note('hostile programs: metered engine');
  const engine = await runInEngine(corpusPrograms(folder, ENGINE_LETTERS));
  const verdicts: Record<string, Record<string, string>> = {};
  let contained = 0;
  const tell = (program: string, where: string, is: boolean, end: string) => {
    if (is) contained++;
    else note(`NOT CONTAINED ${program}, ${where}: ${end}`);
    (verdicts[program] ??= {})[where] = `${is ? 'contained' : 'out'}: ${end}`;
  };
  const skipped: Record<string, string> = {};
  for (const place of places) {
    if (place.skipped !== undefined) skipped[`attacks ${nameOf(place)}`] = place.skipped;
    for (const { program, contained: is, exit } of place.verdicts)
      tell(program, nameOf(place), is, exit);
  }
  for (const { program, how, contained: is, end } of engine.verdicts)
    tell(program, `engine, ${how}`, is, end);
  const slotVerdicts: Verdict[] = places.flatMap(({ verdicts: all }) => all);
  const over = slotVerdicts.map(
    ({ peakMemoryBytes }) => peakMemoryBytes - CORPUS_LIMITS.memoryBytes,
  );
  const deaths = places.filter(({ hostAlive }) => !hostAlive).length + engine.hostDeaths;
  return {
    figures: {
      attacksTotal: slotVerdicts.length + engine.verdicts.length,
      attacksContained: contained,
      attackPlaces: [...places.filter((p) => p.skipped === undefined).map(nameOf), 'engine'].join(
        ', ',
      ),
      hostDeaths: deaths,
      peakMemoryOverLimitMb: Math.round(Math.max(0, ...over) / 2 ** 20),
      ...(given !== undefined && { verdicts }),
    },
    skipped,
  };
}
