/**
 * Signed HTTP requests (RFC 9421) with account keys: who wrote this request, when, and that nothing
 * in it was changed. A verified signature is good once: put its nonce through a `NonceWindow`.
 *
 * @example
 * const headers = signRequest({ method: 'POST', url, body }, signer, { nowS, nonce });
 * const proof = verifyRequest({ method: 'POST', url, headers, body }, { nowS });
 * nonces.use(proof.publicKey, proof.nonce, proof.expiresS, nowS);
 */
import { parseDictionary, serializeDictionary } from 'structured-headers';
import { type AccountId, type Bytes, utf8 } from '#libs/kernel';
import { accountOf } from './accounts.ts';
import { contentDigest, verifyContentDigest } from './content-digest.ts';
import { cryptoError } from './errors.ts';
import {
  type HttpRequestParts,
  type SignatureParameters,
  headerOf,
  signatureBase,
  signatureParameters,
} from './http-signature-base.ts';
import { type ForeignSignatureVerifier, type Signer, verifyForeign } from './signatures.ts';

export const HTTP_SIGNATURE_LABEL = 'seele';
export const HTTP_SIGNATURE_LIFETIME_S = 60;
/** How far ahead of ours the signer's clock may be. */
export const HTTP_CLOCK_SKEW_S = 10;
const HEADER_MAX_CHARACTERS = 4096;
const NONCE = /^[\w+/=-]{16,64}$/;

export interface SignRequestOptions {
  /** Seconds since the Unix epoch. */
  readonly nowS: number;
  /** 16 to 64 characters of base64 or hex, fresh for every request. */
  readonly nonce: string;
  readonly lifetimeS?: number;
  /** Headers to cover beside @method, @target-uri and content-digest. */
  readonly alsoCover?: readonly string[];
}

/** Headers to add to a request so that it is signed. @throws HTTP_SIGNATURE_MALFORMED */
export function signRequest(
  request: HttpRequestParts,
  signer: Signer,
  options: SignRequestOptions,
): Record<string, string> {
  if (!NONCE.test(options.nonce))
    throw cryptoError(
      'HTTP_SIGNATURE_MALFORMED',
      'a nonce is 16 to 64 characters of base64 or hex',
    );
  const added: Record<string, string> = {};
  const components = ['@method', '@target-uri'];
  if (request.body !== undefined && request.body.length > 0) {
    added['content-digest'] = contentDigest(request.body);
    components.push('content-digest');
  }
  components.push(...(options.alsoCover ?? []).map((name) => name.toLowerCase()));
  const parameters = new Map<string, string | number>([
    ['created', options.nowS],
    ['expires', options.nowS + (options.lifetimeS ?? HTTP_SIGNATURE_LIFETIME_S)],
    ['nonce', options.nonce],
    ['alg', 'ed25519'],
    ['keyid', signer.publicKey],
  ]);
  const covered = { ...request, headers: { ...request.headers, ...added } };
  const signature = signer.signForeign(utf8(signatureBase(covered, components, parameters)));
  added['signature-input'] =
    `${HTTP_SIGNATURE_LABEL}=${signatureParameters(components, parameters)}`;
  added['signature'] = serializeDictionary({ [HTTP_SIGNATURE_LABEL]: signature });
  return added;
}

export interface ParsedSignature {
  readonly components: readonly string[];
  readonly parameters: SignatureParameters;
  readonly signature: Bytes;
}

const malformed = (what: string, cause?: unknown) =>
  cryptoError('HTTP_SIGNATURE_MALFORMED', what, { cause });

function dictionaryOf(request: HttpRequestParts, header: string) {
  const value = headerOf(request, header);
  if (value === undefined)
    throw cryptoError('HTTP_SIGNATURE_MISSING', `the request has no ${header} header`);
  if (value.length > HEADER_MAX_CHARACTERS) throw malformed(`${header} is too long`);
  try {
    return parseDictionary(value);
  } catch (cause) {
    throw malformed(`${header} cannot be read`, cause);
  }
}

/**
 * Reads the one signature of a request without judging it; with several, the one labelled `seele`.
 *
 * @throws HTTP_SIGNATURE_MISSING, HTTP_SIGNATURE_MALFORMED
 */
export function parseRequestSignature(request: HttpRequestParts): ParsedSignature {
  const inputs = dictionaryOf(request, 'signature-input');
  const label = inputs.has(HTTP_SIGNATURE_LABEL)
    ? HTTP_SIGNATURE_LABEL
    : inputs.keys().next().value;
  const input = inputs.get(label ?? '');
  const signature = dictionaryOf(request, 'signature').get(label ?? '')?.[0];
  if (!input || !Array.isArray(input[0])) throw malformed('Signature-Input is not an inner list');
  if (!(signature instanceof ArrayBuffer)) throw malformed('Signature is not bytes');
  const components = input[0].map(([name, parameters]) => {
    if (typeof name !== 'string') throw malformed('a covered component is not a string');
    if (parameters.size > 0) throw malformed(`parameters of component ${name} are not supported`);
    return name;
  });
  const parameters = new Map<string, string | number>();
  for (const [name, value] of input[1]) {
    if (typeof value !== 'string' && !Number.isSafeInteger(value))
      throw malformed(`parameter ${name} is neither a string nor a whole number`);
    parameters.set(name, value as string | number);
  }
  return { components, parameters, signature: new Uint8Array(signature) };
}

