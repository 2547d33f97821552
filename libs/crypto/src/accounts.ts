/**
 * Keys and the accounts they control. A public key is tagged with its type (01 = ed25519), so other
 * schemes can join later; an account is the hash of the tagged key.
 */
import {
  type AccountId,
  type Bytes,
  type Randomness,
  hexToBytes,
  madeOnce,
  utf8,
} from '#libs/kernel';
import { ed25519PublicKey } from './ed25519.ts';
import { cryptoError } from './errors.ts';
import { hashOf } from './hashes.ts';

export const ACCOUNT_DOMAIN = 'seele/account/1';
export const CONTRACT_DOMAIN = 'seele/contract/1';
/** First byte of a tagged public key, in hex. */
export const KEY_TYPE_ED25519 = '01';
/** Keys of the keyed-hash scheme for simulations; no real verifier accepts them. */
export const KEY_TYPE_KEYED_HASH = 'f0';
/** Bytes of an ed25519 seed. */
export const SEED_BYTES = 32;

const PUBLIC_KEY_BYTES = 33;

export interface KeyPair {
  /** Secret: the 32-byte ed25519 seed (RFC 8032 private key). */
  readonly seed: Bytes;
  /** Tagged public key, 66 hex digits. */
  readonly publicKey: string;
  readonly account: AccountId;
}

const accountOfKey = madeOnce((publicKey: string): AccountId => {
  const bytes = hexToBytes(publicKey);
  if (bytes?.length !== PUBLIC_KEY_BYTES)
    throw cryptoError('CRYPTO_KEY_INVALID', `${JSON.stringify(publicKey)} is not a public key`);
  return hashOf(ACCOUNT_DOMAIN, bytes);
});

/** The account a tagged public key controls. @throws CRYPTO_KEY_INVALID */
export function accountOf(publicKey: string): AccountId {
  return accountOfKey(publicKey);
}

/** The account of a system contract; no key controls it. */
export function contractAccount(name: string): AccountId {
  return hashOf(CONTRACT_DOMAIN, utf8(name));
}

/** @throws CRYPTO_KEY_INVALID when the seed is not 32 bytes */
export function keyPairFromSeed(seed: Bytes): KeyPair {
  if (seed.length !== SEED_BYTES)
    throw cryptoError('CRYPTO_KEY_INVALID', `a seed of ${seed.length} bytes, not ${SEED_BYTES}`);
  const publicKey = KEY_TYPE_ED25519 + ed25519PublicKey(seed);
  return { seed: seed.slice(), publicKey, account: accountOf(publicKey) };
}

export function generateKeyPair(randomness: Randomness): KeyPair {
  return keyPairFromSeed(randomness.bytes(SEED_BYTES));
}
