/** What an HTTP service of Seele is made of. */
import type { Type } from '@nestjs/common';
import type { Health } from './health.ts';
import type { Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';
import type { RateLimitOptions } from './rate-limit.ts';

export interface HttpServiceOptions {
  readonly logger: Logger;
  readonly health: Health;
  readonly metrics: Metrics;
  /** Largest accepted request body; 1 MiB unless given. */
  readonly bodyLimitBytes?: number;
  /** Requests per client address; unlimited when left out. */
  readonly rateLimit?: RateLimitOptions;
  /** Believe X-Forwarded-For: only behind a proxy that sets it. */
  readonly trustProxy?: boolean;
}

export interface HttpAppOptions extends HttpServiceOptions {
  /** The app's Nest root module (a class or a dynamic module). */
  readonly module: Type | object;
}
