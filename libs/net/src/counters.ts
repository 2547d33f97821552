/** What a transport counts. */
import type { LinkEnd, ProtocolRules, ProtocolStats } from './transport.ts';

export type ProtocolCounters = {
  -readonly [K in keyof Omit<ProtocolStats, 'queuedBytes'>]: number;
};

const zeros = (): ProtocolCounters => ({
  sentMessages: 0,
  sentBytes: 0,
  receivedMessages: 0,
  receivedBytes: 0,
  refused: 0,
  expired: 0,
});

export class Counters {
  readonly ends: Partial<Record<LinkEnd, number>> = {};
  dials = 0;
  failedDials = 0;
  readonly #protocols = new Map<number, { name: string; counters: ProtocolCounters }>();

  constructor(protocols: readonly ProtocolRules[]) {
    for (const { id, name } of protocols) this.#protocols.set(id, { name, counters: zeros() });
  }

  of(protocol: number): ProtocolCounters {
    const known = this.#protocols.get(protocol);
    if (!known) throw new RangeError(`protocol ${protocol}`);
    return known.counters;
  }

  ended(end: LinkEnd): void {
    this.ends[end] = (this.ends[end] ?? 0) + 1;
  }

  protocols(queuedBytes: (protocol: number) => number): Record<string, ProtocolStats> {
    const out: Record<string, ProtocolStats> = {};
    for (const [id, { name, counters }] of this.#protocols)
      out[name] = { ...counters, queuedBytes: queuedBytes(id) };
    return out;
  }
}
