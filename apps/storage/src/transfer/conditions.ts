/** Conditional and range requests (RFC 9110 sections 13 and 14), as far as content by CID needs them. */
import type { IncomingMessage, ServerResponse } from 'node:http';

import type { ByteRange } from '../dag/archive.ts';

const weak = (tag: string): string => tag.replace(/^W\//, '');

/** True when `If-None-Match` names the tag of the answer: 304 is due. Weak comparison. */
export function isUnchanged(request: IncomingMessage, response: ServerResponse): boolean {
  const asked = request.headers['if-none-match'];
  const tag = weak(String(response.getHeader('etag') ?? ''));
  if (asked === undefined || tag === '') return false;
  return (
    asked.trim() === '*' || (asked.match(/(?:W\/)?"[^"]*"/g) ?? []).some((t) => weak(t) === tag)
  );
}

/**
 * The one range of bytes that is asked for; undefined for none, for several (they may be answered with
 * everything), for another unit, and when `If-Range` names something else.
 */
export function byteRangeOf(
  request: IncomingMessage,
  response: ServerResponse,
  sizeBytes: number,
): ByteRange | 'unsatisfiable' | undefined {
  const { range } = request.headers;
  const ifRange = request.headers['if-range'];
  if (range === undefined || request.method !== 'GET') return undefined;
  if (ifRange !== undefined && ifRange !== response.getHeader('etag')) return undefined;
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(range.trim());
  const [, first = '', last = ''] = match ?? [];
  if (first === '' && last === '') return undefined;
  if (first === '') {
    if (Number(last) === 0 || sizeBytes === 0) return 'unsatisfiable';
    return { start: Math.max(0, sizeBytes - Number(last)), end: sizeBytes };
  }
  const end = last === '' ? sizeBytes : Math.min(sizeBytes, Number(last) + 1);
  if (last !== '' && Number(last) < Number(first)) return undefined; // not valid: as if not asked
  return Number(first) >= sizeBytes ? 'unsatisfiable' : { start: Number(first), end };
}
