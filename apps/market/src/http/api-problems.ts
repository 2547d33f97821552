import { applyDecorators } from '@nestjs/common';
import { ApiResponse } from '@nestjs/swagger';
import { PROBLEM_MEDIA_TYPE } from '#libs/platform';

const WORDS: Readonly<Record<number, string>> = {
  400: 'Malformed request',
  401: 'Not signed, or the signature is not valid',
  402: 'Prepaid balance does not cover the order',
  403: 'Not yours',
  404: 'Unknown',
  409: 'Not possible in the present state',
  410: 'Not there any more',
  413: 'Over a size limit',
  429: 'Too many requests; Retry-After says when',
  503: 'Busy or a part is down; Retry-After says when',
};

/** Documents the statuses a route may answer with besides success, all as RFC 9457 problems. */
export function ApiProblems(...statuses: readonly number[]): MethodDecorator {
  return applyDecorators(
    ...statuses.map((status) =>
      ApiResponse({
        status,
        description: WORDS[status] ?? 'Refused',
        content: { [PROBLEM_MEDIA_TYPE]: { schema: { $ref: '#/components/schemas/Problem' } } },
      }),
    ),
  );
}
