/**
 * Control groups: a group of its own for each slot, with a ceiling on processor time, on processes
 * and on memory, in whatever hierarchy (v1 or v2) this user may write to. Set once the slot is
 * ready; the memory ceiling follows each task's limit. cgroups(7).
 */
import { mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { statusBytes } from '../process-facts.ts';
import type { SlotLayer } from './layer.ts';

const CONTROLLERS = ['cpu', 'pids', 'memory'] as const;
type Controller = (typeof CONTROLLERS)[number];

/** A slot has a dozen threads; a bomb has thousands. */
const PIDS_MAX = 64;
/** One core and a half: the guest's thread and V8's helpers. */
const CPU_PERIOD_US = 100_000;
const CPU_QUOTA_US = 150_000;
/** Above a task's limit, so that the exact watchdog speaks first. */
const MEMORY_SLACK_BYTES = 128 * 2 ** 20;

interface Hierarchy {
  readonly version: 1 | 2;
  /** The group under which slots get theirs. */
  readonly folder: string;
}

const REMOVE_AGAIN_MS = 200;

const reasonOf = (error: unknown): string => (error as NodeJS.ErrnoException).code ?? String(error);

/** Mount point and own path of every hierarchy. */
function findHierarchies(): Map<Controller, Hierarchy> {
  const found = new Map<Controller, Hierarchy>();
  const groups = readFileSync('/proc/self/cgroup', 'utf8').trim().split('\n');
  const mounts = readFileSync('/proc/self/mounts', 'utf8').trim().split('\n');
  const pathOf = (wanted: string): string | undefined =>
    groups
      .map((line) => line.split(':'))
      .find(([, names = '']) => (wanted === '' ? names === '' : names.split(',').includes(wanted)))
      ?.slice(2)
      .join(':');
  for (const line of mounts) {
    const [, point = '', kind, options = ''] = line.split(' ');
    if (kind !== 'cgroup' && kind !== 'cgroup2') continue;
    const isOld = kind === 'cgroup';
    const offered = isOld ? options.split(',') : controllersIn(join(point, pathOf('') ?? '/'));
    for (const controller of CONTROLLERS) {
      const own = pathOf(isOld ? controller : '');
      if (own === undefined || !offered.includes(controller) || found.has(controller)) continue;
      found.set(controller, { version: isOld ? 1 : 2, folder: join(point, own) });
    }
  }
  return found;
}

function controllersIn(folder: string): string[] {
  try {
    return readFileSync(join(folder, 'cgroup.controllers'), 'utf8').trim().split(' ');
  } catch {
    return [];
  }
}

/** v2 hands controllers down only from a group without processes: this one moves to a leaf. */
function delegate(folder: string, names: readonly string[]): void {
  const enabled = readFileSync(join(folder, 'cgroup.subtree_control'), 'utf8').trim().split(' ');
  if (names.every((name) => enabled.includes(name))) return;
  const leaf = join(folder, `seele-provider-${process.pid}`);
  mkdirSync(leaf, { recursive: true });
  writeFileSync(join(leaf, 'cgroup.procs'), String(process.pid));
  writeFileSync(join(folder, 'cgroup.subtree_control'), names.map((n) => `+${n}`).join(' '));
}

const groupOf = ({ folder }: Hierarchy, pid: number): string =>
  join(folder, `seele-slot-${process.pid}-${pid}`);

function setBase(controller: Controller, { version }: Hierarchy, group: string): void {
  if (controller === 'pids') writeFileSync(join(group, 'pids.max'), String(PIDS_MAX));
  else if (controller === 'cpu' && version === 2)
    writeFileSync(join(group, 'cpu.max'), `${CPU_QUOTA_US} ${CPU_PERIOD_US}`);
  else if (controller === 'cpu') {
    writeFileSync(join(group, 'cpu.cfs_period_us'), String(CPU_PERIOD_US));
    writeFileSync(join(group, 'cpu.cfs_quota_us'), String(CPU_QUOTA_US));
  }
}

function setMemory({ version }: Hierarchy, group: string, bytes: number): void {
  writeFileSync(join(group, version === 2 ? 'memory.max' : 'memory.limit_in_bytes'), String(bytes));
  if (version === 2) writeFileSync(join(group, 'memory.swap.max'), '0');
}

/** False when one is still there: a process in it is ending. */
function removeAll(folders: readonly string[]): boolean {
  let gone = true;
  for (const folder of folders) {
    try {
      rmdirSync(folder);
    } catch (error) {
      gone &&= (error as NodeJS.ErrnoException).code === 'ENOENT';
    }
  }
  return gone;
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** Groups left by a provider that was killed; a group with a live process in it refuses to go. */
function sweep(folder: string): void {
  const left = readdirSync(folder).filter((name) => {
    const owner = /^seele-slot-(\d+)-\d+$/.exec(name)?.[1];
    return owner !== undefined && !isRunning(Number(owner));
  });
  removeAll(left.map((name) => join(folder, name)));
}

export function cgroupLayer(defaultMemoryBytes: number): SlotLayer {
  const usable = new Map<Controller, Hierarchy>();
  const refused: string[] = [];
  /** The limit a slot's group has, where it is not the default. */
  const given = new Map<number, number>();
  const limitMemory = (pid: number, bytes: number): void => {
    const memory = usable.get('memory');
    const idle = statusBytes(pid, 'VmRSS') ?? 0;
    if (memory !== undefined)
      setMemory(memory, groupOf(memory, pid), idle + bytes + MEMORY_SLACK_BYTES);
  };
  const folders = (pid: number): string[] => [
    ...new Set([...usable.values()].map((hierarchy) => groupOf(hierarchy, pid))),
  ];
  return {
    name: 'cgroup',
    unavailable: () => {
      let found: Map<Controller, Hierarchy>;
      try {
        found = findHierarchies();
      } catch (error) {
        return Promise.resolve(`control groups cannot be read: ${reasonOf(error)}`);
      }
      for (const controller of CONTROLLERS) {
        const hierarchy = found.get(controller);
        try {
          if (hierarchy === undefined) throw new Error('no such controller here');
          if (hierarchy.version === 2) delegate(hierarchy.folder, [...CONTROLLERS]);
          sweep(hierarchy.folder);
          const trial = groupOf(hierarchy, 0);
          mkdirSync(trial, { recursive: true });
          try {
            setBase(controller, hierarchy, trial);
            if (controller === 'memory') setMemory(hierarchy, trial, defaultMemoryBytes);
          } finally {
            rmdirSync(trial);
          }
          usable.set(controller, hierarchy);
        } catch (error) {
          refused.push(`${controller}: ${reasonOf(error)}`);
        }
      }
      return Promise.resolve(usable.size === 0 ? refused.join('; ') : undefined);
    },
    afterReady: (pid) => {
      for (const [controller, hierarchy] of usable) {
        const group = groupOf(hierarchy, pid);
        mkdirSync(group, { recursive: true });
        setBase(controller, hierarchy, group);
        writeFileSync(join(group, 'cgroup.procs'), String(pid));
      }
      limitMemory(pid, defaultMemoryBytes);
      return Promise.resolve();
    },
    beforeTask: (pid, { memoryBytes }) => {
      if ((given.get(pid) ?? defaultMemoryBytes) !== memoryBytes) limitMemory(pid, memoryBytes);
      given.set(pid, memoryBytes);
      return Promise.resolve();
    },
    afterEnd: (pid) => {
      given.delete(pid);
      if (!removeAll(folders(pid)))
        setTimeout(() => removeAll(folders(pid)), REMOVE_AGAIN_MS).unref();
    },
    verify: (pid) => {
      const own = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
      const name = `seele-slot-${process.pid}-${pid}`;
      const inside = [...usable].filter(([controller, { version }]) =>
        own
          .split('\n')
          .some(
            (line) =>
              line.endsWith(`/${name}`) &&
              (version === 2 ? line.startsWith('0::') : line.split(':')[1]?.includes(controller)),
          ),
      );
      const held = inside.map(([controller]) => controller);
      const lacking = refused.length === 0 ? '' : `; not here: ${refused.join('; ')}`;
      return Promise.resolve({
        holds: held.length === CONTROLLERS.length,
        evidence: `in groups for ${held.join(', ') || 'nothing'}${lacking}`,
      });
    },
  };
}
