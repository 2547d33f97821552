/**
 * Kernel resource limits: no core files, no file growth, few descriptors, and data memory of what an
 * idle slot has plus what the job may use plus slack. A second line behind the resident-memory
 * watchdog, which is the exact one. What an idle slot has is read from the first that is ready and
 * limited then; later ones start with the limits they will keep, which costs no process of its own.
 */
import { readFileSync } from 'node:fs';
import { statusBytes } from '../process-facts.ts';
import type { SlotLayer } from './layer.ts';
import { runTool } from './run-tool.ts';

const SLACK_BYTES = 96 * 2 ** 20;
/** Idle slots of one kind differ by much less. */
const NEAR_BYTES = 16 * 2 ** 20;
/**
 * More where the slot has to make another isolate: V8 reserves a code range for it in several tries,
 * writable and so counted, and frees the one before late. Less than this failed now and then.
 */
const NEW_ISOLATE_BYTES = 2 ** 30;

const LIMITS = ['--core=0:0', '--fsize=0:0', '--nofile=64:64'];

/** Soft limit of data memory in bytes; `undefined` while there is none. */
function dataLimit(pid: number): number | undefined {
  const soft = /^Max data size\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, 'latin1'))?.[1];
  return soft === undefined ? undefined : Number(soft);
}

/** `defaultMemoryBytes`: what most jobs ask for; set before any task, so those wait for nothing. */
export function prlimitLayer(defaultMemoryBytes: number): SlotLayer {
  /** What a slot that has run a task was last given. */
  const given = new Map<number, number>();
  /** Of the first slot that was ready. */
  let known: number | undefined;
  const limit = async (pid: number, bytes: number): Promise<void> => {
    const idle = statusBytes(pid, 'VmData') ?? 0;
    await runTool('prlimit', [`--pid=${pid}`, `--data=${idle + bytes + SLACK_BYTES}:`]);
  };
  return {
    name: 'prlimit',
    unavailable: () => runTool('prlimit', [...LIMITS, 'true']),
    wrap: (command) => {
      const data = known === undefined ? [] : [`--data=${known}:`];
      return { ...command, prefix: ['prlimit', ...LIMITS, ...data, '--', ...command.prefix] };
    },
    afterReady: async (pid) => {
      const exact = (statusBytes(pid, 'VmData') ?? 0) + defaultMemoryBytes + SLACK_BYTES;
      const has = dataLimit(pid);
      // Slots for other kinds of jobs differ.
      if (has !== undefined && Math.abs(has - exact) <= NEAR_BYTES) return;
      await limit(pid, defaultMemoryBytes);
      known ??= dataLimit(pid);
    },
    beforeTask: async (pid, { memoryBytes }, isFirst) => {
      if (isFirst && memoryBytes <= defaultMemoryBytes) return;
      if (given.get(pid) === memoryBytes) return;
      given.set(pid, memoryBytes);
      await limit(pid, memoryBytes + NEW_ISOLATE_BYTES);
    },
    afterEnd: (pid) => void given.delete(pid),
    verify: (pid) => {
      const limits = readFileSync(`/proc/${pid}/limits`, 'latin1');
      const soft = (name: string) => new RegExp(`^${name}\\s+(\\S+)`, 'm').exec(limits)?.[1];
      const found = {
        data: soft('Max data size'),
        fsize: soft('Max file size'),
        core: soft('Max core file size'),
        nofile: soft('Max open files'),
      };
      const holds =
        found.data !== 'unlimited' &&
        found.fsize === '0' &&
        found.core === '0' &&
        found.nofile === '64';
      return Promise.resolve({ holds, evidence: `/proc/<slot>/limits: ${JSON.stringify(found)}` });
    },
  };
}
