/**
 * Checks signed requests (RFC 9421) of one server: the address they were signed for is one of ours,
 * the signature is fresh, and its nonce was not used before.
 */
import { type VerifiedRequest, createNonceWindow, verifyRequest } from '#libs/crypto';
import type { Bytes, Clock } from '#libs/kernel';
import { platformError } from './errors.ts';
import type { Metrics } from './metrics.ts';

export interface RequestVerifierOptions {
  readonly clock: Clock;
  /** Public address when a proxy stands before the server, e.g. `https://market.example`. */
  readonly publicUrl?: string | undefined;
  /** Unexpired nonces remembered; beyond it signed requests are refused for a while. */
  readonly noncesMax?: number;
  /** Gets a gauge of the nonces remembered. */
  readonly metrics?: Metrics;
}

export interface IncomingSignedRequest {
  readonly method: string;
  /** Path and query as received. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body?: Bytes | undefined;
}

export type RequestVerifier = (request: IncomingSignedRequest) => VerifiedRequest;

const DEFAULT_NONCES_MAX = 200_000;
const US_PER_S = 1_000_000;
/** Hosts that can only mean this machine; any port, since the port is ours or we were not reached. */
const LOCAL_HOST = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/;

function originOf(host: string, publicUrl: string | undefined): string {
  if (publicUrl !== undefined && new URL(publicUrl).host === host) return new URL(publicUrl).origin;
  // A request signed for another server must not count here because somebody copied it over.
  if (LOCAL_HOST.test(host) || publicUrl === undefined) return `http://${host}`;
  throw platformError('HTTP_BAD_REQUEST', `this server is not ${JSON.stringify(host)}`);
}

/**
 * @returns a function that gives the proof of who signed, or throws HTTP_SIGNATURE_MISSING,
 *   HTTP_SIGNATURE_MALFORMED, HTTP_SIGNATURE_INSUFFICIENT, HTTP_SIGNATURE_EXPIRED,
 *   HTTP_SIGNATURE_WRONG, HTTP_SIGNATURE_REPLAYED, HTTP_DIGEST_MISMATCH or HTTP_NONCES_FULL
 */
export function createRequestVerifier(options: RequestVerifierOptions): RequestVerifier {
  const nonces = createNonceWindow(options.noncesMax ?? DEFAULT_NONCES_MAX);
  options.metrics?.gauge(
    'seele_http_nonces',
    'Nonces of signed requests that have not expired',
    () => nonces.size,
  );
  return ({ method, target, headers, body }) => {
    const nowS = Math.floor(options.clock.nowUs() / US_PER_S);
    const single: Record<string, string> = {};
    for (const [name, value] of Object.entries(headers))
      if (value !== undefined) single[name] = typeof value === 'string' ? value : value.join(', ');
    const url = originOf(single['host'] ?? '', options.publicUrl) + target;
    const proof = verifyRequest(
      { method, url, headers: single, ...(body !== undefined && { body }) },
      { nowS },
    );
    nonces.use(proof.publicKey, proof.nonce, proof.expiresS, nowS);
    return proof;
  };
}
