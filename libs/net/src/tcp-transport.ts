/** The transport port over TCP. */
import type { TransportOptions } from './options.ts';
import type { Transport } from './transport.ts';

export interface TcpTransportOptions extends TransportOptions {
  /** Address to listen on. */
  readonly host: string;
  /** 0 for any free one. */
  readonly port: number;
  /** What `listen` tells others to dial, where it is not the address listened on. */
  readonly advertised?: string;
}

export declare function createTcpTransport(options: TcpTransportOptions): Transport;
