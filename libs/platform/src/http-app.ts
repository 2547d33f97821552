/**
 * HTTP services: Nest on Fastify with helmet, body and rate limits, request ids, problem details,
 * health and metrics. Nest itself is loaded when the first app is created, so that programs which
 * only need settings or files do not wait for it.
 */
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import { describeSystemError } from './errors.ts';
import type { HttpAppOptions } from './http-app-options.ts';

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
  app: Pick<NestFastifyApplication, 'listen' | 'getHttpServer'> | FastifyInstance,
  at: { readonly host: string; readonly port: number },
): Promise<string> {
  try {
    if ('getHttpServer' in app) await app.listen(at.port, at.host);
    else await app.listen(at);
  } catch (error) {
    throw describeSystemError(error, `${at.host}:${at.port}`);
  }
  const server: { address(): unknown } = 'getHttpServer' in app ? app.getHttpServer() : app.server;
  const address = server.address();
  const port = (address as { port: number }).port;
  const host = at.host.includes(':') ? `[${at.host}]` : at.host;
  return `http://${host}:${port}`;
}
