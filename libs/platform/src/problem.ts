/**
 * RFC 9457 problem details: the one error shape of every HTTP answer. A `SeeleError` carries its own
 * status, code and fix; whatever else escapes becomes HTTP_INTERNAL without its words, which may
 * hold what a client must not see (they are in the log).
 */
import { type SeeleError, isSeeleError } from '#libs/kernel';
import { platformError } from './errors.ts';

export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

export interface Problem {
  /** `urn:seele:error:<code>`. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** What was wrong in this occurrence. */
  readonly detail: string;
  readonly code: string;
  /** What the reader can do about it. */
  readonly fix: string;
  /** Request id, to find the occurrence in the log. */
  readonly instance?: string;
}

/** Status and words of errors that Fastify and Nest raise before our code runs. */
function frameworkError(error: unknown): SeeleError | undefined {
  const { code, statusCode, status, message } = error as {
    code?: unknown;
    statusCode?: unknown;
    status?: unknown;
    message?: unknown;
  };
  const words = typeof message === 'string' ? message : 'request refused';
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return platformError('HTTP_BODY_TOO_LARGE', words);
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return platformError('HTTP_MEDIA_TYPE', words);
  const answered = typeof statusCode === 'number' ? statusCode : status;
  if (answered === 404) return platformError('HTTP_NOT_FOUND', words);
  if (answered === 413) return platformError('HTTP_BODY_TOO_LARGE', words);
  if (answered === 415) return platformError('HTTP_MEDIA_TYPE', words);
  if (answered === 429) return platformError('HTTP_RATE_LIMITED', words);
  if (typeof answered === 'number' && answered >= 400 && answered < 500)
    return platformError('HTTP_BAD_REQUEST', words);
  return undefined;
}

/** The error a client may see for anything that was thrown. */
export function publicError(error: unknown): SeeleError {
  if (isSeeleError(error)) return error;
  const known = typeof error === 'object' && error !== null ? frameworkError(error) : undefined;
  return known ?? platformError('HTTP_INTERNAL', 'the request failed', { cause: error });
}

export function errorToProblem(error: unknown, requestId?: string): Problem {
  const shown = publicError(error);
  return {
    type: `urn:seele:error:${shown.code}`,
    title: shown.title,
    status: shown.status,
    detail: shown.message,
    code: shown.code,
    fix: shown.fix,
    ...(requestId !== undefined && { instance: requestId }),
  };
}
