/**
 * Token buckets by key (client address, account, connection): so many requests per second on
 * average, with bursts. Bounded: the least recently used key is forgotten first, so a flood of
 * made-up keys costs memory for `keysMax` buckets and no more.
 */
export interface RateLimitOptions {
  /** Tokens added per second. */
  readonly perSecond: number;
  /** Most tokens a key can save up: the burst. */
  readonly burst: number;
  /** Most keys remembered. */
  readonly keysMax?: number;
}

export interface RateLimiter {
  /** Takes `cost` tokens; 0 when allowed, otherwise milliseconds until it would be. */
  take(key: string, nowMs: number, cost?: number): number;
  /**
   * Takes `cost` tokens in any case, going into debt; 0 while there is none, otherwise milliseconds
   * until it is paid. For what has happened already and can only be slowed down.
   */
  charge(key: string, nowMs: number, cost?: number): number;
  readonly size: number;
}

interface Bucket {
  tokens: number;
  atMs: number;
}

const DEFAULT_KEYS_MAX = 10_000;

export function createRateLimiter(options: RateLimitOptions): RateLimiter {
  const { perSecond, burst, keysMax = DEFAULT_KEYS_MAX } = options;
  const buckets = new Map<string, Bucket>();
  /** The key's bucket filled up to now, and remembered as the latest used. */
  const bucketAt = (key: string, nowMs: number): Bucket => {
    const bucket = buckets.get(key) ?? { tokens: burst, atMs: nowMs };
    const elapsedMs = Math.max(0, nowMs - bucket.atMs);
    bucket.tokens = Math.min(burst, bucket.tokens + (elapsedMs * perSecond) / 1000);
    bucket.atMs = Math.max(bucket.atMs, nowMs);
    buckets.delete(key);
    buckets.set(key, bucket);
    if (buckets.size > keysMax) buckets.delete(buckets.keys().next().value as string);
    return bucket;
  };
  const waitFor = (tokens: number): number => Math.ceil((tokens * 1000) / perSecond);
  return {
    get size() {
      return buckets.size;
    },
    take: (key, nowMs, cost = 1) => {
      const bucket = bucketAt(key, nowMs);
      if (bucket.tokens < cost) return waitFor(cost - bucket.tokens);
      bucket.tokens -= cost;
      return 0;
    },
    charge: (key, nowMs, cost = 1) => {
      const bucket = bucketAt(key, nowMs);
      bucket.tokens -= cost;
      return bucket.tokens >= 0 ? 0 : waitFor(-bucket.tokens);
    },
  };
}

/** Whole seconds for a Retry-After header, with up to a quarter of jitter so clients spread out. */
export function retryAfterSeconds(waitMs: number, jitter: number): number {
  return Math.max(1, Math.ceil((waitMs * (1 + jitter / 4)) / 1000));
}
