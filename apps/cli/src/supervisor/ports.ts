/** Which loopback port each process takes: the documented ones, or free ones (`--ports auto`). */
import { type AddressInfo, createServer } from 'node:net';
import { cliError } from '../errors.ts';

export interface Ports {
  readonly market: number;
  readonly node: number;
  readonly storage: number;
  readonly postgres: number;
}

export const DEFAULT_PORTS: Ports = { market: 7400, node: 7401, storage: 7402, postgres: 7403 };
const HOST = '127.0.0.1';

/** Binds and lets go again; the port then in force, or undefined when it is taken. */
function probePort(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen({ host: HOST, port, exclusive: true }, () => {
      const bound = (server.address() as AddressInfo).port;
      server.close(() => resolve(bound));
    });
  });
}

async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>();
  while (found.size < count) {
    const port = await probePort(0);
    if (port !== undefined) found.add(port);
  }
  return [...found];
}

/** @throws CLI_PORT_IN_USE naming the port and who wanted it */
export async function choosePorts(
  choice: 'default' | 'auto',
  wished = DEFAULT_PORTS,
): Promise<Ports> {
  if (choice === 'auto') {
    const [market = 0, node = 0, storage = 0, postgres = 0] = await freePorts(4);
    return { market, node, storage, postgres };
  }
  for (const [name, port] of Object.entries(wished))
    if ((await probePort(port as number)) === undefined)
      throw cliError(
        'CLI_PORT_IN_USE',
        `port ${port} of ${HOST}, which ${name} needs, is occupied`,
      );
  return wished;
}
