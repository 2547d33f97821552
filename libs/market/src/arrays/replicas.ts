/**
 * Orders whose tasks are done by several providers: which tasks are decided, and whom that pays. A batch is
 * `judging` until all of its tasks are decided; then units that answered as most did are paid, the odd ones
 * are not.
 */
import { type UnitSet, unitSetOf, unitsOf, withoutUnits } from '#contracts';
import { MARKET_ENTRIES } from '#libs/audit';
import { noteCheck } from '../checks/log-check.ts';
import { noteComparison } from '../checks/trust-rows.ts';
import { logStep } from '../job-log.ts';
import type { OrderRow, UnitsRow } from '../model/rows.ts';
import { type Market, type Step, orderOf } from '../state.ts';
import { isExcluded } from '../verification/index.ts';
import {
  addUnits,
  arrayOf,
  batchesOf,
  joinRanges,
  tasksOfProvider,
  updateArray,
  updateBatch,
} from './batches.ts';
import { type TaskAnswers, answersIn, decide, isReplicated, tasksOf } from './task-answers.ts';
import { doubtWord } from './words.ts';

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
