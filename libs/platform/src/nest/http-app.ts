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
import {
  HELMET_OPTIONS,
  addLimits,
  addObservation,
  addOperations,
  bodyLimitOf,
  serverOptions,
} from '../http-parts.ts';
import { createNestLogger } from './nest-logger.ts';
import { ProblemFilter } from './problem-filter.ts';

export async function createNestHttpApp(options: HttpAppOptions): Promise<NestFastifyApplication> {
  const adapter = new FastifyAdapter(serverOptions(options));
  const app = await NestFactory.create<NestFastifyApplication>(options.module as Type, adapter, {
    logger: createNestLogger(options.logger),
    rawBody: true,
    abortOnError: false,
  });
  const fastify = adapter.getInstance<Fastify>();
  addObservation(fastify, options);
  addLimits(fastify, options);
  await app.register(helmet, HELMET_OPTIONS);
  app.useBodyParser('application/cbor', {
    bodyLimit: bodyLimitOf(options),
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
