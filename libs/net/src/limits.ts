/** What a transport lets strangers and peers cost it. docs/limits.md states the defaults. */
import { netError } from './errors.ts';
import type { ProtocolRules } from './transport.ts';

export interface NetLimits {
  /** Links at most, both ways together. */
  readonly links: number;
  /** Handshakes under way at most; more are refused at once. */
  readonly handshakes: number;
  /** Handshakes under way at most from one address. */
  readonly handshakesPerAddress: number;
  readonly handshakeMs: number;
  /** Longest message of any protocol. */
  readonly messageBytes: number;
  /** A link without a sign of life for so long is dead; signs are asked for at a third of it. */
  readonly silenceMs: number;
  /** A peer that takes nothing for so long, while something waits, is cut off. */
  readonly stallMs: number;
  /** Received bytes whose handlers are under way, per link, before it is read no further. */
  readonly inHandBytes: number;
  /** Bytes given to the socket but not taken by the other side; priorities work behind it. */
  readonly inFlightBytes: number;
  /** First and longest pause between attempts to dial. */
  readonly redialMs: number;
  readonly redialMaxMs: number;
  /** How long a peer that misbehaved is not admitted. */
  readonly banMs: number;
}

export const DEFAULT_LIMITS: NetLimits = {
  links: 256,
  handshakes: 64,
  handshakesPerAddress: 32,
  handshakeMs: 5_000,
  messageBytes: 8 * 1024 * 1024,
  silenceMs: 15_000,
  stallMs: 20_000,
  inHandBytes: 4 * 1024 * 1024,
  inFlightBytes: 256 * 1024,
  redialMs: 100,
  redialMaxMs: 5_000,
  banMs: 60_000,
};

/** @throws NET_PROTOCOL_INVALID */
export function checkProtocols(protocols: readonly ProtocolRules[], limits: NetLimits): void {
  const ids = new Set<number>();
  const names = new Set<string>();
  for (const { id, name, maxMessageBytes, queueBytes } of protocols) {
    const isSound =
      Number.isInteger(id) &&
      id >= 1 &&
      id <= 255 &&
      maxMessageBytes > 0 &&
      maxMessageBytes <= limits.messageBytes &&
      queueBytes >= maxMessageBytes;
    if (!isSound || ids.has(id) || names.has(name))
      throw netError(
        'NET_PROTOCOL_INVALID',
        `protocol ${id} (${name}): ids are 1 to 255 and unique, messages at most ${limits.messageBytes} bytes, queues at least one message`,
      );
    ids.add(id);
    names.add(name);
  }
}
