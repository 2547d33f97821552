/**
 * Control groups: a group of its own for each slot, with a ceiling on processor time, on processes
 * and on memory, in whatever hierarchy (v1 or v2) this user may write to. Entered once the slot is
 * ready; the memory ceiling follows each task's limit. A group outlives its slot and is used again,
 * because making one is slow; moving into one is as well, so that it never holds up the event loop.
 * cgroups(7).
 */
import { mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
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

/** Limits differ by less from slot to slot; a group that has this one already is left alone. */
const MEMORY_STEP_BYTES = 16 * 2 ** 20;
const REMOVE_AGAIN_MS = 200;
/** Groups without a slot that are kept. */
const SPARE_GROUPS = 8;

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

const groupName = (number: number): string => `seele-slot-${process.pid}-${number}`;
/** A pool's numbers start where no other of this process does. */
let nextNumber = 1;

function baseOf(controller: Controller, version: 1 | 2): readonly (readonly [string, string])[] {
  if (controller === 'pids') return [['pids.max', String(PIDS_MAX)]];
  if (controller === 'memory') return [];
  if (version === 2) return [['cpu.max', `${CPU_QUOTA_US} ${CPU_PERIOD_US}`]];
  return [
    ['cpu.cfs_period_us', String(CPU_PERIOD_US)],
    ['cpu.cfs_quota_us', String(CPU_QUOTA_US)],
  ];
}

function memoryOf({ version }: Hierarchy, bytes: number): readonly (readonly [string, string])[] {
  if (version === 1) return [['memory.limit_in_bytes', String(bytes)]];
  return [
    ['memory.max', String(bytes)],
    ['memory.swap.max', '0'],
  ];
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

/** Tries each controller once; says what is usable and why the rest is not. */
function tryControllers(defaultMemoryBytes: number) {
  const usable = new Map<Controller, Hierarchy>();
  const refused: string[] = [];
  const found = findHierarchies();
  for (const controller of CONTROLLERS) {
    const hierarchy = found.get(controller);
    try {
      if (hierarchy === undefined) throw new Error('no such controller here');
      if (hierarchy.version === 2) delegate(hierarchy.folder, [...CONTROLLERS]);
      sweep(hierarchy.folder);
      const trial = join(hierarchy.folder, groupName(0));
      mkdirSync(trial, { recursive: true });
      try {
        const memory = controller === 'memory' ? memoryOf(hierarchy, defaultMemoryBytes) : [];
        for (const [file, value] of [...baseOf(controller, hierarchy.version), ...memory])
          writeFileSync(join(trial, file), value);
      } finally {
        rmdirSync(trial);
      }
      usable.set(controller, hierarchy);
    } catch (error) {
      refused.push(`${controller}: ${reasonOf(error)}`);
    }
  }
  return { usable, refused };
}

interface Group {
  readonly name: string;
  memoryBytes: number;
}

class Groups {
  readonly usable: ReadonlyMap<Controller, Hierarchy>;
  readonly #free: Group[] = [];
  readonly #bySlot = new Map<number, Group>();
  #closed = false;

  constructor(usable: ReadonlyMap<Controller, Hierarchy>) {
    this.usable = usable;
  }

  /** A group whose slot has ended, or a new one. */
  async enter(pid: number, memoryBytes: number): Promise<void> {
    const group = this.#free.pop() ?? (await this.#create());
    this.#bySlot.set(pid, group);
    try {
      await this.limitMemory(pid, memoryBytes);
      for (const folder of this.#folders(group))
        await writeFile(join(folder, 'cgroup.procs'), String(pid));
    } catch (error) {
      // It has ended, perhaps before it had a group to leave.
      this.leave(pid);
      throw error;
    }
  }

  async limitMemory(pid: number, memoryBytes: number): Promise<void> {
    const group = this.#bySlot.get(pid);
    const memory = this.usable.get('memory');
    if (group === undefined || memory === undefined) return;
    const exact = (statusBytes(pid, 'VmRSS') ?? 0) + memoryBytes + MEMORY_SLACK_BYTES;
    const bytes = Math.ceil(exact / MEMORY_STEP_BYTES) * MEMORY_STEP_BYTES;
    if (group.memoryBytes === bytes) return;
    group.memoryBytes = bytes;
    for (const [file, value] of memoryOf(memory, bytes))
      await writeFile(join(memory.folder, group.name, file), value);
  }

  leave(pid: number): void {
    const group = this.#bySlot.get(pid);
    this.#bySlot.delete(pid);
    if (group === undefined) return;
    if (!this.#closed && this.#free.length < SPARE_GROUPS) this.#free.push(group);
    else this.#remove([group]);
  }

  /** Groups go as soon as no slot is in them. */
  close(): void {
    this.#closed = true;
    this.#remove(this.#free.splice(0));
  }

  nameOf(pid: number): string {
    return this.#bySlot.get(pid)?.name ?? groupName(0);
  }

  #folders({ name }: Group): string[] {
    return [...new Set([...this.usable.values()].map(({ folder }) => join(folder, name)))];
  }

  async #create(): Promise<Group> {
    const group = { name: groupName(nextNumber++), memoryBytes: 0 };
    for (const [controller, { version, folder }] of this.usable) {
      await mkdir(join(folder, group.name), { recursive: true });
      for (const [file, value] of baseOf(controller, version))
        await writeFile(join(folder, group.name, file), value);
    }
    return group;
  }

  #remove(groups: readonly Group[]): void {
    for (const group of groups)
      if (!removeAll(this.#folders(group)))
        setTimeout(() => removeAll(this.#folders(group)), REMOVE_AGAIN_MS).unref();
  }
}

export function cgroupLayer(defaultMemoryBytes: number): SlotLayer {
  let groups = new Groups(new Map<Controller, Hierarchy>());
  let refused: string[] = [];
  /** The limit a slot's group has, where it is not the default. */
  const given = new Map<number, number>();
  return {
    name: 'cgroup',
    unavailable: () => {
      try {
        const tried = tryControllers(defaultMemoryBytes);
        ({ refused } = tried);
        groups = new Groups(tried.usable);
      } catch (error) {
        return Promise.resolve(`control groups cannot be read: ${reasonOf(error)}`);
      }
      return Promise.resolve(groups.usable.size === 0 ? refused.join('; ') : undefined);
    },
    afterReady: (pid) => groups.enter(pid, defaultMemoryBytes),
    beforeTask: async (pid, { memoryBytes }) => {
      if ((given.get(pid) ?? defaultMemoryBytes) !== memoryBytes)
        await groups.limitMemory(pid, memoryBytes);
      given.set(pid, memoryBytes);
    },
    afterEnd: (pid) => {
      given.delete(pid);
      groups.leave(pid);
    },
    close: () => groups.close(),
    verify: (pid) => {
      const own = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
      const name = groups.nameOf(pid);
      const inside = [...groups.usable].filter(([controller, { version }]) =>
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
