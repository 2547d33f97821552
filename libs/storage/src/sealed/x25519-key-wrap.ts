/** Keys wrapped to X25519 public keys, by HPKE (RFC 9180). */
import { hkdfSha256 } from '#libs/crypto';
import { bytesToHex, hexToBytes, utf8, type Bytes, type Randomness } from '#libs/kernel';

import { storageError } from '../errors.ts';
import { hpkeOpen, hpkeSeal, X25519_BYTES, x25519PublicKey } from './hpke.ts';
import type { KeyUnwrap, KeyWrap } from './key-wrap.ts';

const SCHEME = 'hpke-x25519-aes256gcm/1';
const PREFIX = 'x25519:';

export interface EncryptionKeyPair {
  readonly publicKey: Bytes;
  readonly secret: Bytes;
}

/**
 * The encryption key that belongs to an account: derived from the seed of its signing key, so there
 * is nothing more to keep, and one-way, so it tells nothing about that key.
 */
export function encryptionKeyPairFromSeed(seed: Bytes): EncryptionKeyPair {
  const secret = hkdfSha256(seed, new Uint8Array(), utf8('seele/encryption-key/1'), X25519_BYTES);
  return { secret, publicKey: x25519PublicKey(secret) };
}

/** `x25519:` and 64 hex digits. */
export function formatEncryptionKey(publicKey: Bytes): string {
  return PREFIX + bytesToHex(publicKey);
}

/** @throws STORAGE_KEY_INVALID */
export function parseEncryptionKey(text: string): Bytes {
  const key = text.startsWith(PREFIX) ? hexToBytes(text.slice(PREFIX.length)) : undefined;
  if (key?.length === X25519_BYTES) return key;
  throw storageError(
    'STORAGE_KEY_INVALID',
    `${JSON.stringify(text.slice(0, 90))} is not an encryption key (x25519:…)`,
  );
}

export function createX25519KeyWrap(recipient: Bytes, randomness: Randomness): KeyWrap {
  return {
    scheme: SCHEME,
    wrap: async (contentKey, binding) =>
      hpkeSeal(recipient, contentKey, { info: binding }, randomness),
  };
}

export function createX25519KeyUnwrap(secret: Bytes): KeyUnwrap {
  return {
    scheme: SCHEME,
    unwrap: async (wrapped, binding) => hpkeOpen(secret, wrapped, { info: binding }),
  };
}
