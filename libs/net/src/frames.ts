/**
 * Frames on a link: a message of a protocol, cut into fragments so that what is urgent can overtake
 * what is long.
 *
 *   u8 protocol | u32 big endian: bit 31 "more follows", bits 0–30 length | length bytes
 *
 * Every fragment but the last of a message has exactly `FRAGMENT_BYTES`, so one message has one form
 * and no peer can make another keep millions of tiny pieces. Protocol 0 is the link's own.
 */
import type { Bytes } from '#libs/kernel';
import { netError } from './errors.ts';
import type { LinkEnd } from './transport.ts';

export const FRAME_HEAD_BYTES = 5;
export const FRAGMENT_BYTES = 32 * 1024;
export const CONTROL_PROTOCOL = 0;
const MORE = 0x80000000;

/** Bytes that a message takes on the wire. */
export function framedBytes(messageBytes: number): number {
  const fragments = Math.max(1, Math.ceil(messageBytes / FRAGMENT_BYTES));
  return messageBytes + fragments * FRAME_HEAD_BYTES;
}

/** Writes the fragment of `message` that begins at `from` into `out` at `at`; returns its end there. */
export function writeFragment(
  out: Bytes,
  at: number,
  protocol: number,
  message: Bytes,
  from: number,
): number {
  const length = Math.min(FRAGMENT_BYTES, message.length - from);
  const hasMore = from + length < message.length;
  out[at] = protocol;
  out[at + 1] = (length >>> 24) | (hasMore ? 0x80 : 0);
  out[at + 2] = length >>> 16;
  out[at + 3] = length >>> 8;
  out[at + 4] = length;
  const body = from === 0 && !hasMore ? message : message.subarray(from, from + length);
  out.set(body, at + FRAME_HEAD_BYTES);
  return at + FRAME_HEAD_BYTES + length;
}

/** One message in its frames. */
export function frameMessage(protocol: number, message: Bytes): Bytes {
  const out = new Uint8Array(framedBytes(message.length));
  let at = 0;
  let from = 0;
  do {
    at = writeFragment(out, at, protocol, message, from);
    from += FRAGMENT_BYTES;
  } while (from < message.length);
  return out;
}

function frameError(end: LinkEnd, what: string): Error {
  return netError('NET_FRAME_INVALID', what, { detail: { end } });
}

interface Unfinished {
  readonly parts: Bytes[];
  bytes: number;
}

/**
 * Takes a stream of bytes apart into messages. Keeps at most one unfinished message per protocol,
 * none longer than its limit, and allocates no more than has arrived and one fragment.
 */
export class FrameReader {
  readonly #limitOf: (protocol: number) => number | undefined;
  readonly #onMessage: (protocol: number, message: Bytes) => void;
  readonly #head = new Uint8Array(FRAME_HEAD_BYTES);
  #headFilled = 0;
  #protocol = 0;
  #hasMore = false;
  #body: Bytes | undefined;
  #bodyFilled = 0;
  readonly #unfinished = new Map<number, Unfinished>();

  /**
   * `limitOf` gives a protocol's longest message, undefined for a protocol that is not spoken.
   * Messages are fresh arrays; they belong to `onMessage`.
   */
  constructor(
    limitOf: (protocol: number) => number | undefined,
    onMessage: (protocol: number, message: Bytes) => void,
  ) {
    this.#limitOf = limitOf;
    this.#onMessage = onMessage;
  }

  /** Bytes of messages not yet whole. */
  get unfinishedBytes(): number {
    let total = this.#bodyFilled;
    for (const { bytes } of this.#unfinished.values()) total += bytes;
    return total;
  }

  /** @throws NET_FRAME_INVALID with the link's end in its detail; the reader is useless afterwards */
  push(chunk: Bytes): void {
    let at = 0;
    while (at < chunk.length) {
      if (!this.#body) {
        while (this.#headFilled < FRAME_HEAD_BYTES && at < chunk.length)
          this.#head[this.#headFilled++] = chunk[at++] as number;
        if (this.#headFilled < FRAME_HEAD_BYTES) return;
        this.#begin();
      }
      const body = this.#body as Bytes;
      const taken = Math.min(body.length - this.#bodyFilled, chunk.length - at);
      if (taken > 0) body.set(chunk.subarray(at, at + taken), this.#bodyFilled);
      at += taken;
      this.#bodyFilled += taken;
      if (this.#bodyFilled === body.length) this.#finish(body);
    }
  }

  #begin(): void {
    const [protocol, a, b, c, d] = this.#head as unknown as [number, ...number[]];
    const word =
      (((a as number) << 24) | ((b as number) << 16) | ((c as number) << 8) | (d as number)) >>> 0;
    const hasMore = word >= MORE;
    const length = hasMore ? word - MORE : word;
    const limit = this.#limitOf(protocol);
    if (limit === undefined) throw frameError('unknown-protocol', `protocol ${protocol}`);
    const before = this.#unfinished.get(protocol)?.bytes ?? 0;
    if (
      length > FRAGMENT_BYTES ||
      (hasMore && length !== FRAGMENT_BYTES) ||
      (before > 0 && length === 0)
    )
      throw frameError('malformed-frame', `a fragment of ${length} bytes on protocol ${protocol}`);
    // More follows: at least one byte.
    if (before + length + (hasMore ? 1 : 0) > limit)
      throw frameError('frame-too-large', `a message above ${limit} bytes on protocol ${protocol}`);
    this.#protocol = protocol;
    this.#hasMore = hasMore;
    this.#body = new Uint8Array(length);
    this.#bodyFilled = 0;
  }

  #finish(body: Bytes): void {
    const protocol = this.#protocol;
    this.#body = undefined;
    this.#bodyFilled = 0;
    this.#headFilled = 0;
    let unfinished = this.#unfinished.get(protocol);
    if (this.#hasMore) {
      if (!unfinished) this.#unfinished.set(protocol, (unfinished = { parts: [], bytes: 0 }));
      unfinished.parts.push(body);
      unfinished.bytes += body.length;
      return;
    }
    if (!unfinished) return this.#onMessage(protocol, body);
    this.#unfinished.delete(protocol);
    const whole = new Uint8Array(unfinished.bytes + body.length);
    let at = 0;
    for (const part of unfinished.parts) {
      whole.set(part, at);
      at += part.length;
    }
    whole.set(body, at);
    this.#onMessage(protocol, whole);
  }
}
