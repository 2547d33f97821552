/** No privileges by exec (PR_SET_NO_NEW_PRIVS), and the slot dies with its parent. util-linux `setpriv`. */
import { readFileSync } from 'node:fs';
import type { SlotLayer } from './layer.ts';
import { runTool } from './run-tool.ts';

export function noNewPrivilegesLayer(): SlotLayer {
  const flags = ['--no-new-privs', '--pdeathsig', 'KILL', '--'];
  return {
    name: 'no-new-privileges',
    unavailable: () => runTool('setpriv', [...flags, 'true']),
    // bubblewrap and the pivot do it themselves, last.
    wrap: (command) =>
      command.prefix.length > 0
        ? command
        : { ...command, prefix: ['setpriv', ...flags, ...command.prefix] },
    verify: (pid) => {
      const status = readFileSync(`/proc/${pid}/status`, 'latin1');
      const value = /^NoNewPrivs:\s+(\d)/m.exec(status)?.[1];
      return Promise.resolve({
        holds: value === '1',
        evidence: `NoNewPrivs ${value ?? 'unknown'}`,
      });
    },
  };
}
