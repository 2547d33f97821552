/**
 * What waits to be sent to one peer: a line per protocol, the urgent ones first, bounded in bytes and
 * in age. Long messages go out fragment by fragment, so that urgent ones overtake them.
 */
import type { Bytes } from '#libs/kernel';
import { FRAGMENT_BYTES, FRAME_HEAD_BYTES, writeFragment } from './frames.ts';
import type { ProtocolCounters } from './counters.ts';
import type { ProtocolRules } from './transport.ts';

interface Waiting {
  readonly message: Bytes;
  readonly sinceMs: number;
}

class Line {
  readonly rules: ProtocolRules;
  readonly counters: ProtocolCounters;
  readonly items: (Waiting | undefined)[] = [];
  head = 0;
  bytes = 0;
  /** Bytes of the first message that are sent already. */
  sent = 0;

  constructor(rules: ProtocolRules, counters: ProtocolCounters) {
    this.rules = rules;
    this.counters = counters;
  }

  get first(): Waiting | undefined {
    return this.items[this.head];
  }

  drop(): void {
    const { message } = this.items[this.head] as Waiting;
    this.items[this.head++] = undefined;
    this.bytes -= message.length;
    this.sent = 0;
    if (this.head > 32 && this.head * 2 > this.items.length) {
      this.items.splice(0, this.head);
      this.head = 0;
    }
  }
}

export class SendQueues {
  readonly #lines: readonly Line[];
  readonly #byId = new Map<number, Line>();

  constructor(protocols: readonly ProtocolRules[], countersOf: (id: number) => ProtocolCounters) {
    const lines = protocols.map((rules) => new Line(rules, countersOf(rules.id)));
    for (const line of lines) this.#byId.set(line.rules.id, line);
    this.#lines = lines.sort(
      (a, b) => a.rules.priority - b.rules.priority || a.rules.id - b.rules.id,
    );
  }

  get isEmpty(): boolean {
    return this.#lines.every(({ bytes, first }) => bytes === 0 && first === undefined);
  }

  get bytes(): number {
    let total = 0;
    for (const line of this.#lines) total += line.bytes;
    return total;
  }

  bytesOf(protocol: number): number {
    return this.#byId.get(protocol)?.bytes ?? 0;
  }

  /** False when there is no room. */
  add(protocol: number, message: Bytes, nowMs: number): boolean {
    const line = this.#byId.get(protocol) as Line;
    if (line.bytes + message.length > line.rules.queueBytes) this.#expire(line, nowMs);
    if (line.bytes + message.length > line.rules.queueBytes) {
      line.counters.refused++;
      return false;
    }
    line.items.push({ message, sinceMs: nowMs });
    line.bytes += message.length;
    return true;
  }

  /** Drops what is too old and not begun. */
  expire(nowMs: number): void {
    for (const line of this.#lines) this.#expire(line, nowMs);
  }

  #expire(line: Line, nowMs: number): void {
    const { maxAgeMs } = line.rules;
    if (maxAgeMs === undefined) return;
    for (let first = line.first; first && line.sent === 0; first = line.first) {
      if (nowMs - first.sinceMs <= maxAgeMs) return;
      line.drop();
      line.counters.expired++;
    }
  }

  /** The next bytes for the wire, about `room` of them; undefined when nothing waits. */
  take(room: number, nowMs: number): Bytes | undefined {
    const chosen: { line: Line; message: Bytes; from: number }[] = [];
    let size = 0;
    for (const line of this.#lines) {
      this.#expire(line, nowMs);
      for (let first = line.first; first && size < room; first = line.first) {
        const { message } = first;
        chosen.push({ line, message, from: line.sent });
        const length = Math.min(FRAGMENT_BYTES, message.length - line.sent);
        size += FRAME_HEAD_BYTES + length;
        if (line.sent + length < message.length) {
          line.sent += length;
          continue;
        }
        line.drop();
        line.counters.sentMessages++;
        line.counters.sentBytes += message.length;
        this.#expire(line, nowMs);
      }
      if (size >= room) break;
    }
    if (chosen.length === 0) return undefined;
    const out = new Uint8Array(size);
    let at = 0;
    for (const { line, message, from } of chosen)
      at = writeFragment(out, at, line.rules.id, message, from);
    return out;
  }

  /** Forgets everything, counting it as expired: the link is gone. */
  clear(): void {
    for (const line of this.#lines)
      while (line.first) {
        line.drop();
        line.counters.expired++;
      }
  }
}
