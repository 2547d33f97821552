/**
 * HTTP with manners: a time limit per attempt, retries with back-off and jitter that honour
 * `Retry-After` and stay within a budget (a tenth of the requests), so that many clients do not bury
 * a service that is coming back. Signed requests are signed anew for every attempt.
 */
import { randomBytes } from 'node:crypto';
import { type SignRequestOptions, type Signer, signRequest } from '#libs/crypto';
import { sdkError } from './errors.ts';

export interface TransportOptions {
  /** Signs every request that changes something, and those sent with `sign: true`. */
  readonly signer?: Signer | undefined;
  /** Limit of one attempt in milliseconds, until the answer's headers. */
  readonly timeoutMs?: number;
  /** Attempts in all, the first included. */
  readonly attemptsMax?: number;
}

export interface SendOptions {
  /** False for requests that must not be sent twice. */
  readonly retry?: boolean;
  readonly sign?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface Transport {
  send(request: Request, options?: SendOptions): Promise<Response>;
}

const RETRIED = new Set([429, 502, 503, 504]);
const BACKOFF_FIRST_MS = 100;
const BACKOFF_MAX_MS = 5_000;
/** Every request earns a tenth of a retry; a quiet client starts with some. */
const BUDGET_EARNED = 0.1;
const BUDGET_MAX = 10;

export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done);
    if (signal?.aborted) done();
  });
}

function retryAfterMs(response: Response | undefined): number {
  const seconds = Number(response?.headers.get('retry-after') ?? '');
  return Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds * 1000, 30_000) : 0;
}

async function signed(request: Request, signer: Signer): Promise<Request> {
  const body = request.body ? new Uint8Array(await request.clone().arrayBuffer()) : undefined;
  const options: SignRequestOptions = {
    nowS: Math.floor(Date.now() / 1000),
    nonce: randomBytes(16).toString('hex'),
  };
  const parts = { method: request.method, url: request.url, headers: {}, ...(body && { body }) };
  const headers = new Headers(request.headers);
  for (const [name, value] of Object.entries(signRequest(parts, signer, options)))
    headers.set(name, value);
  return new Request(request.url, {
    method: request.method,
    headers,
    ...(body && { body }),
    signal: request.signal,
  });
}

export function createTransport(options: TransportOptions = {}): Transport {
  const { signer, timeoutMs = 30_000, attemptsMax = 5 } = options;
  let budget = BUDGET_MAX;

  const attempt = async (request: Request, send: SendOptions): Promise<Response> => {
    const changes = request.method !== 'GET' && request.method !== 'HEAD';
    const wanted = send.sign ?? (changes && signer !== undefined);
    if (wanted && !signer)
      throw sdkError('SDK_SIGNER_MISSING', `${request.method} ${request.url} must be signed`);
    const prepared = wanted && signer ? await signed(request.clone(), signer) : request.clone();
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), timeoutMs);
    const signals = send.signal ? [send.signal, limit.signal] : [limit.signal];
    try {
      return await fetch(prepared, { signal: AbortSignal.any(signals) });
    } catch (error) {
      if (send.signal?.aborted) throw error;
      const { origin } = new URL(request.url);
      if (limit.signal.aborted)
        throw sdkError('SDK_TIMEOUT', `${origin} did not answer in ${timeoutMs} ms`, {
          cause: error,
        });
      throw sdkError('SDK_UNREACHABLE', `${origin} cannot be reached`, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  };

  return {
    async send(request, send = {}) {
      budget = Math.min(BUDGET_MAX, budget + BUDGET_EARNED);
      for (let tries = 1; ; tries++) {
        let response: Response | undefined;
        let failure: unknown;
        try {
          response = await attempt(request, send);
          if (!RETRIED.has(response.status)) return response;
        } catch (error) {
          failure = error;
        }
        const mayRetry =
          send.retry !== false && tries < attemptsMax && budget >= 1 && !send.signal?.aborted;
        if (!mayRetry) {
          if (response) return response;
          throw failure;
        }
        budget -= 1;
        await response?.body?.cancel();
        const backoff = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** (tries - 1));
        const jittered = backoff * (0.5 + Math.random() / 2);
        await pause(Math.max(retryAfterMs(response), jittered), send.signal);
      }
    },
  };
}
