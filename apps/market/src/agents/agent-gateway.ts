/**
 * Where providers' agents connect: a WebSocket at `/v1/agent`. An agent proves its key by signing a
 * challenge; from then on its frames become events of the market. It never sees the queue or the
 * database. Everything is limited: connections, unproven connections, frame size, frames and bytes
 * per second (by not reading on, so that the sender waits), and what waits to be sent.
 */
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { SignatureVerifier } from '#libs/crypto';
import type { Randomness } from '#libs/kernel';
import {
  AGENT_FRAME_MAX_BYTES,
  type AgentMessage,
  type MarketEvent,
  type MarketMessage,
  encodeMarketMessage,
  helloProblem,
} from '#libs/market';
import type { Logger, Metrics } from '#libs/platform';
import { createRateLimiter } from '#libs/platform';
import {
  AgentConnection,
  type ConnectionLimits,
  DEFAULT_CONNECTION_LIMITS,
} from './agent-connection.ts';

export const AGENT_PATH = '/v1/agent';

export interface AgentGatewayOptions {
  readonly chain: string;
  /** The market's account. */
  readonly market: string;
  readonly verify: SignatureVerifier;
  dispatch(event: MarketEvent): void;
  readonly randomness: Randomness;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly limits?: Partial<GatewayLimits>;
}

export interface GatewayLimits extends ConnectionLimits {
  readonly connections: number;
  /** Connections that have not proved a key yet. */
  readonly unproven: number;
  /** New connections per second and client address, with a burst of four times that. */
  readonly connectsPerSecond: number;
}

export const DEFAULT_GATEWAY_LIMITS: GatewayLimits = {
  ...DEFAULT_CONNECTION_LIMITS,
  connections: 10_000,
  unproven: 200,
  connectsPerSecond: 20,
};

const refuseUpgrade = (socket: Duplex, status: string): void => {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
};

export class AgentGateway {
  readonly #options: AgentGatewayOptions;
  readonly #limits: GatewayLimits;
  readonly #server: WebSocketServer;
  readonly #proven = new Map<string, AgentConnection>();
  readonly #all = new Set<AgentConnection>();
  readonly #connects;
  #closing = false;

  constructor(options: AgentGatewayOptions) {
    this.#options = options;
    this.#limits = { ...DEFAULT_GATEWAY_LIMITS, ...options.limits };
    const perSecond = this.#limits.connectsPerSecond;
    this.#connects = createRateLimiter({ perSecond, burst: perSecond * 4 });
    this.#server = new WebSocketServer({
      noServer: true,
      maxPayload: AGENT_FRAME_MAX_BYTES,
      // Compression would let a small frame grow without bound in our memory.
      perMessageDeflate: false,
      clientTracking: false,
    });
    options.metrics.gauge('seele_market_agents', 'Connected agents', () => this.#proven.size);
  }

  /** Takes the upgrades of an HTTP server. */
  attach(server: Server): void {
    server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head));
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    const path = (request.url ?? '').split('?')[0];
    if (path !== AGENT_PATH) return refuseUpgrade(socket, '404 Not Found');
    const address = request.socket.remoteAddress ?? 'unknown';
    const unproven = this.#all.size - this.#proven.size;
    if (
      this.#closing ||
      this.#all.size >= this.#limits.connections ||
      unproven >= this.#limits.unproven
    )
      return refuseUpgrade(socket, '503 Service Unavailable');
    if (this.#connects.take(address, performance.now()) > 0)
      return refuseUpgrade(socket, '429 Too Many Requests');
    this.#server.handleUpgrade(request, socket, head, (ws) => this.#accept(ws, address));
  }

  #accept(ws: WebSocket, address: string): void {
    const { options } = { options: this.#options };
    const session = Buffer.from(options.randomness.bytes(16)).toString('hex');
    const nonce = Buffer.from(options.randomness.bytes(32)).toString('hex');
    const connection = new AgentConnection({
      ws,
      session,
      limits: this.#limits,
      logger: options.logger.child({ session, address }),
      onHello: (hello) => this.#hello(connection, hello, nonce),
      onMessage: (message) => options.dispatch({ kind: 'agentMessage', session, message }),
      onClosed: (isCut) => this.#closed(connection, isCut),
    });
    this.#all.add(connection);
    const { chain, market } = options;
    connection.send(encodeMarketMessage({ kind: 'challenge', version: 1, nonce, market, chain }));
  }

  #hello(
    connection: AgentConnection,
    hello: Extract<AgentMessage, { kind: 'hello' }>,
    nonce: string,
  ): void {
    const { market, verify, logger } = this.#options;
    const problem = helloProblem(hello, { nonce, market }, verify);
    if (problem !== undefined) {
      logger.info({ session: connection.session, problem }, 'agent refused');
      connection.refuse('MARKET_AGENT_REFUSED', problem);
      return;
    }
    connection.proven = true;
    this.#proven.set(connection.session, connection);
    const { publicKey, offer, leases, draining = false } = hello;
    const { session } = connection;
    this.#options.dispatch({ kind: 'agentHello', session, publicKey, offer, leases, draining });
  }

  #closed(connection: AgentConnection, isCut: boolean): void {
    this.#all.delete(connection);
    if (this.#proven.delete(connection.session))
      this.#options.dispatch({ kind: 'agentGone', session: connection.session, isCut });
  }

  send(session: string, message: MarketMessage): void {
    this.#proven.get(session)?.send(encodeMarketMessage(message));
  }

  close(session: string, code: string, reason: string): void {
    this.#proven.get(session)?.refuse(code, reason);
  }

  /** Ends every connection; agents keep their leases and come back. */
  stop(): void {
    this.#closing = true;
    for (const connection of [...this.#all]) connection.end();
    this.#server.close();
  }
}
