/**
 * SHA-256 (FIPS 180-4) on Node's one-shot `crypto.hash`. Measured on Node 24: asking for text and
 * unpacking it is three times as fast as asking for a Buffer, whose allocation dominates.
 */
import { hash } from 'node:crypto';
import { type Bytes, concatBytes, utf8 } from '#libs/kernel';
import { joined } from './joined-bytes.ts';

const SEPARATOR = new Uint8Array(1);
const DIGEST_BYTES = 32;

export function sha256(bytes: Bytes): Bytes {
  const out = new Uint8Array(DIGEST_BYTES);
  sha256Into(bytes, out, 0);
  return out;
}

/** Writes the digest into `out` at `offset`: no allocation, for trees that hash millions of nodes. */
export function sha256Into(bytes: Bytes, out: Bytes, offset: number): void {
  const digest = hash('sha256', bytes, 'binary');
  for (let i = 0; i < DIGEST_BYTES; i++) out[offset + i] = digest.charCodeAt(i);
}

/** The digest as text of one character (0–255) per byte: what is cheapest to make and to keep. */
export function sha256Text(bytes: Bytes): string {
  return hash('sha256', bytes, 'binary');
}

/** Lower-case hex of SHA-256 over the concatenated parts. */
export function sha256Hex(...parts: readonly Bytes[]): string {
  return hash('sha256', parts.length === 1 ? (parts[0] as Bytes) : concatBytes(...parts), 'hex');
}

const preparedDomains = new Map<string, Bytes>();
const PREPARED_DOMAINS_MAX = 256;

/** utf8(domain) ‖ 0x00. */
export function domainPrefix(domain: string): Bytes {
  const known = preparedDomains.get(domain);
  if (known) return known;
  const prefix = concatBytes(utf8(domain), SEPARATOR);
  if (preparedDomains.size < PREPARED_DOMAINS_MAX) preparedDomains.set(domain, prefix);
  return prefix;
}

/** utf8(domain) ‖ 0x00 ‖ message: what is hashed and signed, so that one purpose never fits another. */
export function separated(domain: string, message: Bytes): Bytes {
  return concatBytes(domainPrefix(domain), message);
}

/** Domain-separated SHA-256 in lower-case hex. */
export function hashOf(domain: string, bytes: Bytes): string {
  return hash('sha256', joined(domainPrefix(domain), bytes), 'hex');
}

/** SHA-256 of two parts, one behind the other, as text of one character (0–255) per byte. */
export function sha256TextOf(head: Bytes, rest: Bytes): string {
  return hash('sha256', joined(head, rest), 'binary');
}
