/**
 * Lower bounds of what a consumer's jobs could have cost: the cheapest fractional assignment from the
 * first order to the last deadline, known beforehand, with tasks cut into any pieces. `alone` as if all
 * machines were always there and nobody else's; `left` in what other people's tasks left of them.
 *
 * All of a consumer's jobs have one shape, so a piece of work costs work × unit price on a machine, and
 * the linear programme is a fractional knapsack: filling the machines by unit price is its optimum.
 */
import { DOMAIN_BITS } from '#libs/scheduler';
import type { SimProvider } from './scenario.ts';
import { priceOn } from './placement.ts';
import type { SimTask } from './task.ts';

/** Work for which the unit price is taken: long, so that rounding to milliseconds vanishes. */
const UNIT_MS = 1_000_000_000;

/** Thousandths of a core, and MiB, times milliseconds. */
interface Used {
  cpu: number;
  memory: number;
}

/** What tasks of other owners took of each machine between two times. */
function usedByOthers(
  tasks: readonly SimTask[],
  owner: string,
  begin: number,
  end: number,
): Map<SimProvider, Used> {
  const used = new Map<SimProvider, Used>();
  for (const { job, attempts } of tasks) {
    if (job.owner === owner) continue;
    for (const { provider, beganMs, endedMs } of attempts) {
      const ms = Math.min(end, endedMs) - Math.max(begin, beganMs);
      if (ms <= 0) continue;
      const sum = used.get(provider) ?? { cpu: 0, memory: 0 };
      sum.cpu += ms * job.shape.cpuMilli;
      sum.memory += ms * job.shape.memoryMib;
      used.set(provider, sum);
    }
  }
  return used;
}

/** Least costs of the owner's tasks, smallest units. */
export function leastCosts(
  all: readonly SimTask[],
  owner: string,
  providers: readonly SimProvider[],
): { readonly alone: number; readonly left: number } {
  const tasks = all.filter(({ job }) => job.owner === owner);
  const [{ job } = {}] = tasks;
  if (!job) return { alone: 0, left: 0 };
  const begin = Math.min(...tasks.map(({ submittedMs }) => submittedMs));
  const end = Math.max(...tasks.map(({ submittedMs }) => submittedMs + job.deadlineMs));
  const work = tasks.reduce((sum, { workMs }) => sum + workMs, 0);
  const { domains, levels } = job.floors;
  const permitted = providers
    .filter((provider) => isPermitted(provider, domains, levels))
    .map((provider) => ({
      provider,
      unitPrice: Number(priceOn(provider, job, UNIT_MS)) / UNIT_MS,
    }))
    .toSorted((a, b) => a.unitPrice - b.unitPrice);
  const costWith = (used: ReadonlyMap<SimProvider, Used>): number => {
    let open = work;
    let cost = 0;
    for (const { provider, unitPrice } of permitted) {
      const { cpu, memory } = used.get(provider) ?? { cpu: 0, memory: 0 };
      const byCpu = (provider.cores * 1000 * (end - begin) - cpu) / job.shape.cpuMilli;
      const byMemory = (provider.memoryMib * (end - begin) - memory) / job.shape.memoryMib;
      const done = Math.min(open, Math.min(byCpu, byMemory) * provider.speed);
      cost += done * unitPrice;
      open -= done;
    }
    return cost;
  };
  const alone = costWith(new Map());
  return { alone, left: costWith(usedByOthers(all, owner, begin, end)) };
}

function isPermitted(
  { domain, level }: SimProvider,
  domains: number,
  levels: readonly string[],
): boolean {
  return (DOMAIN_BITS[domain] & domains) !== 0 && (levels.length === 0 || levels.includes(level));
}
