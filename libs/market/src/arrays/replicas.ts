/**
 * Orders whose tasks are done by several providers: what each answered, which tasks are decided, and whom
 * that pays. A batch is `judging` until all of its tasks are decided; then units that answered as most did
 * are paid, the odd ones are not. Everything here follows from the rows of the batches.
 */
import {
  type UnitSet,
  countUnits,
  decodeUnitLeaf,
  splitUnitLeaves,
  unitSetOf,
  unitsOf,
  withoutUnits,
} from '#contracts';
import { MARKET_ENTRIES } from '#libs/audit';
import { bytesToHex } from '#libs/kernel';
import { noteCheck } from '../checks/log-check.ts';
import { noteComparison } from '../checks/trust-rows.ts';
import { logStep } from '../job-log.ts';
import type { ArrayProgress, OrderRow, UnitsRow } from '../model/rows.ts';
import { HOST_EXITS } from '../retry.ts';
import { type Market, type Step, orderOf } from '../state.ts';
import {
  NO_TRUST,
  QUORUM_TERMS,
  type QuorumTerms,
  type ReplicaAnswer,
  type Trust,
  answerKey,
  checkChance,
  isExcluded,
  isTrusted,
  judgeReplicas,
  trustNeeded,
} from '../verification/index.ts';
import {
  NO_FAILURES,
  addUnits,
  arrayOf,
  batchesOf,
  isBatchOpen,
  joinRanges,
  tasksOfProvider,
  updateArray,
  updateBatch,
} from './batches.ts';

/** One task and what came of its replicas. */
export interface TaskAnswers {
  readonly answers: (ReplicaAnswer & { readonly unit: number; readonly charge: bigint })[];
  /** Replicas asked for so far, and how many of them were given up. */
  issued: number;
  dropped: number;
  /** Its only provider is taken at its word. */
  isAlone?: boolean;
  /** What is accepted; null when there is no quorum and never will be. */
  key?: string | null;
}

export const isReplicated = (array: ArrayProgress | undefined): boolean =>
  array !== undefined && array.replicas > 1;

type Replication = Pick<ArrayProgress, 'replicas' | 'isAdaptive'>;

/** A majority of the replicas decides, or two that agree. */
const termsOf = ({ replicas, isAdaptive }: Replication): QuorumTerms => ({
  quorum: isAdaptive ? QUORUM_TERMS.quorum : (replicas >> 1) + 1,
  most: replicas,
});
const ALONE: QuorumTerms = { quorum: 1, most: 1 };

/** Replicas of a task that are asked for at once: whom an adaptive order asks first decides the rest. */
const atOnce = (terms: Replication): number => (terms.isAdaptive ? 1 : termsOf(terms).quorum);

/** As many replicas of every task as can decide it at once; further ones when those differ. */
export function firstReplicas(tasks: number, terms: Replication): ArrayProgress['again'] {
  if (terms.replicas === 1) return [];
  return Array.from({ length: atOnce(terms) }, (_, replica) => ({
    units: [{ from: replica * tasks, count: tasks }],
    ...NO_FAILURES,
  }));
}

/** True when this provider was found wrong too often to be asked again. */
export function isBarred(market: Market, provider: string): boolean {
  const trust = market.providers.get(provider)?.row.trust;
  return trust !== undefined && isExcluded(trust);
}

/** Providers for whom nothing of the order's pool is: each task there has a replica of theirs. */
export function withoutWork(market: Market, row: OrderRow): string[] {
  const array = arrayOf(row);
  if (!isReplicated(array)) return [];
  const pending = new Set<number>();
  for (const { units } of array.again)
    for (const unit of unitsOf(units)) pending.add(unit % array.tasks);
  const workers = new Set([...batchesOf(market, row.id)].map(({ provider }) => provider));
  return [...market.providers.keys()].filter((provider) => {
    if (isBarred(market, provider)) return true;
    return workers.has(provider) && isWithin(pending, tasksOfProvider(market, row, provider));
  });
}

const isWithin = (some: ReadonlySet<number>, all: ReadonlySet<number>): boolean =>
  [...some].every((one) => all.has(one));

