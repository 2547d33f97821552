/** The agent's WebSocket to the market: frames in and out, liveness by ping. Reconnecting is the agent's. */
import { WebSocket } from 'ws';
import { type Bytes } from '#libs/kernel';
import {
  AGENT_FRAME_MAX_BYTES,
  type AgentMessage,
  type MarketMessage,
  decodeMarketMessage,
  encodeAgentMessage,
} from '#libs/market';
import type { Logger } from '#libs/platform';

const HANDSHAKE_MS = 5_000;
/** A market that answers no ping for this long is gone, whatever TCP thinks. */
const PING_MS = 5_000;
/** A market that reads so slowly is better met again. */
const BUFFER_MAX_BYTES = 64 * 2 ** 20;

export interface MarketLink {
  connect(): void;
  send(message: AgentMessage): void;
  close(): void;
  /** Resolves when everything sent has left this process, or after `timeoutMs`. */
  flush(timeoutMs: number): Promise<void>;
}

export interface MarketLinkOptions {
  /** `http://` or `https://` URL of the market. */
  readonly url: string;
  readonly logger: Logger;
  onConnected(): void;
  onMessage(message: MarketMessage): void;
  /** Once for every `connect`. */
  onDisconnected(): void;
}

export function createMarketLink(options: MarketLinkOptions): MarketLink {
  const { logger } = options;
  const address = `${options.url.replace(/^http/, 'ws')}/v1/agent`;
  let socket: WebSocket | undefined;

  const receive = (data: Bytes): void => {
    let message: MarketMessage;
    try {
      message = decodeMarketMessage(data);
    } catch (error) {
      logger.warn({ err: error }, 'the market sent a malformed frame');
      socket?.terminate();
      return;
    }
    options.onMessage(message);
  };

  const connect = (): void => {
    const opened = new WebSocket(address, {
      maxPayload: AGENT_FRAME_MAX_BYTES,
      perMessageDeflate: false,
      handshakeTimeout: HANDSHAKE_MS,
    });
    socket = opened;
    let answered = true;
    const ping = setInterval(() => {
      if (opened.readyState !== WebSocket.OPEN) return;
      if (!answered) return opened.terminate();
      answered = false;
      opened.ping();
    }, PING_MS);
    ping.unref();
    opened.on('open', () => options.onConnected());
    opened.on('pong', () => {
      answered = true;
    });
    opened.on('message', (data, isBinary) => {
      answered = true;
      if (socket !== opened) return;
      if (!isBinary || !Buffer.isBuffer(data)) return opened.terminate();
      receive(new Uint8Array(data.buffer, data.byteOffset, data.length));
    });
    opened.on('error', (error) => logger.debug({ err: error }, 'market link'));
    opened.on('close', (code) => {
      clearInterval(ping);
      logger.debug({ code }, 'market link closed');
      if (socket === opened) socket = undefined;
      options.onDisconnected();
    });
  };

  return {
    connect,
    send: (message) => {
      if (socket?.readyState !== WebSocket.OPEN) return;
      if (socket.bufferedAmount > BUFFER_MAX_BYTES) return socket.terminate();
      socket.send(encodeAgentMessage(message));
    },
    close: () => socket?.terminate(),
    flush: async (timeoutMs) => {
      const closing = socket;
      if (closing?.readyState !== WebSocket.OPEN) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, timeoutMs);
        closing.once('close', () => {
          clearTimeout(timer);
          resolve();
        });
        // A close frame goes behind everything that waits to be sent.
        closing.close(1000, 'provider stops');
      });
    },
  };
}
