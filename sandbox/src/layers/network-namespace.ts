/** A network namespace of its own, with nothing in it but a loopback that is down. util-linux `unshare`. */
import { readlinkSync } from 'node:fs';
import type { SlotLayer } from './layer.ts';
import { runTool } from './run-tool.ts';

export function networkNamespaceLayer(): SlotLayer {
  const flags = ['--user', '--map-root-user', '--net', '--'];
  return {
    name: 'network-namespace',
    unavailable: () => runTool('unshare', [...flags, 'true']),
    // Where `namespaces` wraps the command it has this one already.
    wrap: (command) =>
      command.prefix.some((word) => word === '--net' || word === '--unshare-net')
        ? command
        : { ...command, prefix: ['unshare', ...flags, ...command.prefix] },
    verify: (pid, { interfaces }) => {
      const own = readlinkSync('/proc/self/ns/net');
      const slot = readlinkSync(`/proc/${pid}/ns/net`);
      return Promise.resolve({
        holds: own !== slot && interfaces.length === 0,
        evidence: `slot in ${slot}, provider in ${own}; interfaces up inside: ${interfaces.length}`,
      });
    },
  };
}
