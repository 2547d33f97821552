/**
 * Namespaces of its own (user, mount, pid, network, ipc, uts), no capabilities, and a read-only root
 * with nothing in it but Node, its libraries and the slot's code. By bubblewrap where it is
 * installed; otherwise by util-linux `unshare` and a pivot, where the kernel lets the user.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import type { SlotCommand, SlotLayer } from './layer.ts';
import { runTool } from './run-tool.ts';
import { type SlotRoot, slotRoot } from './slot-root.ts';
import { pivotPrefix } from './unshare-pivot.ts';

export type NamespaceTool = 'bwrap' | 'unshare';

const SPACES = ['user', 'mnt', 'pid', 'net', 'ipc'] as const;

const BUBBLEWRAP = [
  ...['--unshare-user', '--unshare-pid', '--unshare-net', '--unshare-ipc', '--unshare-uts'],
  ...['--unshare-cgroup-try', '--disable-userns', '--uid', '65534', '--gid', '65534'],
  ...['--hostname', 'slot', '--die-with-parent', '--cap-drop', 'ALL'],
  // No reaper between: a process less for each slot, and what a slot used is counted as ours.
  '--as-pid-1',
];
/** Before 0.8 bubblewrap cannot forbid further user namespaces; the system call filter does. */
const OLDER = BUBBLEWRAP.filter((flag) => flag !== '--disable-userns');

function bubblewrapPrefix({ binds }: SlotRoot, flags: readonly string[]): string[] {
  return [
    ...['bwrap', ...flags],
    ...binds.flatMap(({ from, to }) => ['--ro-bind', from, to]),
    // Node opens /dev/null for its standard streams; nothing here can be written but these.
    ...['--dev-bind', '/dev/null', '/dev/null', '--dev-bind', '/dev/urandom', '/dev/urandom'],
    ...['--remount-ro', '/', '--chdir', '/', '--'],
  ];
}

const smallRoot = ['--ro-bind', '/', '/', '--', 'true'];

export function namespacesLayer(
  allowed: readonly NamespaceTool[] = ['bwrap', 'unshare'],
): SlotLayer {
  let wrap: ((command: SlotCommand) => SlotCommand) | undefined;
  const withRoot = (prefixOf: (root: SlotRoot) => string[]) => (command: SlotCommand) => {
    const root = slotRoot(command);
    return { ...root.command, prefix: prefixOf(root) };
  };
  const tryBubblewrap = async (): Promise<string | undefined> => {
    let reason: string | undefined;
    for (const flags of [BUBBLEWRAP, OLDER]) {
      reason = await runTool('bwrap', [...flags, ...smallRoot]);
      if (reason !== undefined) continue;
      wrap = withRoot((root) => bubblewrapPrefix(root, flags));
      return undefined;
    }
    return reason;
  };
  const tryUnshare = async (): Promise<string | undefined> => {
    const prefix = pivotPrefix({ binds: [], loader: undefined }, true);
    const reason = await runTool(prefix[0] as string, [...prefix.slice(1), 'true']);
    if (reason === undefined) wrap = withRoot((root) => pivotPrefix(root));
    return reason;
  };
  return {
    name: 'namespaces',
    unavailable: async () => {
      const reasons: string[] = [];
      for (const tool of allowed) {
        const reason = await (tool === 'bwrap' ? tryBubblewrap() : tryUnshare());
        if (reason === undefined) return undefined;
        reasons.push(reason);
      }
      return reasons.join('; ');
    },
    wrap: (command) => wrap?.(command) ?? command,
    verify: (pid, { attempts, interfaces }) => {
      const link = (who: string, space: string) => readlinkSync(`/proc/${who}/ns/${space}`);
      const shared = SPACES.filter((space) => link(String(pid), space) === link('self', space));
      const status = readFileSync(`/proc/${pid}/status`, 'latin1');
      const capabilities = /^CapEff:\s+([0-9a-f]+)/m.exec(status)?.[1] ?? 'unknown';
      const must = ['read /etc/passwd', 'write to /', 'open a socket', 'ptrace'];
      const open = must.filter((name) => !attempts.some((a) => a.attempt === name && a.refused));
      const listed = shared.length === 0 ? 'none' : shared.join(', ');
      return Promise.resolve({
        holds:
          shared.length === 0 &&
          /^0+$/.test(capabilities) &&
          open.length === 0 &&
          interfaces.length === 0,
        evidence: `shared with the provider: ${listed}; capabilities ${capabilities}; not refused inside: ${open.join(', ') || 'none'}`,
      });
    },
  };
}
