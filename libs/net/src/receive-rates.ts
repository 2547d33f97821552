/** How fast one peer may send on each protocol: a token bucket with a burst of two seconds. */
import type { ProtocolRules } from './transport.ts';

const BURST_SECONDS = 2;

interface Bucket {
  readonly perMs: number;
  tokens: number;
  filledMs: number;
}

export class ReceiveRates {
  readonly #buckets = new Map<number, Bucket>();

  constructor(protocols: ReadonlyMap<number, ProtocolRules>, nowMs: number) {
    for (const { id, receiveBytesPerSecond: rate } of protocols.values())
      if (rate !== undefined)
        this.#buckets.set(id, {
          perMs: rate / 1000,
          tokens: rate * BURST_SECONDS,
          filledMs: nowMs,
        });
  }

  /** Counts what came and says for how long nothing more should be read. */
  pauseMs(protocol: number, bytes: number, nowMs: number): number {
    const bucket = this.#buckets.get(protocol);
    if (!bucket) return 0;
    const earned = (nowMs - bucket.filledMs) * bucket.perMs;
    bucket.tokens = Math.min(bucket.perMs * 1000 * BURST_SECONDS, bucket.tokens + earned) - bytes;
    bucket.filledMs = nowMs;
    return bucket.tokens >= 0 ? 0 : -bucket.tokens / bucket.perMs;
  }
}
