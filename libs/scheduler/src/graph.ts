/** Dependencies between the tasks of a job: checked once, then a task is ready when all before it are done. */
import { schedulerError } from './errors.ts';

export interface GraphTask {
  readonly name: string;
  /** Names of tasks that must be done first. */
  readonly after: readonly string[];
}

/**
 * The tasks in layers: those of a layer depend on earlier layers only and may run at once.
 * @throws SeeleError SCHEDULER_GRAPH_INVALID naming the unknown task or a task on the cycle
 */
export function graphLayers(tasks: readonly GraphTask[]): string[][] {
  const waiting = new Map<string, number>();
  const followers = new Map<string, string[]>();
  for (const { name } of tasks) {
    if (waiting.has(name))
      throw schedulerError('SCHEDULER_GRAPH_INVALID', `two tasks are named "${name}"`);
    waiting.set(name, 0);
    followers.set(name, []);
  }
  for (const { name, after } of tasks) {
    const before = new Set(after);
    waiting.set(name, before.size);
    for (const other of before) {
      const list = followers.get(other);
      if (!list)
        throw schedulerError(
          'SCHEDULER_GRAPH_INVALID',
          `"${name}" waits for "${other}", which is no task of the job`,
        );
      list.push(name);
    }
  }
  const layers: string[][] = [];
  let ready = tasks.map(({ name }) => name).filter((name) => waiting.get(name) === 0);
  let placed = 0;
  while (ready.length > 0) {
    layers.push(ready);
    placed += ready.length;
    const next: string[] = [];
    for (const name of ready)
      for (const follower of followers.get(name) ?? []) {
        const left = (waiting.get(follower) ?? 0) - 1;
        waiting.set(follower, left);
        if (left === 0) next.push(follower);
      }
    ready = next;
  }
  if (placed < tasks.length)
    throw schedulerError(
      'SCHEDULER_GRAPH_INVALID',
      `tasks wait for each other: ${cycleOf(tasks, waiting).join(' after ')}`,
    );
  return layers;
}

/** One cycle among the tasks that still wait, its first task named again at its end. */
function cycleOf(tasks: readonly GraphTask[], waiting: ReadonlyMap<string, number>): string[] {
  const byName = new Map(tasks.map((task) => [task.name, task]));
  const isStuck = (name: string) => (waiting.get(name) ?? 0) > 0;
  const path: string[] = [];
  let name = tasks.find((task) => isStuck(task.name))?.name;
  while (name !== undefined && !path.includes(name)) {
    path.push(name);
    name = byName.get(name)?.after.find(isStuck);
  }
  return name === undefined ? path : [...path.slice(path.indexOf(name)), name];
}

/** Time the job takes with unlimited machines: the longest chain of dependent run times, in ms. */
export function criticalPathMs(
  tasks: readonly GraphTask[],
  runMs: (name: string) => number,
): number {
  const byName = new Map(tasks.map((task) => [task.name, task]));
  const finish = new Map<string, number>();
  let longest = 0;
  for (const layer of graphLayers(tasks))
    for (const name of layer) {
      const before = byName.get(name)?.after.map((other) => finish.get(other) ?? 0) ?? [];
      const end = before.reduce((most, at) => Math.max(most, at), 0) + runMs(name);
      finish.set(name, end);
      longest = Math.max(longest, end);
    }
  return longest;
}