export interface VerifyRequestOptions {
  /** Seconds since the Unix epoch. */
  readonly nowS: number;
  readonly maxLifetimeS?: number;
  /** Headers that must be covered beside @method, @target-uri and content-digest. */
  readonly alsoRequire?: readonly string[];
  /** Replaces real signatures in simulations. */
  readonly verify?: ForeignSignatureVerifier;
}

export interface VerifiedRequest {
  readonly publicKey: string;
  readonly account: AccountId;
  readonly nonce: string;
  readonly createdS: number;
  readonly expiresS: number;
}

const insufficient = (what: string) => cryptoError('HTTP_SIGNATURE_INSUFFICIENT', what);

function checkCoverage(
  request: HttpRequestParts,
  parsed: ParsedSignature,
  alsoRequire: readonly string[],
): void {
  const covered = new Set(parsed.components);
  if (!covered.has('@method')) throw insufficient('@method is not covered');
  const wholeTarget = ['@authority', '@path', '@query'].every((name) => covered.has(name));
  if (!covered.has('@target-uri') && !wholeTarget)
    throw insufficient('the address is not covered (@target-uri)');
  for (const name of alsoRequire)
    if (!covered.has(name.toLowerCase())) throw insufficient(`${name} is not covered`);
  const hasBody = request.body !== undefined && request.body.length > 0;
  if (hasBody && !covered.has('content-digest'))
    throw insufficient('content-digest is not covered although there is a body');
  if (covered.has('content-digest'))
    verifyContentDigest(
      headerOf(request, 'content-digest') ?? '',
      request.body ?? new Uint8Array(),
    );
}

function wholeNumber(parameters: SignatureParameters, name: string): number {
  const value = parameters.get(name);
  if (typeof value !== 'number') throw insufficient(`the signature has no ${name}`);
  return value;
}

function words(parameters: SignatureParameters, name: string): string {
  const value = parameters.get(name);
  if (typeof value !== 'string') throw insufficient(`the signature has no ${name}`);
  return value;
}

function checkTimes(createdS: number, expiresS: number, options: VerifyRequestOptions): void {
  const expired = (what: string) =>
    cryptoError('HTTP_SIGNATURE_EXPIRED', what, {
      detail: { createdS, expiresS, nowS: options.nowS },
    });
  if (createdS > options.nowS + HTTP_CLOCK_SKEW_S) throw expired('signed in the future');
  if (expiresS < options.nowS) throw expired(`expired ${options.nowS - expiresS} s ago`);
  if (expiresS - createdS > (options.maxLifetimeS ?? HTTP_SIGNATURE_LIFETIME_S))
    throw expired('valid for longer than is allowed');
}

/**
 * Verifies the signature of a request and its body.
 *
 * @throws HTTP_SIGNATURE_MISSING, HTTP_SIGNATURE_MALFORMED, HTTP_SIGNATURE_INSUFFICIENT,
 *   HTTP_SIGNATURE_EXPIRED, HTTP_SIGNATURE_WRONG, HTTP_DIGEST_MISMATCH
 */
export function verifyRequest(
  request: HttpRequestParts,
  options: VerifyRequestOptions,
): VerifiedRequest {
  const parsed = parseRequestSignature(request);
  const { parameters } = parsed;
  const createdS = wholeNumber(parameters, 'created');
  const expiresS = wholeNumber(parameters, 'expires');
  const nonce = words(parameters, 'nonce');
  const publicKey = words(parameters, 'keyid');
  if (!NONCE.test(nonce)) throw malformed('a nonce is 16 to 64 characters of base64 or hex');
  if (!/^[0-9a-f]{66}$/.test(publicKey)) throw malformed('keyid is not a tagged public key in hex');
  if (words(parameters, 'alg') !== 'ed25519') throw malformed('alg is not ed25519');
  checkTimes(createdS, expiresS, options);
  checkCoverage(request, parsed, options.alsoRequire ?? []);
  const base = utf8(signatureBase(request, parsed.components, parameters));
  if (!(options.verify ?? verifyForeign)(publicKey, base, parsed.signature))
    throw cryptoError('HTTP_SIGNATURE_WRONG', `the signature is not of key ${publicKey}`);
  return { publicKey, account: accountOf(publicKey), nonce, createdS, expiresS };
}
