/**
 * Domain-separated signatures of accounts. What is signed is utf8(domain) ‖ 0x00 ‖ message, so a
 * signature made for one purpose is worthless for any other.
 */
import type { AccountId, Bytes } from '#libs/kernel';
import { KEY_TYPE_ED25519, keyPairFromSeed } from './accounts.ts';
import { ed25519Sign, ed25519Verify, ed25519VerifyReference, importPrivateKey } from './ed25519.ts';
import { cryptoError } from './errors.ts';
import { domainPrefix, separated } from './hashes.ts';
import { joined } from './joined-bytes.ts';

/** Something that holds a key and signs with it; the key itself never leaves it. */
export interface Signer {
  /** Tagged public key, hex. */
  readonly publicKey: string;
  readonly account: AccountId;
  /** Signs utf8(domain) ‖ 0x00 ‖ message. @throws CRYPTO_DOMAIN_INVALID */
  sign(domain: string, message: Bytes): Bytes;
  /**
   * Signs the bytes of another protocol as they are (an RFC 9421 signature base). Refuses whatever
   * could be read as one of our own domains. @throws CRYPTO_DOMAIN_INVALID
   */
  signForeign(message: Bytes): Bytes;
}

/** True when `signature` is the key's over the message in that domain; never throws. */
export type SignatureVerifier = (
  publicKey: string,
  domain: string,
  message: Bytes,
  signature: Bytes,
) => boolean;

/** True when `signature` is the key's over exactly these bytes; never throws. */
export type ForeignSignatureVerifier = (
  publicKey: string,
  message: Bytes,
  signature: Bytes,
) => boolean;

const DOMAIN = /^seele\/[a-z0-9-]+(\/[a-z0-9-]+)*$/;
const OWN_PREFIX = 'seele/';
const checkedDomains = new Set<string>();
const CHECKED_DOMAINS_MAX = 256;

/** @throws CRYPTO_DOMAIN_INVALID unless the domain reads seele/<what>/<version> */
export function checkDomain(domain: string): void {
  if (checkedDomains.has(domain)) return;
  if (!DOMAIN.test(domain))
    throw cryptoError('CRYPTO_DOMAIN_INVALID', `${JSON.stringify(domain)} is not a signing domain`);
  if (checkedDomains.size < CHECKED_DOMAINS_MAX) checkedDomains.add(domain);
}

/** Whether foreign bytes could be mistaken for a domain-separated message of ours. */
export function looksLikeOurs(message: Bytes): boolean {
  for (let i = 0; i < OWN_PREFIX.length; i++)
    if (message[i] !== OWN_PREFIX.charCodeAt(i)) return false;
  return true;
}

/** @throws CRYPTO_DOMAIN_INVALID */
export function checkForeign(message: Bytes): void {
  if (looksLikeOurs(message))
    throw cryptoError('CRYPTO_DOMAIN_INVALID', 'foreign message that begins like one of ours');
}

/** A signer over an ed25519 seed. @throws CRYPTO_KEY_INVALID */
export function createSigner(seed: Bytes): Signer {
  const { publicKey, account } = keyPairFromSeed(seed);
  const key = importPrivateKey(seed);
  return {
    publicKey,
    account,
    sign(domain, message) {
      checkDomain(domain);
      return ed25519Sign(key, separated(domain, message));
    },
    signForeign(message) {
      checkForeign(message);
      return ed25519Sign(key, message);
    },
  };
}

const rawKey = (publicKey: string): string | undefined =>
  publicKey.startsWith(KEY_TYPE_ED25519) ? publicKey.slice(KEY_TYPE_ED25519.length) : undefined;

/** Native verification; the one for hot paths. */
export const verifySignature: SignatureVerifier = (publicKey, domain, message, signature) => {
  const key = rawKey(publicKey);
  return key !== undefined && ed25519Verify(key, joined(domainPrefix(domain), message), signature);
};

/** The same rule on @noble/curves, an independent implementation. */
export const verifySignatureReference: SignatureVerifier = (
  publicKey,
  domain,
  message,
  signature,
) => {
  const key = rawKey(publicKey);
  return key !== undefined && ed25519VerifyReference(key, separated(domain, message), signature);
};

/** Verifies a signature over the bytes of another protocol; refuses bytes that look like ours. */
export const verifyForeign: ForeignSignatureVerifier = (publicKey, message, signature) => {
  const key = rawKey(publicKey);
  return key !== undefined && !looksLikeOurs(message) && ed25519Verify(key, message, signature);
};