/** Answers of a batch; units whose slot died, or whose result a validator rejected, have none. */
function answersIn({ leaves, provider, rejected }: UnitsRow, tasks: number) {
  const refused = new Set(unitsOf(rejected ?? []));
  return (leaves ? (splitUnitLeaves(leaves) ?? []) : []).flatMap((leaf) => {
    const result = decodeUnitLeaf(leaf);
    if (!result || HOST_EXITS.has(result.exit) || refused.has(result.unit)) return [];
    const { unit, exit, charge, output } = result;
    const key = answerKey(exit, output && bytesToHex(output));
    return [{ unit, task: unit % tasks, replica: Math.floor(unit / tasks), provider, key, charge }];
  });
}

/** The answers to an order's tasks, from its rows when they are not in memory. */
function tasksOf(market: Market, row: OrderRow): TaskAnswers[] {
  const known = market.replicas.get(row.id);
  if (known) return known;
  const array = arrayOf(row);
  const tasks: TaskAnswers[] = Array.from({ length: array.tasks }, () => ({
    ...{ answers: [], issued: atOnce(array), dropped: 0 },
  }));
  const issue = (unit: number): void => {
    const task = tasks[unit % array.tasks] as TaskAnswers;
    task.issued = Math.max(task.issued, Math.floor(unit / array.tasks) + 1);
  };
  for (const batch of batchesOf(market, row.id)) {
    for (const unit of unitsOf(batch.units)) issue(unit);
    if (batch.state !== 'lost')
      for (const unit of unitsOf(batch.alone ?? []))
        (tasks[unit % array.tasks] as TaskAnswers).isAlone = true;
    // A batch none of whose results was accepted is lost, and has still answered.
    if (!isBatchOpen(batch))
      for (const answer of answersIn(batch, array.tasks)) tasks[answer.task]?.answers.push(answer);
  }
  for (const { units } of array.again) for (const unit of unitsOf(units)) issue(unit);
  for (const unit of unitsOf(array.dropped ?? [])) {
    const task = tasks[unit % array.tasks] as TaskAnswers;
    task.dropped++;
  }
  for (const task of tasks) {
    const decision = decide(array, task);
    if (decision.kind === 'accepted') task.key = decision.key;
    else if (decision.kind === 'undecided') task.key = null;
  }
  market.replicas.set(row.id, tasks);
  return tasks;
}

/** Nobody else was asked, and nobody needs to be. */
const isAtItsWord = ({ isAlone, issued }: TaskAnswers): boolean => isAlone === true && issued === 1;

function decide(array: ArrayProgress, task: TaskAnswers) {
  const { answers, issued, dropped } = task;
  const terms = isAtItsWord(task) ? ALONE : termsOf(array);
  const decision = judgeReplicas(terms, answers, issued - answers.length - dropped);
  const isSpent = issued >= array.replicas;
  // No further replica may be asked for, and none is at work.
  if (decision.kind === 'more' && isSpent)
    return issued > answers.length + dropped
      ? ({ kind: 'wait' } as const)
      : ({ kind: 'undecided', odd: answers } as const);
  return decision;
}

/** Has the answers so far in memory: to be called before a batch changes. */
export function rememberAnswers(market: Market, row: OrderRow): void {
  if (isReplicated(row.array)) tasksOf(market, row);
}

/** A batch was delivered and its results are there: counts its answers and what they decide. */
export function judgeBatch(step: Step, batch: UnitsRow): void {
  const row = orderOf(step.market, batch.order);
  const tasks = tasksOf(step.market, row);
  const answers = answersIn(batch, arrayOf(row).tasks);
  for (const answer of answers) tasks[answer.task]?.answers.push(answer);
  judgeTasks(step, row.id, tasks, new Set(answers.map(({ task }) => task)));
}

/** These units will not be done by anybody. */
export function dropReplicas(step: Step, id: string, units: UnitSet): void {
  const row = orderOf(step.market, id);
  const tasks = tasksOf(step.market, row);
  const array = arrayOf(row);
  updateArray(step, id, { dropped: joinRanges(array.dropped ?? [], units) });
  const touched = unitsOf(units).map((unit) => unit % array.tasks);
  for (const task of touched) (tasks[task] as TaskAnswers).dropped++;
  judgeTasks(step, id, tasks, new Set(touched));
}

