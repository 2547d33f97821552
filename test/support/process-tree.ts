/** Processes of this machine as /proc shows them: who descends from whom, how much CPU a tree used. */
import { readFileSync, readdirSync } from 'node:fs';

export interface ProcessFacts {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
  /** CPU ticks of the process itself. */
  readonly ownTicks: number;
  /** CPU ticks of its children that ended. */
  readonly endedTicks: number;
}

const TICKS_PER_SECOND = 100;

export function allProcesses(): ProcessFacts[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        const command = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ');
        const [user, system, endedUser, endedSystem] = fields.slice(11, 15).map(Number);
        return [
          {
            ...{ pid: Number(name), parent: Number(fields[1]), command },
            ownTicks: Number(user) + Number(system),
            endedTicks: Number(endedUser) + Number(endedSystem),
          },
        ];
      } catch {
        return []; // It ended while we looked.
      }
    });
}

export function descendants(root: number): ProcessFacts[] {
  const all = allProcesses();
  const found: ProcessFacts[] = [];
  const open = [root];
  for (let at = open.pop(); at !== undefined; at = open.pop())
    for (const process of all.filter(({ parent }) => parent === at)) {
      found.push(process);
      open.push(process.pid);
    }
  return found;
}

/** The part of a local machine that a process belongs to. */
function partOf({ command }: ProcessFacts): string {
  if (command.includes('slot-main')) return 'slots';
  if (command.startsWith('postgres')) return 'postgres';
  return /\/apps\/(\w+)\//.exec(command)?.[1] ?? 'other';
}

/**
 * CPU seconds that everything below `root`, and what it outlived, has used, by part. What a provider's
 * children used that have ended is its slots'.
 */
export function treeCpuSeconds(root: number): Record<string, number> {
  const used: Record<string, number> = {};
  const add = (part: string, ticks: number) => {
    used[part] = (used[part] ?? 0) + ticks / TICKS_PER_SECOND;
  };
  for (const process of descendants(root)) {
    const part = partOf(process);
    add(part, process.ownTicks);
    add(part === 'provider' ? 'slots' : part, process.endedTicks);
  }
  return used;
}
