/**
 * Free ports of the loopback address for servers that somebody else starts, in a moment or again and again.
 *
 * Not those that the system hands out (`listen(0)`): it takes them for outgoing connections as well, so one
 * that was free may belong to any connection when its server starts, or starts again after a crash. Linux,
 * macOS and Windows take those from 32768 on (`ip_local_port_range`, RFC 6335 from 49152).
 */
import { type AddressInfo, createServer } from 'node:net';

const HOST = '127.0.0.1';
const FIRST = 10_000;
const END = 32_768;
/** Processes that choose at the same time begin in blocks of their own. */
const BLOCK = 32;

let next = FIRST + ((process.pid * BLOCK) % (END - FIRST));

/** Binds and lets go again; the port then in force, or undefined when it is taken. */
export function probePort(port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen({ host: HOST, port, exclusive: true }, () => {
      const bound = (server.address() as AddressInfo).port;
      server.close(() => resolve(bound));
    });
  });
}

/** Free at this moment, each another one, and none that this process was given before. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const found: number[] = [];
  for (let tries = 0; found.length < count; tries++) {
    // On a machine where all of them are taken, what the system has.
    const wanted = tries < END - FIRST ? next++ : 0;
    if (next >= END) next = FIRST;
    const port = await probePort(wanted);
    if (port !== undefined) found.push(port);
  }
  return found;
}

/** @see freePorts */
export async function freePort(): Promise<number> {
  const [port] = await freePorts(1);
  return port as number;
}
