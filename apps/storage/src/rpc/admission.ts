/** Who may call: POST only, no foreign web page, and the bearer of the token. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

import { rpcError } from '../errors.ts';

export interface Admission {
  /** @throws STORAGE_RPC_METHOD, STORAGE_RPC_ORIGIN, STORAGE_RPC_TOKEN */
  check(request: IncomingMessage): void;
}

export interface AdmissionOptions {
  readonly token: string;
  /** Origins of web pages that may call. */
  readonly origins: () => readonly string[];
}

const digest = (text: string) => createHash('sha256').update(text).digest();

function originOf(text: string): string {
  try {
    return new URL(text).origin;
  } catch {
    return 'null'; // what browsers send for opaque origins: never allowed
  }
}

export function createAdmission({ token, origins }: AdmissionOptions): Admission {
  // Equal lengths, so that the comparison takes the same time whatever is sent.
  const expected = digest(`Bearer ${token}`);
  return {
    check({ method, headers }) {
      if (method !== 'POST')
        throw rpcError('STORAGE_RPC_METHOD', `${method ?? ''} is not allowed, only POST`);
      for (const name of ['origin', 'referer'] as const) {
        const given = headers[name];
        if (given !== undefined && !origins().includes(originOf(given)))
          throw rpcError('STORAGE_RPC_ORIGIN', `${name} ${JSON.stringify(given.slice(0, 200))}`);
      }
      if (!timingSafeEqual(digest(headers.authorization ?? ''), expected))
        throw rpcError('STORAGE_RPC_TOKEN', 'the Authorization header has no valid bearer token');
    },
  };
}
