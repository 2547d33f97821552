/** What every HTTP service of Seele has in common, with Nest or without it. */
import type { FastifyHelmetOptions } from '@fastify/helmet';
import type { FastifyInstance, FastifyReply, FastifyServerOptions } from 'fastify';
import { platformError } from './errors.ts';
import type { HttpServiceOptions } from './http-app-options.ts';
import type { Logger } from './logger.ts';
import { operationsAnswer } from './operations.ts';
import { PROBLEM_MEDIA_TYPE, errorToProblem } from './problem.ts';
import { createRateLimiter, retryAfterSeconds } from './rate-limit.ts';

const DEFAULT_BODY_LIMIT_BYTES = 1024 * 1024;
const REQUEST_TIMEOUT_MS = 30_000;
const OPERATIONS_PATHS = ['/health/live', '/health/ready', '/metrics'] as const;

/**
 * Routes check what they get by standard schemas (zod). Without this Fastify loads and sets up AJV and
 * its serializer in every process, a tenth of what its start costs.
 */
const refuseSchema = (): never => {
  throw new TypeError('routes have no JSON schemas here');
};
const noJsonSchemas = { buildValidator: () => refuseSchema, buildSerializer: () => refuseSchema };

export const bodyLimitOf = ({ bodyLimitBytes }: HttpServiceOptions): number =>
  bodyLimitBytes ?? DEFAULT_BODY_LIMIT_BYTES;

export function serverOptions(options: HttpServiceOptions) {
  let lastId = 0;
  const prefix = Math.floor(Date.now()).toString(36);
  return {
    bodyLimit: bodyLimitOf(options),
    // Bounds how long a slow client may take to send a request, not how long an answer streams.
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: 0,
    forceCloseConnections: true,
    requestIdHeader: false,
    genReqId: () => `${prefix}-${(++lastId).toString(36)}`,
    routerOptions: { maxParamLength: 256 },
    schemaController: { compilersFactory: noJsonSchemas },
    ...(options.trustProxy === true && { trustProxy: true }),
  } satisfies FastifyServerOptions;
}

/** Health and metrics answer before any limit: they must work when everything else is refused. */
export function addOperations(fastify: FastifyInstance, options: HttpServiceOptions): void {
  for (const path of OPERATIONS_PATHS)
    fastify.get(path, async (_request, reply) => {
      const answer = await operationsAnswer(options, path);
      return reply
        .status(answer.status)
        .header('content-type', answer.contentType)
        .send(answer.body);
    });
}

export function addLimits(fastify: FastifyInstance, { rateLimit }: HttpServiceOptions): void {
  if (rateLimit === undefined) return;
  const limiter = createRateLimiter(rateLimit);
  fastify.addHook('onRequest', async (request, reply) => {
    if ((OPERATIONS_PATHS as readonly string[]).includes(request.url)) return;
    const waitMs = limiter.take(request.ip, performance.now());
    if (waitMs === 0) return;
    const error = platformError('HTTP_RATE_LIMITED', `more than ${rateLimit.perSecond} requests/s`);
    await reply
      .status(429)
      .header('retry-after', String(retryAfterSeconds(waitMs, Math.random())))
      .header('content-type', PROBLEM_MEDIA_TYPE)
      .send(JSON.stringify(errorToProblem(error, request.id)));
  });
}

export function addObservation(fastify: FastifyInstance, options: HttpServiceOptions): void {
  const seconds = options.metrics.histogram(
    'seele_http_request_seconds',
    'Time to answer an HTTP request',
    undefined,
    ['method', 'route', 'status'],
  );
  fastify.addHook('onRequest', async (request, reply) => {
    reply.header('x-request-id', request.id);
  });
  fastify.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'unknown';
    const status = reply.statusCode;
    const elapsedMs = reply.elapsedTime;
    seconds.observe({ method: request.method, route, status: String(status) }, elapsedMs / 1000);
    options.logger.debug(
      { requestId: request.id, method: request.method, route, status, elapsedMs },
      'answered',
    );
  });
}

/** Headers that tell browsers what a page of ours may do. */
export const HELMET_OPTIONS = {
  // The API page at /docs loads its own scripts and inline styles, nothing from elsewhere.
  contentSecurityPolicy: {
    directives: {
      defaultSrc: ["'self'"],
      styleSrc: ["'self'", "'unsafe-inline'"],
      imgSrc: ["'self'", 'data:'],
      scriptSrc: ["'self'"],
      upgradeInsecureRequests: null,
    },
  },
} satisfies FastifyHelmetOptions;

/** Refusals that time alone may cure. */
const isPassing = (status: number): boolean => status === 429 || status === 503;

/** Answers an error as RFC 9457 problem details and logs those that are ours. */
export function answerProblem(
  error: unknown,
  requestId: string,
  reply: Pick<FastifyReply, 'sent' | 'status' | 'header' | 'send'>,
  logger: Logger,
): void {
  const problem = errorToProblem(error, requestId);
  if (problem.status >= 500) logger.error({ err: error, requestId }, problem.title);
  if (reply.sent) return;
  const stated = (error as { detail?: { retryAfterSeconds?: unknown } } | undefined)?.detail
    ?.retryAfterSeconds;
  if (typeof stated === 'number') void reply.header('retry-after', String(stated));
  else if (isPassing(problem.status)) void reply.header('retry-after', '1');
  void reply.status(problem.status).header('content-type', PROBLEM_MEDIA_TYPE);
  void reply.send(JSON.stringify(problem));
}
