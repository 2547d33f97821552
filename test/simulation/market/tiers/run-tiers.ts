/** One seed of the tiers scenario: three worlds with the same machines and orders and other liars. */
import { isExcluded, isTrusted } from '#libs/market';
import { formatAmount } from '#libs/kernel';
import { jainIndex } from '#libs/scheduler';
import { leastCosts } from './bound.ts';
import { TENANT_JOBS } from './consumers.ts';
import type { Liars } from './scenario.ts';
import { RIGHT, type SimTask } from './task.ts';
import { TIERS_MINUTES, TiersWorld } from './world.ts';

export interface TiersReport {
  readonly seed: number;
  readonly providers: number;
  readonly tasks: number;
  readonly events: number;
  readonly virtualMinutes: number;
  /** Mean of a job: cost in smallest units, time from the order to the accepted result. */
  readonly consumers: Readonly<
    Record<
      'A' | 'B' | 'C',
      { readonly cost: number; readonly finishMs: number; readonly done: number }
    >
  >;
  readonly outsideDomain: number;
  /** What A paid over the least it could have cost in what others left of the machines. */
  readonly costVsLp: number;
  /** The same with all machines for A alone. */
  readonly costVsLpAlone: number;
  readonly jain: number;
  /** Share of tasks under adaptive quorum whose last accepted result was wrong. */
  readonly wrongAccepted: {
    readonly independent20: number;
    /** The worse of the two below. */
    readonly colluding20: number;
    readonly colludingBlunt20: number;
    readonly colludingCautious20: number;
  };
  /** Replicas of a task under adaptive quorum, in the last half of the time; and from the beginning. */
  readonly replicasPerTask: number;
  readonly replicasPerTaskFromStart: number;
  /** Tasks accepted on one word alone, with no check at all, that were wrong (consumer A). */
  readonly wrongUnchecked: number;
  /** Results of one provider that another did again, at random. */
  readonly audits: {
    readonly drawn: number;
    /** Lies of one provider's word, the share that was found out, and what their chances come to. */
    readonly lies: number;
    readonly caughtShare: number;
    readonly expectedShare: number;
    /** What the lies were paid, less what their stakes lost; smallest units. */
    readonly cheatingBalance: number;
  };
  readonly takenBack: number;
  readonly lostLeases: number;
  readonly excludedProviders: number;
  readonly trustedProviders: number;
}

const digits = (value: number, places: number): number => Number(value.toFixed(places));

const tenants = new Set(TENANT_JOBS.map(({ owner }) => owner));
const isWrong = ({ accepted }: SimTask): boolean => accepted !== RIGHT;
const isDone = ({ accepted, pending }: SimTask): boolean => accepted !== undefined && pending === 0;

const shareOf = (tasks: readonly SimTask[], is: (task: SimTask) => boolean): number =>
  tasks.length === 0 ? 0 : tasks.filter(is).length / tasks.length;

function meanReplicas(tasks: readonly SimTask[]): number {
  const replicas = tasks.reduce(
    (sum, { attempts }) => sum + attempts.filter(({ state }) => state === 'done').length,
    0,
  );
  return replicas / Math.max(1, tasks.length);
}

/** One world, played to its end. */
export function playTiers(seed: number, liars: Liars, minutes: number) {
  const world = new TiersWorld(seed, liars, minutes);
  world.run();
  const done = world.tasks.filter(isDone);
  const compared = done.filter(({ job }) => tenants.has(job.owner));
  return { world, done, compared };
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);

/** What a consumer got and paid, mean of its jobs. */
export function consumerOf(done: readonly SimTask[], owner: 'A' | 'B' | 'C') {
  const own = done.filter(({ job }) => job.owner === owner);
  const finishMs = mean(own.map((task) => (task.acceptedMs ?? 0) - task.submittedMs));
  const cost = mean(own.map((task) => Number(task.cost)));
  return { cost: Math.round(cost), finishMs: Math.round(finishMs), done: own.length };
}

