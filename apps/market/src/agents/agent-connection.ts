/** One agent's socket: decoding, limits, back-pressure and silence. */
import type { RawData, WebSocket } from 'ws';
import { type Bytes, isSeeleError } from '#libs/kernel';
import { type AgentMessage, decodeAgentMessage, encodeMarketMessage } from '#libs/market';
import { type Logger, createRateLimiter } from '#libs/platform';

export interface ConnectionLimits {
  /** A connection that has not proved its key by then is closed. */
  readonly helloMs: number;
  /** A proven agent silent for so long is gone. */
  readonly silenceMs: number;
  readonly framesPerSecond: number;
  readonly bytesPerSecond: number;
  /** What may wait to be sent; an agent that reads slower starts over. */
  readonly sendBufferBytes: number;
}

export const DEFAULT_CONNECTION_LIMITS: ConnectionLimits = {
  helloMs: 5_000,
  silenceMs: 20_000,
  framesPerSecond: 500,
  bytesPerSecond: 8 * 2 ** 20,
  sendBufferBytes: 8 * 2 ** 20,
};

/** Limits allow bursts of this many seconds' worth. */
const BURST_SECONDS = 2;
/** Policy violation (RFC 6455 7.4.1). */
const CLOSE_POLICY = 1008;
const CLOSE_NORMAL = 1000;
const CLOSE_GOING_AWAY = 1001;
const CLOSE_GRACE_MS = 1_000;

export interface AgentConnectionOptions {
  readonly ws: WebSocket;
  readonly session: string;
  readonly limits: ConnectionLimits;
  readonly logger: Logger;
  onHello(hello: Extract<AgentMessage, { kind: 'hello' }>): void;
  onMessage(message: Exclude<AgentMessage, { kind: 'hello' }>): void;
  /** @param isCut the agent did not say that it goes */
  onClosed(isCut: boolean): void;
}

function toBytes(data: RawData): Bytes {
  if (Array.isArray(data)) return new Uint8Array(Buffer.concat(data));
  return new Uint8Array(data instanceof ArrayBuffer ? data : Buffer.from(data));
}

export class AgentConnection {
  readonly session: string;
  /** Set once its key is proved. */
  proven = false;
  readonly #options: AgentConnectionOptions;
  readonly #frames;
  readonly #bytes;
  #silence: NodeJS.Timeout;
  #paused: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: AgentConnectionOptions) {
    this.#options = options;
    this.session = options.session;
    const { framesPerSecond, bytesPerSecond, helloMs } = options.limits;
    this.#frames = createRateLimiter({
      perSecond: framesPerSecond,
      burst: framesPerSecond * BURST_SECONDS,
    });
    this.#bytes = createRateLimiter({
      perSecond: bytesPerSecond,
      burst: bytesPerSecond * BURST_SECONDS,
    });
    const { ws } = options;
    this.#silence = setTimeout(
      () => this.refuse('MARKET_AGENT_REFUSED', 'no hello in time'),
      helloMs,
    );
    ws.on('message', (data, isBinary) => this.#receive(data, isBinary));
    ws.on('error', (error) => options.logger.debug({ err: error }, 'agent socket error'));
    ws.on('close', (code) => this.#onClose(code !== CLOSE_NORMAL));
  }

  #receive(data: RawData, isBinary: boolean): void {
    if (this.#closed) return;
    const bytes = toBytes(data);
    this.#slowDown(bytes.length);
    try {
      if (!isBinary) throw new TypeError('text frame');
      const message = decodeAgentMessage(bytes);
      if (message.kind === 'hello') {
        if (this.proven) return this.refuse('MARKET_AGENT_REFUSED', 'a second hello');
        this.#options.onHello(message);
        if (this.proven) this.#heard();
        return;
      }
      if (!this.proven) return this.refuse('MARKET_AGENT_REFUSED', 'speak after the hello');
      this.#heard();
      this.#options.onMessage(message);
    } catch (error) {
      if (!isSeeleError(error) && !(error instanceof TypeError)) throw error;
      this.refuse('MARKET_AGENT_REFUSED', `malformed frame: ${error.message}`.slice(0, 500));
    }
  }

  /**
   * Over the limit we stop reading until the excess is paid off: the sender feels it, nothing is
   * dropped. What one read of the socket brought is still taken in.
   */
  #slowDown(sizeBytes: number): void {
    const nowMs = performance.now();
    const waitMs = Math.max(
      this.#frames.charge('', nowMs),
      this.#bytes.charge('', nowMs, sizeBytes),
    );
    if (waitMs === 0) return;
    const { ws } = this.#options;
    ws.pause();
    clearTimeout(this.#paused);
    this.#paused = setTimeout(() => ws.resume(), waitMs);
  }

  #heard(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      this.#options.logger.info('agent fell silent');
      this.#options.ws.terminate();
    }, this.#options.limits.silenceMs);
  }

  send(frame: Bytes): void {
    const { ws, limits, logger } = this.#options;
    if (ws.readyState !== ws.OPEN) return;
    if (ws.bufferedAmount > limits.sendBufferBytes) {
      logger.warn({ bufferedBytes: ws.bufferedAmount }, 'agent reads too slowly');
      ws.terminate();
      return;
    }
    ws.send(frame);
  }

  /** Says why, then closes. */
  refuse(code: string, reason: string): void {
    this.send(encodeMarketMessage({ kind: 'refuse', code, reason }));
    this.#close(CLOSE_POLICY, code);
  }

  end(): void {
    this.#close(CLOSE_GOING_AWAY, 'market stops');
  }

  #close(code: number, reason: string): void {
    const { ws } = this.#options;
    ws.close(code, reason);
    setTimeout(() => ws.terminate(), CLOSE_GRACE_MS).unref();
    this.#onClose(true);
  }

  #onClose(isCut: boolean): void {
    clearTimeout(this.#silence);
    clearTimeout(this.#paused);
    if (this.#closed) return;
    this.#closed = true;
    this.#options.onClosed(isCut);
  }
}
