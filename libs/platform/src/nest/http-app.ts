/** Nest on Fastify with everything each HTTP service of Seele has in common. Loaded on demand. */
import 'reflect-metadata';
import helmet from '@fastify/helmet';
import {
  StandardSchemaSerializerInterceptor,
  StandardSchemaValidationPipe,
  type Type,
} from '@nestjs/common';
import { NestFactory, Reflector } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance as Fastify } from 'fastify';
import { platformError } from '../errors.ts';
import type { HttpAppOptions } from '../http-app-options.ts';
import { operationsAnswer } from '../operations.ts';
import { PROBLEM_MEDIA_TYPE, errorToProblem } from '../problem.ts';
import { createRateLimiter, retryAfterSeconds } from '../rate-limit.ts';
import { createNestLogger } from './nest-logger.ts';
import { ProblemFilter } from './problem-filter.ts';

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

function createAdapter(options: HttpAppOptions): FastifyAdapter {
  let lastId = 0;
  const prefix = Math.floor(Date.now()).toString(36);
  return new FastifyAdapter({
    bodyLimit: options.bodyLimitBytes ?? DEFAULT_BODY_LIMIT_BYTES,
    // Bounds how long a slow client may take to send a request, not how long an answer streams.
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: 0,
    forceCloseConnections: true,
    requestIdHeader: false,
    genReqId: () => `${prefix}-${(++lastId).toString(36)}`,
    routerOptions: { maxParamLength: 256 },
    schemaController: { compilersFactory: noJsonSchemas },
    ...(options.trustProxy === true && { trustProxy: true }),
  });
}

/** Health and metrics answer before any limit: they must work when everything else is refused. */
function addOperations(fastify: Fastify, options: HttpAppOptions): void {
  for (const path of OPERATIONS_PATHS)
    fastify.get(path, async (_request, reply) => {
      const answer = await operationsAnswer(options, path);
      return reply
        .status(answer.status)
        .header('content-type', answer.contentType)
        .send(answer.body);
    });
}

function addLimits(fastify: Fastify, options: HttpAppOptions): void {
  const { rateLimit } = options;
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

function addObservation(fastify: Fastify, options: HttpAppOptions): void {
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

export async function createNestHttpApp(options: HttpAppOptions): Promise<NestFastifyApplication> {
  const adapter = createAdapter(options);
  const app = await NestFactory.create<NestFastifyApplication>(options.module as Type, adapter, {
    logger: createNestLogger(options.logger),
    rawBody: true,
    abortOnError: false,
  });
  const fastify = adapter.getInstance<Fastify>();
  addObservation(fastify, options);
  addLimits(fastify, options);
  await app.register(helmet, {
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
  });
  app.useBodyParser('application/cbor', {
    bodyLimit: options.bodyLimitBytes ?? DEFAULT_BODY_LIMIT_BYTES,
  });
  app.useGlobalPipes(
    new StandardSchemaValidationPipe({
      exceptionFactory: (issues) =>
        platformError(
          'HTTP_BAD_REQUEST',
          issues
            .slice(0, 5)
            .map(({ path, message }) => {
              const where = (path ?? [])
                .map((part) => String(typeof part === 'object' ? part.key : part))
                .join('.');
              return where === '' ? message : `${where}: ${message}`;
            })
            .join('; '),
        ),
    }),
  );
  app.useGlobalInterceptors(new StandardSchemaSerializerInterceptor(app.get(Reflector)));
  app.useGlobalFilters(new ProblemFilter(options.logger));
  addOperations(fastify, options);
  return app;
}
