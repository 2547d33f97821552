/** Content-Digest (RFC 9530): the header that ties a body to a signature over headers. */
import { createHash, hash } from 'node:crypto';
import { ParseError, parseDictionary, serializeDictionary } from 'structured-headers';
import { type Bytes, equalBytes } from '#libs/kernel';
import { cryptoError } from './errors.ts';

const ALGORITHMS = { 'sha-256': 'sha256', 'sha-512': 'sha512' } as const;
const HEADER_MAX_CHARACTERS = 1024;

/** `sha-256=:…:` of the body. */
export function contentDigest(body: Bytes): string {
  const digest = Uint8Array.from(createHash('sha256').update(body).digest());
  return serializeDictionary({ 'sha-256': digest });
}

/**
 * Checks a body against its header; every sha-256 or sha-512 member must match and one must be there.
 *
 * @throws HTTP_SIGNATURE_MALFORMED when the header cannot be read or names no known algorithm
 * @throws HTTP_DIGEST_MISMATCH when a digest differs
 */
export function verifyContentDigest(header: string, body: Bytes): void {
  let known = 0;
  for (const [name, expected] of digests(header)) {
    known++;
    const actual = Uint8Array.from(hash(ALGORITHMS[name], body, 'buffer'));
    if (!equalBytes(actual, expected))
      throw cryptoError('HTTP_DIGEST_MISMATCH', `the body's ${name} is not the stated one`);
  }
  if (known === 0)
    throw cryptoError('HTTP_SIGNATURE_MALFORMED', 'Content-Digest names no known algorithm');
}

function digests(header: string): [keyof typeof ALGORITHMS, Bytes][] {
  if (header.length > HEADER_MAX_CHARACTERS)
    throw cryptoError('HTTP_SIGNATURE_MALFORMED', 'Content-Digest is too long');
  try {
    const out: [keyof typeof ALGORITHMS, Bytes][] = [];
    for (const [name, [value]] of parseDictionary(header)) {
      if (!Object.hasOwn(ALGORITHMS, name)) continue;
      if (!(value instanceof ArrayBuffer)) throw new ParseError(0, `${name} is not bytes`);
      out.push([name as keyof typeof ALGORITHMS, new Uint8Array(value)]);
    }
    return out;
  } catch (cause) {
    throw cryptoError('HTTP_SIGNATURE_MALFORMED', 'Content-Digest cannot be read', { cause });
  }
}
