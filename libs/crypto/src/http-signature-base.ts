/**
 * What an HTTP message signature signs (RFC 9421 section 2): one line per covered component, then the
 * signature's own parameters. Requests only; components with parameters of their own are refused.
 */
import { serializeInnerList } from 'structured-headers';
import { cryptoError } from './errors.ts';

export interface HttpRequestParts {
  readonly method: string;
  /** Absolute address as the client meant it: scheme, authority, path and query. */
  readonly url: string;
  /** Names in any case; several values of one name are joined with ", " (RFC 9421 2.1). */
  readonly headers?: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body?: Uint8Array | undefined;
}

/** Parameters of a signature in the order in which they are written. */
export type SignatureParameters = ReadonlyMap<string, string | number>;

function fieldValue(request: HttpRequestParts, name: string): string | undefined {
  const values: string[] = [];
  for (const [key, value] of Object.entries(request.headers ?? {})) {
    if (value === undefined || key.toLowerCase() !== name) continue;
    values.push(...(typeof value === 'string' ? [value] : value));
  }
  if (values.length === 0) return undefined;
  return values.map((v) => v.replace(/\s*\r?\n\s+/g, ' ').trim()).join(', ');
}

/** The value of a header as it is signed, or undefined when the request has none. */
export const headerOf = fieldValue;

function parsedUrl(url: string): URL {
  try {
    const parsed = new URL(url);
    parsed.hash = '';
    return parsed;
  } catch (cause) {
    throw cryptoError('HTTP_SIGNATURE_MALFORMED', `${JSON.stringify(url)} is not an address`, {
      cause,
    });
  }
}

function componentValue(request: HttpRequestParts, name: string): string {
  if (!name.startsWith('@')) {
    const value = fieldValue(request, name);
    if (value === undefined)
      throw cryptoError('HTTP_SIGNATURE_WRONG', `covered header ${name} is not in the request`);
    return value;
  }
  const url = parsedUrl(request.url);
  switch (name) {
    case '@method':
      return request.method;
    case '@target-uri':
      return url.href;
    case '@authority':
      return url.host;
    case '@scheme':
      return url.protocol.slice(0, -1);
    case '@request-target':
      return url.pathname + url.search;
    case '@path':
      return url.pathname;
    case '@query':
      return url.search === '' ? '?' : url.search;
    default:
      throw cryptoError('HTTP_SIGNATURE_MALFORMED', `component ${name} is not supported`);
  }
}

const COMPONENT = /^@?[a-z0-9!#$%&'*+.^_`|~-]+$/;

/** The inner list of covered components with its parameters: the value of Signature-Input. */
export function signatureParameters(
  components: readonly string[],
  parameters: SignatureParameters,
): string {
  return serializeInnerList([components.map((name) => [name, new Map()]), new Map(parameters)]);
}

/**
 * The signature base of a request.
 *
 * @throws HTTP_SIGNATURE_MALFORMED on unknown, repeated or badly written components
 * @throws HTTP_SIGNATURE_WRONG when a covered header is absent
 */
export function signatureBase(
  request: HttpRequestParts,
  components: readonly string[],
  parameters: SignatureParameters,
): string {
  if (new Set(components).size !== components.length)
    throw cryptoError('HTTP_SIGNATURE_MALFORMED', 'a component is covered twice');
  const lines = components.map((name) => {
    if (!COMPONENT.test(name))
      throw cryptoError('HTTP_SIGNATURE_MALFORMED', `${JSON.stringify(name)} is not a component`);
    const value = componentValue(request, name);
    if (/[\r\n]/.test(value))
      throw cryptoError('HTTP_SIGNATURE_MALFORMED', `component ${name} holds a line break`);
    return `"${name}": ${value}\n`;
  });
  return `${lines.join('')}"@signature-params": ${signatureParameters(components, parameters)}`;
}
