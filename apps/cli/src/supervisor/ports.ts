/** Which loopback port each process takes: the documented ones, or free ones (`--ports auto`). */
import { freePorts, probePort } from '#libs/platform';
import { cliError } from '../errors.ts';

export interface Ports {
  readonly market: number;
  readonly node: number;
  readonly storage: number;
  readonly postgres: number;
  /** Read-only gateway of the storage: where shards of deals are fetched. */
  readonly gateway: number;
  /** HTTP of the second to fourth validator; the first is `node`. */
  readonly node2: number;
  readonly node3: number;
  readonly node4: number;
  /** Where validators reach each other. */
  readonly link1: number;
  readonly link2: number;
  readonly link3: number;
  readonly link4: number;
}

export const DEFAULT_PORTS: Ports = {
  market: 7400,
  node: 7401,
  storage: 7402,
  postgres: 7403,
  gateway: 7408,
  node2: 7404,
  node3: 7405,
  node4: 7406,
  link1: 7411,
  link2: 7412,
  link3: 7413,
  link4: 7414,
};
const HOST = '127.0.0.1';

/** @throws CLI_PORT_IN_USE naming the port and who wanted it */
export async function choosePorts(
  choice: 'default' | 'auto',
  wished = DEFAULT_PORTS,
): Promise<Ports> {
  if (choice === 'auto') {
    const names = Object.keys(wished) as (keyof Ports)[];
    const found = await freePorts(names.length);
    return Object.fromEntries(names.map((name, i) => [name, found[i]])) as unknown as Ports;
  }
  for (const [name, port] of Object.entries(wished))
    if ((await probePort(port as number)) === undefined)
      throw cliError(
        'CLI_PORT_IN_USE',
        `port ${port} of ${HOST}, which ${name} needs, is occupied`,
      );
  return wished;
}
