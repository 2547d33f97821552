/**
 * What the tasks of an order with replicas came to so far: the answers to each, and what they decide.
 * Everything here follows from the rows of the batches.
 */
import { decodeUnitLeaf, splitUnitLeaves, unitsOf } from '#contracts';
import { bytesToHex } from '#libs/kernel';
import type { ArrayProgress, OrderRow, UnitsRow } from '../model/rows.ts';
import { HOST_EXITS } from '../retry.ts';
import type { Market } from '../state.ts';
import {
  QUORUM_TERMS,
  type QuorumTerms,
  type ReplicaAnswer,
  answerKey,
  judgeReplicas,
} from '../verification/index.ts';
import { NO_FAILURES, arrayOf, batchesOf, isBatchOpen } from './batches.ts';

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

/** Answers of a batch; units whose slot died, or whose result a validator rejected, have none. */
export function answersIn({ leaves, provider, rejected }: UnitsRow, tasks: number) {
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
export function tasksOf(market: Market, row: OrderRow): TaskAnswers[] {
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
export const isAtItsWord = ({ isAlone, issued }: TaskAnswers): boolean =>
  isAlone === true && issued === 1;

export function decide(array: ArrayProgress, task: TaskAnswers) {
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