function judgeTasks(
  step: Step,
  id: string,
  tasks: readonly TaskAnswers[],
  touched: ReadonlySet<number>,
): void {
  const array = arrayOf(orderOf(step.market, id));
  const more: number[] = [];
  const failed: number[] = [];
  const differing: number[] = [];
  let accepted = 0;
  for (const number of touched) {
    const task = tasks[number] as TaskAnswers;
    if (task.key !== undefined) continue;
    const decision = decide(array, task);
    if (decision.kind === 'accepted') {
      task.key = decision.key;
      accepted++;
    } else if (decision.kind === 'undecided') {
      task.key = null;
      failed.push(number);
    } else if (decision.kind === 'more') {
      const wanted = Math.min(decision.replicas, array.replicas - task.issued);
      for (let i = 0; i < wanted; i++) more.push(task.issued++ * array.tasks + number);
      if (task.answers.length > 1) differing.push(number);
    }
  }
  if (more.length > 0) addUnits(step, id, unitSetOf(more));
  if (differing.length > 0) {
    const reason = 'results differ: further operators are asked';
    noteCheck(step, id, { code: 'differ', reason, units: unitSetOf(differing) });
  }
  const given = joinRanges(array.given, unitSetOf(failed));
  const counts = { done: array.done + accepted, failed: array.failed + failed.length, given };
  if (accepted + failed.length > 0) updateArray(step, id, counts);
  if (failed.length > 0) {
    const reason = 'no majority of the replicas gave the same result';
    const entry = { units: unitSetOf(failed), code: 'MARKET_NO_QUORUM', reason };
    logStep(step, id, 'units-given-up', MARKET_ENTRIES['units-given-up'], entry);
  }
}

/** What of a batch is paid and what is not, now that its tasks are decided. */
export interface Judged {
  readonly batch: UnitsRow;
  readonly kept: UnitSet;
}

/**
 * Batches all of whose tasks are decided (or all batches, when the order is stopped: then what nobody
 * contradicted is paid), with what they withhold. The caller counts and pays them.
 */
export function judgedBatches(step: Step, id: string, isStopped = false): Judged[] {
  const { market } = step;
  const row = orderOf(market, id);
  if (!isReplicated(row.array)) return [];
  const tasks = tasksOf(market, row);
  const { tasks: count } = arrayOf(row);
  const judged: Judged[] = [];
  for (const batch of [...batchesOf(market, id)]) {
    if (batch.state !== 'judging' || !batch.delivery) continue;
    const answers = answersIn(batch, count);
    const isDecided = answers.every(({ task }) => tasks[task]?.key !== undefined);
    if (!isDecided && !isStopped) continue;
    const odd = answers.filter(({ task, key }) => {
      const accepted = tasks[task]?.key;
      return accepted !== undefined && accepted !== key;
    });
    // What a liar delivered alone is compared after all, before it is paid.
    if (odd.length > 0 && !isStopped && doubtWord(step, id, batch.provider, tasks)) continue;
    judged.push(withhold(step, batch, odd));
    noteTrust(step, batch.provider, answers, tasks);
  }
  return judged;
}

/** Asks others for the tasks in which this provider was taken at its word; true when there were any. */
function doubtWord(
  step: Step,
  id: string,
  provider: string,
  tasks: readonly TaskAnswers[],
): boolean {
  const { market } = step;
  const doubted: number[] = [];
  for (const batch of [...batchesOf(market, id)]) {
    if (batch.provider !== provider || batch.state !== 'judging' || !batch.alone) continue;
    for (const { task: number } of answersIn(batch, tasks.length)) {
      const task = tasks[number] as TaskAnswers;
      if (!isAtItsWord(task) || task.key === undefined) continue;
      delete task.key;
      task.isAlone = false;
      doubted.push(number);
    }
    const { alone: _alone, ...rest } = batch;
    updateBatch(step, rest);
  }
  if (doubted.length === 0) return false;
  const { done } = arrayOf(orderOf(market, id));
  updateArray(step, id, { done: done - doubted.length });
  askOthers(step, id, tasks, doubted);
  const reason = 'its provider was found wrong elsewhere: compared after all, before it is paid';
  noteCheck(step, id, { code: 'doubted', reason, provider, units: unitSetOf(doubted) });
  return true;
}

/** Puts the next replica of each of these tasks into the pool. */
function askOthers(
  step: Step,
  id: string,
  tasks: readonly TaskAnswers[],
  numbers: readonly number[],
): void {
  const units = numbers.map((number) => {
    const task = tasks[number] as TaskAnswers;
    return task.issued++ * tasks.length + number;
  });
  if (units.length > 0) addUnits(step, id, unitSetOf(units));
}

const DRAW_BYTES = 4;

