/** Processes of this machine as /proc shows them: who descends from whom, how much CPU a tree used. */
import { readFileSync, readdirSync } from 'node:fs';

export interface ProcessFacts {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
  /** CPU ticks of the process and of its children that ended. */
  readonly cpuTicks: number;
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
        const cpuTicks = fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0);
        return [{ pid: Number(name), parent: Number(fields[1]), command, cpuTicks }];
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

/** CPU seconds that everything below `root`, and what it outlived, has used. */
export function treeCpuSeconds(root: number): number {
  const ticks = descendants(root).reduce((sum, process) => sum + process.cpuTicks, 0);
  return ticks / TICKS_PER_SECOND;
}
