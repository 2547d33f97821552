/**
 * Encrypted streams over TCP: TLS 1.3 with a throw-away certificate. TLS keeps the stream secret and
 * whole; it does not say who is there, which is why any certificate is taken
 * (docs/decisions/0015-links-tls-with-proof-inside.md).
 */
import type { Socket } from 'node:net';
import { type Server, type TLSSocket, connect, createServer } from 'node:tls';
import type { Clock } from '#libs/kernel';
import { createEphemeralCertificate } from './ephemeral-certificate.ts';
import { netError } from './errors.ts';
import type { NetLimits } from './limits.ts';
import { createNodeTimers } from './node-timers.ts';
import type { Carrier, Wire } from './wire.ts';

const TLS = {
  minVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256',
} as const;
const BINDING_LABEL = 'EXPORTER-seele-net-link';
const BINDING_BYTES = 32;
const PORT_MAX = 65_535;

/** `host:port`, an IPv6 host in brackets. @throws NET_ADDRESS_INVALID */
export function parseAddress(address: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(address);
  const port = Number(match?.[3]);
  if (!match || port > PORT_MAX)
    throw netError('NET_ADDRESS_INVALID', `${JSON.stringify(address)} is not host:port`);
  return { host: (match[1] ?? match[2]) as string, port };
}

const formatAddress = (host: string, port: number): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;

function wireOf(socket: TLSSocket, remote: string): Wire {
  socket.setNoDelay(true);
  const binding = new Uint8Array(
    socket.exportKeyingMaterial(BINDING_BYTES, BINDING_LABEL, Buffer.alloc(0)),
  );
  let failure = 'closed';
  socket.on('error', (error: Error) => (failure = error.message));
  return {
    binding,
    remote,
    write: (bytes, onTaken) => void socket.write(bytes, onTaken),
    open(onBytes, onEnd) {
      socket.on('data', onBytes);
      socket.once('close', () => onEnd(failure));
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    end(graceMs) {
      // What still comes is read and thrown away: unread data would turn the goodbye into a reset.
      socket.removeAllListeners('data');
      socket.resume();
      socket.end();
      if (graceMs <= 0) return void socket.destroy();
      const timer = setTimeout(() => socket.destroy(), graceMs);
      timer.unref();
      socket.once('close', () => clearTimeout(timer));
    },
  };
}

export interface TcpCarrierOptions {
  readonly host: string;
  readonly port: number;
  readonly advertised?: string;
  readonly clock: Clock;
  readonly limits: NetLimits;
}

/** A carrier that can also go down without a word. */
export interface TcpCarrier extends Carrier {
  /** Cuts all streams and stops listening, as the end of the process would. */
  kill(): void;
}

export function createTcpCarrier({
  host,
  port,
  advertised,
  clock,
  limits,
}: TcpCarrierOptions): TcpCarrier {
  let server: Server | undefined;
  const sockets = new Set<Socket>();
  const greeting = new Map<string, number>();

  /** Counts a stream until it has finished TLS; undefined when there are too many. */
  function admitSocket(socket: Socket): (() => void) | undefined {
    const remote = socket.remoteAddress ?? 'unknown';
    let total = 0;
    for (const count of greeting.values()) total += count;
    const fromThere = greeting.get(remote) ?? 0;
    if (total >= limits.handshakes || fromThere >= limits.handshakesPerAddress) return undefined;
    greeting.set(remote, fromThere + 1);
    let isCounted = true;
    return () => {
      if (!isCounted) return;
      isCounted = false;
      const left = (greeting.get(remote) ?? 1) - 1;
      if (left > 0) greeting.set(remote, left);
      else greeting.delete(remote);
    };
  }

  function track(socket: Socket): void {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  }

  return {
    timers: createNodeTimers(clock),
    listen(onWire) {
      const listening = createServer({
        ...TLS,
        ...createEphemeralCertificate(),
        handshakeTimeout: limits.handshakeMs,
      });
      server = listening;
      /** Streams in TLS, by where they come from. */
      const handshakes = new Map<string, () => void>();
      listening.on('connection', (socket: Socket) => {
        socket.on('error', () => undefined);
        const done = admitSocket(socket);
        if (!done) return void socket.destroy();
        track(socket);
        const from = `${socket.remoteAddress}/${socket.remotePort}`;
        handshakes.set(from, done);
        socket.once('close', () => {
          done();
          if (handshakes.get(from) === done) handshakes.delete(from);
        });
      });
      listening.on('tlsClientError', (_error, socket) => socket.destroy());
      listening.on('secureConnection', (socket: TLSSocket) => {
        const { remoteAddress, remotePort } = socket;
        handshakes.get(`${remoteAddress}/${remotePort}`)?.();
        track(socket);
        if (!remoteAddress || socket.destroyed) return void socket.destroy();
        onWire(wireOf(socket, remoteAddress));
      });
      return new Promise((resolve, reject) => {
        listening.once('error', (cause) =>
          reject(
            netError('NET_LISTEN', `${formatAddress(host, port)}: ${cause.message}`, { cause }),
          ),
        );
        listening.listen(port, host, () => {
          const address = listening.address();
          const actual = typeof address === 'object' && address ? address.port : port;
          resolve(advertised ?? formatAddress(host, actual));
        });
      });
    },
    connect(address, timeoutMs) {
      const to = parseAddress(address);
      return new Promise((resolve, reject) => {
        // The other end proves its key in the stream: see hello.ts.
        const socket = connect({ ...TLS, ...to, rejectUnauthorized: false });
        track(socket);
        const timer = setTimeout(() => socket.destroy(new Error('no answer in time')), timeoutMs);
        socket.once('error', reject);
        socket.once('close', () => {
          clearTimeout(timer);
          reject(new Error('closed during the handshake'));
        });
        socket.once('secureConnect', () => {
          clearTimeout(timer);
          socket.off('error', reject);
          resolve(wireOf(socket, to.host));
        });
      });
    },
    kill() {
      server?.close();
      for (const socket of sockets) socket.destroy();
    },
    async close() {
      server?.close();
      // Goodbyes get a moment; `end` of the wires destroys what hangs.
      const isClosed = (socket: Socket) =>
        new Promise<void>((resolve) => void socket.once('close', () => resolve()));
      await Promise.all([...sockets].map(isClosed));
    },
  };
}
