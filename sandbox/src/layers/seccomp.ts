/** The system call filter, handed to bubblewrap, which loads it last before it starts Node. */
import { readFileSync } from 'node:fs';
import type { SlotLayer } from './layer.ts';
import { runTool } from './run-tool.ts';
import { seccompFilter } from './seccomp-filter.ts';

export function seccompLayer(): SlotLayer {
  const filter = seccompFilter(process.arch);
  return {
    name: 'seccomp',
    unavailable: async () =>
      filter === undefined
        ? `no table of system calls for ${process.arch}`
        : await runTool('bwrap', ['--version']),
    wrap: (command) => {
      const [tool, ...rest] = command.prefix;
      if (tool !== 'bwrap' || filter === undefined) return command;
      const descriptor = String(FIRST_FEED + command.feeds.length);
      return {
        ...command,
        prefix: [tool, '--seccomp', descriptor, ...rest],
        feeds: [...command.feeds, filter],
      };
    },
    verify: (pid, { attempts }) => {
      const status = readFileSync(`/proc/${pid}/status`, 'latin1');
      const mode = /^Seccomp:\s+(\d)/m.exec(status)?.[1];
      const fork = attempts.find(({ attempt }) => attempt === 'fork');
      return Promise.resolve({
        holds: mode === '2' && fork?.refused === true,
        evidence: `Seccomp mode ${mode ?? 'unknown'}; fork inside: ${fork?.seen ?? 'not tried'}`,
      });
    },
  };
}

/** Descriptors 3 and 4 are the slot's; what wrappers read comes after. */
export const FIRST_FEED = 5;
