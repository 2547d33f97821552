/** The transport port over TCP and TLS 1.3. */
import { DEFAULT_LIMITS } from './limits.ts';
import { LinkTransport } from './link-transport.ts';
import type { TransportOptions } from './options.ts';
import { createTcpCarrier } from './tcp-carrier.ts';
import type { Transport } from './transport.ts';

export interface TcpTransportOptions extends TransportOptions {
  /** Address to listen on. */
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  /** What `listen` tells others to dial, where it is not the address listened on. */
  readonly advertised?: string;
}

/** @throws NET_PROTOCOL_INVALID */
export function createTcpTransport(options: TcpTransportOptions): Transport {
  const { host, port, advertised, clock } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const carrier = createTcpCarrier({
    host,
    port,
    clock,
    limits,
    ...(advertised === undefined ? {} : { advertised }),
  });
  return new LinkTransport(options, carrier);
}
