/**
 * Kernel resource limits, set from outside once the slot is ready (V8 reserves so much address space
 * at start that earlier limits would kill it): no core files, no file growth, few descriptors, and
 * data memory of what the slot has plus what the job may use plus slack. A second line behind the
 * resident-memory watchdog, which is the exact one.
 */
import { readFileSync } from 'node:fs';
import { statusBytes } from '../process-facts.ts';
import type { SlotLayer } from './layer.ts';
import { runTool } from './run-tool.ts';

const SLACK_BYTES = 96 * 2 ** 20;
/**
 * More where the slot has to make another isolate: V8 reserves a code range for it in several tries,
 * writable and so counted, and frees the one before late. Less than this failed now and then.
 */
const NEW_ISOLATE_BYTES = 2 ** 30;

/** `defaultMemoryBytes`: what most jobs ask for; set before any task, so those wait for nothing. */
export function prlimitLayer(defaultMemoryBytes: number): SlotLayer {
  /** What a slot that has run a task was last given. */
  const given = new Map<number, number>();
  const limit = (pid: number, bytes: number, more: readonly string[] = []) => {
    const idle = statusBytes(pid, 'VmData') ?? 0;
    const soft = idle + bytes + SLACK_BYTES;
    return runTool('prlimit', [`--pid=${pid}`, `--data=${soft}:`, ...more]);
  };
  return {
    name: 'prlimit',
    unavailable: () => runTool('prlimit', ['--version']),
    afterReady: async (pid) => {
      // One call for all: it is a process for every slot.
      await limit(pid, defaultMemoryBytes, ['--core=0:0', '--fsize=0:0', '--nofile=64:64']);
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
