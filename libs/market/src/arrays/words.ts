/**
 * Operators taken at their word: under an adaptive check who is trusted does a task alone, now and then compared
 * with another without knowing when; and all of it is compared once it was found wrong.
 */
import { type UnitSet, countUnits, unitSetOf, unitsOf } from '#contracts';
import { noteCheck } from '../checks/log-check.ts';
import { type Step, orderOf } from '../state.ts';
import {
  NO_TRUST,
  type Trust,
  checkChance,
  isTrusted,
  trustNeeded,
} from '../verification/index.ts';
import { addUnits, arrayOf, batchesOf, updateArray, updateBatch } from './batches.ts';
import { type TaskAnswers, answersIn, isAtItsWord, tasksOf } from './task-answers.ts';

/** Asks others for the tasks in which this provider was taken at its word; true when there were any. */
export function doubtWord(
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
