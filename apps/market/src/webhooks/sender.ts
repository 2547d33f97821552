/**
 * One attempt to hand an event to a webhook: resolve once, connect to that very address, send, look at
 * the status. Nothing of the answer's body is kept, redirects are not followed, and the whole takes at
 * most the time limit.
 */
import { Resolver, lookup } from 'node:dns/promises';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import { isSeeleError } from '#libs/kernel';
import { type Target, type TargetPolicy, checkTarget, pinAddress } from './address-guard.ts';

export interface SendRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export type SendFailureCode =
  | 'WEBHOOK_URL'
  | 'WEBHOOK_ADDRESS'
  | 'WEBHOOK_DNS'
  | 'WEBHOOK_TLS'
  | 'WEBHOOK_UNREACHABLE'
  | 'WEBHOOK_TIMEOUT'
  | 'WEBHOOK_REDIRECT'
  | 'WEBHOOK_STATUS'
  | 'WEBHOOK_GONE'
  | 'WEBHOOK_SENDER';

export interface SendFailure {
  readonly is: 'failed';
  readonly code: SendFailureCode;
  readonly text: string;
  readonly status?: number;
  /** What the receiver asked for with 429 or 503. */
  readonly retryAfterMs?: number;
}

export type SendOutcome = { readonly is: 'delivered'; readonly status: number } | SendFailure;

export interface Sender {
  /** Never rejects. */
  send(request: SendRequest): Promise<SendOutcome>;
  stop(): Promise<void>;
}

export interface SenderOptions {
  readonly policy: TargetPolicy;
  /** Every address of a name. */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
  readonly timeoutMs?: number;
  /** Certificates to trust beside the system's, PEM; for tests. */
  readonly ca?: string;
}

export const SEND_TIMEOUT_MS = 10_000;
/** Read of an answer's body, for politeness only; then the connection is cut. */
const ANSWER_MAX_BYTES = 4 * 1024;
const ANSWER_HEADERS_MAX_BYTES = 8 * 1024;
const RETRY_AFTER_MAX_S = 3_600;
const DNS_TIMEOUT_MS = 2_000;

/** Name servers only: a hosts file may hold names of the inner network. `localhost` is the exception. */
async function resolveByDns(host: string): Promise<readonly string[]> {
  if (host === 'localhost') return (await lookup(host, { all: true })).map((a) => a.address);
  const resolver = new Resolver({ timeout: DNS_TIMEOUT_MS, tries: 2 });
  const found = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
  return found.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
}

const failed = (code: SendFailureCode, text: string, more: Partial<SendFailure> = {}) =>
  ({ is: 'failed', code, text, ...more }) as const satisfies SendFailure;

function judge(status: number, retryAfter: string | undefined): SendOutcome {
  if (status >= 200 && status < 300) return { is: 'delivered', status };
  if (status === 410) return failed('WEBHOOK_GONE', 'it answered 410 Gone', { status });
  if (status >= 300 && status < 400)
    return failed('WEBHOOK_REDIRECT', `it answered ${status}`, { status });
  const seconds = Number(retryAfter ?? '');
  return failed('WEBHOOK_STATUS', `it answered ${status}`, {
    status,
    ...(seconds > 0 && { retryAfterMs: Math.min(seconds, RETRY_AFTER_MAX_S) * 1000 }),
  });
}

function judgeError(error: unknown, timeoutMs: number): SendOutcome {
  const { code = '', name } = error as { readonly code?: string; readonly name?: string };
  if (name === 'AbortError' || name === 'TimeoutError' || code === 'ABORT_ERR')
    return failed('WEBHOOK_TIMEOUT', `no answer within ${timeoutMs} ms`);
  if (/CERT|TLS|SSL|ALTNAME|SELF_SIGNED|UNABLE_TO/.test(code))
    return failed('WEBHOOK_TLS', `TLS failed: ${code}`);
  return failed(
    'WEBHOOK_UNREACHABLE',
    `the connection failed: ${/^[A-Z_]+$/.exec(code)?.[0] ?? 'no answer that is HTTP'}`,
  );
}

function post(
  { url, host, port }: Target,
  address: string,
  { headers, body }: SendRequest,
  { timeoutMs = SEND_TIMEOUT_MS, ca }: SenderOptions,
): Promise<SendOutcome> {
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve) => {
    const request = send({
      // The address that was judged, not the name again: a second look-up could answer otherwise.
      host: address,
      port,
      ...(isIP(host) === 0 && { servername: host }),
      method: 'POST',
      path: url.pathname + url.search,
      headers: { ...headers, host: url.host, 'content-length': body.length, connection: 'close' },
      agent: false,
      maxHeaderSize: ANSWER_HEADERS_MAX_BYTES,
      signal: AbortSignal.timeout(timeoutMs),
      ...(ca !== undefined && { ca }),
    });
    request.on('error', (error) => resolve(judgeError(error, timeoutMs)));
    request.on('response', (response) => {
      resolve(judge(response.statusCode ?? 0, response.headers['retry-after']));
      let read = 0;
      response.on('data', (chunk: Buffer) => {
        read += chunk.length;
        if (read > ANSWER_MAX_BYTES) request.destroy();
      });
      response.on('error', () => request.destroy());
    });
    request.end(body);
  });
}

/** @returns nothing when it takes too long */
function within(ms: number, answer: Promise<readonly string[]>): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve([]), ms);
    answer.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

const TARGET_CODES = ['WEBHOOK_URL', 'WEBHOOK_ADDRESS', 'WEBHOOK_DNS'] as const;

/** Sends on the calling thread. */
export function createSender(options: SenderOptions): Sender {
  const resolve = options.resolve ?? resolveByDns;
  const { timeoutMs = SEND_TIMEOUT_MS } = options;
  const addressesOf = ({ host }: Target): Promise<readonly string[]> =>
    isIP(host) === 0 ? within(timeoutMs, resolve(host)) : Promise.resolve([host]);
  return {
    send: async (request) => {
      try {
        const target = checkTarget(request.url, options.policy);
        const address = pinAddress(target.host, await addressesOf(target), options.policy);
        return await post(target, address, request, options);
      } catch (error) {
        const known = isSeeleError(error) && TARGET_CODES.find((code) => code === error.code);
        if (known) return failed(known, error.message);
        return failed('WEBHOOK_DNS', 'its name cannot be resolved');
      }
    },
    stop: () => Promise.resolve(),
  };
}