/**
 * A provider gets first replicas of an adaptive order: in which of them is it taken at its word? Others are
 * asked at once for the rest; the provider learns of neither.
 *
 * @returns the units for its batch's row
 */
export function wordTaken(step: Step, id: string, account: string, units: UnitSet): UnitSet {
  const { market } = step;
  const row = orderOf(market, id);
  const array = arrayOf(row);
  if (!array.isAdaptive) return [];
  const tasks = tasksOf(market, row);
  const trust = market.providers.get(account)?.row.trust ?? NO_TRUST;
  const chance = checkChance(trust);
  const alone: number[] = [];
  const checked: number[] = [];
  const draws = new DataView(step.randomness.bytes(DRAW_BYTES * countUnits(units)).slice().buffer);
  for (const [i, unit] of unitsOf(units).entries()) {
    const task = tasks[unit % array.tasks] as TaskAnswers;
    if (task.issued > 1) continue;
    task.isAlone = draws.getUint32(DRAW_BYTES * i) / 2 ** 32 >= chance;
    (task.isAlone ? alone : checked).push(unit);
  }
  askOthers(step, id, tasks, checked);
  tellOfWord(step, id, { account, trust, alone, checked });
  return unitSetOf(alone);
}

function tellOfWord(
  step: Step,
  id: string,
  told: {
    readonly account: string;
    readonly trust: Trust;
    readonly alone: readonly number[];
    readonly checked: readonly number[];
  },
): void {
  const { account: provider, trust, alone, checked } = told;
  const row = `${trust.consecutiveValid} right results in a row, ${trustNeeded(trust)} make trust`;
  if (checked.length > 0) {
    const code = isTrusted(trust) ? 'spot-check' : 'second-opinion';
    const why = isTrusted(trust)
      ? `trusted, and drawn for a comparison (chance 1 in ${Math.round(1 / checkChance(trust))})`
      : 'its provider is not trusted yet';
    const reason = `another operator does it too: ${why}; ${row}`;
    noteCheck(step, id, { code, reason, provider, units: unitSetOf(checked) });
  }
  if (alone.length === 0) return;
  const one = Math.round(1 / checkChance(trust));
  const reason = `one trusted operator alone: ${row}; one result in ${one} is compared`;
  noteCheck(step, id, { code: 'alone', reason, provider, units: unitSetOf(alone) });
}

function withhold(
  step: Step,
  batch: UnitsRow,
  odd: readonly { readonly unit: number; readonly charge: bigint }[],
): Judged {
  const before = batch.withheld ?? { units: [], charge: 0n };
  const units = unitSetOf([...unitsOf(before.units), ...odd.map(({ unit }) => unit)]);
  const charge = odd.reduce((sum, one) => sum + one.charge, before.charge);
  const told = batch.delivery?.delivery.units ?? [];
  const kept = withoutUnits(told, units);
  const withheld = units.length > 0 ? { withheld: { units, charge } } : {};
  const state = kept.length > 0 ? 'delivered' : 'lost';
  const closed = updateBatch(step, { ...batch, ...withheld, state });
  if (odd.length > 0) {
    const reason = 'others gave another result; not paid';
    const { provider, fence, order } = batch;
    const entry = { provider, fence, units: unitSetOf(odd.map(({ unit }) => unit)) };
    const code = 'MARKET_ODD_RESULT';
    logStep(step, order, 'units-lost', MARKET_ENTRIES['units-lost'], { ...entry, code, reason });
  }
  return { batch: closed, kept };
}

/** One comparison per batch, so that many small tasks do not make trust. */
function noteTrust(
  step: Step,
  account: string,
  answers: readonly { readonly task: number; readonly key: string }[],
  tasks: readonly TaskAnswers[],
): void {
  // Nothing is learnt from results that nobody else has.
  const decided = answers.filter(({ task: number }) => {
    const task = tasks[number];
    return typeof task?.key === 'string' && task.answers.length > 1;
  });
  if (decided.length === 0) return;
  const isWrong = decided.some(({ task, key }) => tasks[task]?.key !== key);
  noteComparison(step, account, isWrong);
}

/** The one unit of each task whose output is the task's result. */
export function chosenUnits(market: Market, row: OrderRow): ReadonlySet<number> {
  const chosen = new Set<number>();
  for (const { answers, key } of tasksOf(market, row)) {
    const first = answers.find((answer) => answer.key === key);
    if (first) chosen.add(first.unit);
  }
  return chosen;
}
