/**
 * An HTTP service on Fastify alone, for processes whose start must be quick: with everything that a Nest
 * app of ours has (`createHttpApp`), but routes are functions. Nest and what it needs are two thirds of
 * the modules of a process.
 */
import type { FastifyInstance } from 'fastify';
import { platformError } from './errors.ts';
import type { HttpServiceOptions } from './http-app-options.ts';

/**
 * Creates the service; `add` adds the routes, which answer after `listenHttp`. Bodies of
 * `application/cbor` arrive as bytes.
 */
export async function createHttpServer(
  options: HttpServiceOptions,
  add: (routes: FastifyInstance) => void,
): Promise<FastifyInstance> {
  const [{ fastify }, { default: helmet }, parts] = await Promise.all([
    import('fastify'),
    import('@fastify/helmet'),
    import('./http-parts.ts'),
  ]);
  const server = fastify(parts.serverOptions(options));
  parts.addObservation(server, options);
  parts.addLimits(server, options);
  await server.register(helmet, parts.HELMET_OPTIONS);
  server.addContentTypeParser(
    'application/cbor',
    { parseAs: 'buffer', bodyLimit: parts.bodyLimitOf(options) },
    (_request, body, done) => done(null, body),
  );
  server.setErrorHandler((error, request, reply) =>
    parts.answerProblem(error, request.id, reply, options.logger),
  );
  server.setNotFoundHandler((request, reply) => {
    const error = platformError('HTTP_NOT_FOUND', `Cannot ${request.method} ${request.url}`);
    parts.answerProblem(error, request.id, reply, options.logger);
  });
  add(server);
  parts.addOperations(server, options);
  return server;
}
