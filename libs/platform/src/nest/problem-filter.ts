import { type ArgumentsHost, Catch, type ExceptionFilter } from '@nestjs/common';
import type { Logger } from '../logger.ts';
import { PROBLEM_MEDIA_TYPE, errorToProblem } from '../problem.ts';

interface Reply {
  readonly sent: boolean;
  status(code: number): Reply;
  header(name: string, value: string): Reply;
  send(body: unknown): void;
}

/** Refusals that time alone may cure. */
const isPassing = (status: number): boolean => status === 429 || status === 503;

/** Answers every thrown error as RFC 9457 problem details and logs those that are ours. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const reply = http.getResponse<Reply>();
    const { id } = http.getRequest<{ id: string }>();
    const problem = errorToProblem(error, id);
    if (problem.status >= 500) this.#logger.error({ err: error, requestId: id }, problem.title);
    if (reply.sent) return;
    const stated = (error as { detail?: { retryAfterSeconds?: unknown } } | undefined)?.detail
      ?.retryAfterSeconds;
    if (typeof stated === 'number') reply.header('retry-after', String(stated));
    else if (isPassing(problem.status)) reply.header('retry-after', '1');
    reply.status(problem.status).header('content-type', PROBLEM_MEDIA_TYPE);
    reply.send(JSON.stringify(problem));
  }
}
