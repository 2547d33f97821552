/**
 * Node's permission model: no file system outside what the slot needs, no child processes, workers,
 * WASI or inspector. A seat belt for our own code, not a wall against native code execution.
 */
import type { SlotLayer } from './layer.ts';

export function permissionLayer(): SlotLayer {
  return {
    name: 'permission',
    unavailable: () => Promise.resolve(undefined),
    wrap: (command) => ({
      ...command,
      nodeFlags: [
        ...command.nodeFlags,
        '--permission',
        '--allow-addons',
        ...command.readable.map((path) => `--allow-fs-read=${path}`),
      ],
    }),
    verify: (_pid, { readFile, writeFile, spawn }) => {
      const verdicts = { readFile, writeFile, spawn };
      const holds = Object.values(verdicts).every((verdict) => verdict === 'ERR_ACCESS_DENIED');
      return Promise.resolve({ holds, evidence: `inside a slot: ${JSON.stringify(verdicts)}` });
    },
  };
}
