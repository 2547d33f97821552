/**
 * HTTP services: Nest on Fastify with helmet, body and rate limits, request ids, problem details,
 * health and metrics. Nest itself is loaded when the first app is created, so that programs which
 * only need settings or files do not wait for it.
 */
import type { Type } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { describeSystemError } from './errors.ts';
import type { Health } from './health.ts';
import type { Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';
import type { RateLimitOptions } from './rate-limit.ts';

export interface HttpAppOptions {
  /** The app's Nest root module (a class or a dynamic module). */
  readonly module: Type | object;
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

/** Creates the app; routes answer after `listenHttp`. */
export async function createHttpApp(options: HttpAppOptions): Promise<NestFastifyApplication> {
  const { createNestHttpApp } = await import('./nest/http-app.ts');
  return createNestHttpApp(options);
}

/**
 * Listens and returns the address, e.g. `http://127.0.0.1:7400`.
 *
 * @throws PLATFORM_PORT_IN_USE, PLATFORM_PERMISSION
 */
export async function listenHttp(
  app: NestFastifyApplication,
  at: { readonly host: string; readonly port: number },
): Promise<string> {
  try {
    await app.listen(at.port, at.host);
  } catch (error) {
    throw describeSystemError(error, `${at.host}:${at.port}`);
  }
  const address: unknown = app.getHttpServer().address();
  const port = (address as { port: number }).port;
  const host = at.host.includes(':') ? `[${at.host}]` : at.host;
  return `http://${host}:${port}`;
}
