/** HKDF with SHA-256 (RFC 5869): keys and streams of bytes from one secret. */
import { hkdfSync } from 'node:crypto';
import type { Bytes } from '#libs/kernel';
import { cryptoError } from './errors.ts';

const OUTPUT_MAX_BYTES = 255 * 32;

/**
 * `lengthBytes` bytes derived from `secret`; `info` names the purpose.
 *
 * @throws CRYPTO_LENGTH_INVALID for a length that RFC 5869 does not allow
 */
export function hkdfSha256(secret: Bytes, salt: Bytes, info: Bytes, lengthBytes: number): Bytes {
  if (!Number.isInteger(lengthBytes) || lengthBytes < 1 || lengthBytes > OUTPUT_MAX_BYTES)
    throw cryptoError('CRYPTO_LENGTH_INVALID', `${lengthBytes} bytes of HKDF output`);
  return new Uint8Array(hkdfSync('sha256', secret, salt, info, lengthBytes));
}
