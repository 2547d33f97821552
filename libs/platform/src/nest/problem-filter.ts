import { type ArgumentsHost, Catch, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { answerProblem } from '../http-parts.ts';
import type { Logger } from '../logger.ts';

/** Answers every thrown error as RFC 9457 problem details and logs those that are ours. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const { id } = http.getRequest<{ id: string }>();
    answerProblem(error, id, http.getResponse<FastifyReply>(), this.#logger);
  }
}