export function auditsOf(audits: TiersWorld['audits']): TiersReport['audits'] {
  const { drawn, lies, caught, expected, gained, lost } = audits;
  return {
    ...{ drawn, lies },
    caughtShare: digits(caught / Math.max(1, lies), 4),
    expectedShare: digits(expected / Math.max(1, lies), 4),
    cheatingBalance: Number(gained - lost),
  };
}

/** Plays a seed; the same seed gives the same report, byte for byte. */
export function runTiers(seed: number, minutes = TIERS_MINUTES): TiersReport {
  const { world, done, compared } = playTiers(seed, 'independent', minutes);
  const wrongBy = (liars: Liars) =>
    digits(shareOf(playTiers(seed, liars, minutes).compared, isWrong), 6);
  const blunt = wrongBy('blunt');
  const cautious = wrongBy('cautious');
  const ofA = done.filter(({ job }) => job.owner === 'A');
  const paidByA = ofA.reduce((sum, { cost }) => sum + Number(cost), 0);
  const least = leastCosts(world.tasks, 'A', world.providers);
  const late = compared.filter(({ submittedMs }) => submittedMs >= (minutes * 60_000) / 2);
  return {
    seed,
    providers: world.providers.length,
    tasks: world.tasks.length,
    events: world.events,
    virtualMinutes: Math.round(world.nowMs / 60_000),
    consumers: {
      A: consumerOf(done, 'A'),
      B: consumerOf(done, 'B'),
      C: consumerOf(done, 'C'),
    },
    outsideDomain: world.placements.outsideDomain,
    costVsLp: digits(paidByA / least.left, 4),
    costVsLpAlone: digits(paidByA / least.alone, 4),
    jain: digits(jainIndex(world.shareSums), 4),
    wrongAccepted: {
      independent20: digits(shareOf(compared, isWrong), 6),
      colluding20: Math.max(blunt, cautious),
      colludingBlunt20: blunt,
      colludingCautious20: cautious,
    },
    replicasPerTask: digits(meanReplicas(late), 4),
    replicasPerTaskFromStart: digits(meanReplicas(compared), 4),
    wrongUnchecked: digits(shareOf(ofA, isWrong), 4),
    audits: auditsOf(world.audits),
    takenBack: world.takenBack,
    lostLeases: world.lostLeases,
    excludedProviders: world.providers.filter(({ trust }) => isExcluded(trust)).length,
    trustedProviders: world.providers.filter(({ trust }) => isTrusted(trust)).length,
  };
}

/** The report for people. */
export function tiersText(report: TiersReport): string {
  const { wrongAccepted: wrong, consumers } = report;
  const percent = (share: number): string => `${digits(share * 100, 4)} %`;
  const lines = [
    `${report.providers} providers, ${report.tasks} tasks, ${report.virtualMinutes} virtual minutes, seed ${report.seed}`,
    ...Object.entries(consumers).map(
      ([name, { cost, finishMs, done }]) =>
        `${name}: ${done} jobs, each ${formatAmount(BigInt(cost))} and ${(finishMs / 1000).toFixed(1)} s`,
    ),
    `outside the permitted domains: ${report.outsideDomain}`,
    `A paid ${report.costVsLp} times the least possible in what others left, ${report.costVsLpAlone} times with all machines its own`,
    `Jain index of ${TENANT_JOBS.length} tenants: ${report.jain}`,
    `wrong results accepted: ${percent(wrong.independent20)} with 20 % independent liars`,
    `  20 % colluding: ${percent(wrong.colludingBlunt20)} when they always lie, ${percent(wrong.colludingCautious20)} when only in company`,
    `replicas per task: ${report.replicasPerTask} in the last half, ${report.replicasPerTaskFromStart} from the start`,
    `${report.audits.drawn} single results done again at random; of ${report.audits.lies} lies ${percent(report.audits.caughtShare)} found out (chances ${percent(report.audits.expectedShare)}), the liars’ balance ${formatAmount(BigInt(report.audits.cheatingBalance))}`,
    `${report.trustedProviders} providers trusted, ${report.excludedProviders} excluded; ${report.takenBack} results taken back before they were paid`,
  ];
  return `${lines.join('\n')}\n`;
}
