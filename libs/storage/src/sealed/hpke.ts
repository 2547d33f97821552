/**
 * HPKE (RFC 9180), mode base, single shot: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and AES-GCM. One
 * message to one public key; whoever opens it learns nothing of who sent it.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  type KeyObject,
} from 'node:crypto';

import { concatBytes, utf8, type Bytes, type Randomness } from '#libs/kernel';

import { storageError } from '../errors.ts';

export const X25519_BYTES = 32;
const TAG_BYTES = 16;
const NONCE_BYTES = 12;
const NONE = new Uint8Array();
const PRIVATE_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex'); // RFC 8410, PKCS #8
const PUBLIC_PREFIX = Buffer.from('302a300506032b656e032100', 'hex'); // RFC 8410, SPKI

/** AEADs of RFC 9180 7.3 by their number, with the length of their key. AES-128 is for its vectors. */
const AEADS = {
  1: { cipher: 'aes-128-gcm', keyBytes: 16 },
  2: { cipher: 'aes-256-gcm', keyBytes: 32 },
} as const;
export type AeadId = keyof typeof AEADS;

const twoBytes = (value: number): Bytes => Uint8Array.of(value >> 8, value & 0xff);
const KEM_SUITE = concatBytes(utf8('KEM'), twoBytes(0x0020));
const suiteOf = (aead: AeadId): Bytes =>
  concatBytes(utf8('HPKE'), twoBytes(0x0020), twoBytes(0x0001), twoBytes(aead));

const hmac = (key: Bytes, ...parts: Bytes[]): Bytes => {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return mac.digest();
};
const labeledExtract = (suite: Bytes, salt: Bytes, label: string, secret: Bytes): Bytes =>
  hmac(salt, utf8('HPKE-v1'), suite, utf8(label), secret);
/** At most 32 bytes: one round of HKDF-Expand. */
const labeledExpand = (suite: Bytes, key: Bytes, label: string, info: Bytes, length: number) =>
  hmac(key, twoBytes(length), utf8('HPKE-v1'), suite, utf8(label), info, Uint8Array.of(1)).subarray(
    0,
    length,
  );

function privateKeyOf(secret: Bytes): KeyObject {
  const key = Buffer.concat([PRIVATE_PREFIX, secret]);
  return createPrivateKey({ key, format: 'der', type: 'pkcs8' });
}

/** The public key of an X25519 secret (both 32 bytes). */
export function x25519PublicKey(secret: Bytes): Bytes {
  const spki = createPublicKey(privateKeyOf(secret)).export({ format: 'der', type: 'spki' });
  return new Uint8Array(spki.subarray(PUBLIC_PREFIX.length));
}

/** Undefined for points of low order, which give every secret the same answer (RFC 7748 6.1). */
function sharedPoint(secret: Bytes, publicKey: Bytes): Bytes | undefined {
  try {
    const key = Buffer.concat([PUBLIC_PREFIX, publicKey]);
    const point = diffieHellman({
      privateKey: privateKeyOf(secret),
      publicKey: createPublicKey({ key, format: 'der', type: 'spki' }),
    });
    return point.every((byte) => byte === 0) ? undefined : point;
  } catch {
    return undefined;
  }
}

interface KeySchedule {
  readonly key: Bytes;
  readonly nonce: Bytes;
}

/** RFC 9180 4.1 ExtractAndExpand and 5.1 KeySchedule (mode base). */
function keySchedule(
  point: Bytes,
  ephemeral: Bytes,
  recipient: Bytes,
  info: Bytes,
  aead: AeadId,
): KeySchedule {
  const prk = labeledExtract(KEM_SUITE, NONE, 'eae_prk', point);
  const context = concatBytes(ephemeral, recipient);
  const shared = labeledExpand(KEM_SUITE, prk, 'shared_secret', context, 32);
  const suite = suiteOf(aead);
  const pskIdHash = labeledExtract(suite, NONE, 'psk_id_hash', NONE);
  const infoHash = labeledExtract(suite, NONE, 'info_hash', info);
  const schedule = concatBytes(Uint8Array.of(0), pskIdHash, infoHash);
  const secret = labeledExtract(suite, shared, 'secret', NONE);
  return {
    key: labeledExpand(suite, secret, 'key', schedule, AEADS[aead].keyBytes),
    nonce: labeledExpand(suite, secret, 'base_nonce', schedule, NONCE_BYTES),
  };
}

export interface HpkeContext {
  /** Bound into the key: both sides must know it. */
  readonly info: Bytes;
  /** Authenticated beside the message. Default none. */
  readonly aad?: Bytes;
  /** Default 2, AES-256-GCM. */
  readonly aead?: AeadId;
}

/**
 * Ephemeral public key (32 bytes), then the message and its tag.
 * @throws STORAGE_KEY_INVALID for a public key that is no usable point
 */
export function hpkeSeal(
  recipient: Bytes,
  message: Bytes,
  { info, aad = NONE, aead = 2 }: HpkeContext,
  randomness: Randomness,
): Bytes {
  const secret = randomness.bytes(X25519_BYTES);
  const point = recipient.length === X25519_BYTES ? sharedPoint(secret, recipient) : undefined;
  if (point === undefined)
    throw storageError('STORAGE_KEY_INVALID', 'the recipient’s key is not a usable X25519 key');
  const ephemeral = x25519PublicKey(secret);
  const { key, nonce } = keySchedule(point, ephemeral, recipient, info, aead);
  const cipher = createCipheriv(AEADS[aead].cipher, key, nonce);
  cipher.setAAD(aad);
  const sealed = [cipher.update(message), cipher.final(), cipher.getAuthTag()];
  return concatBytes(ephemeral, ...sealed);
}

/** The message, or undefined when it is not for this secret, or was changed, or bound elsewhere. */
export function hpkeOpen(
  secret: Bytes,
  sealed: Bytes,
  { info, aad = NONE, aead = 2 }: HpkeContext,
): Bytes | undefined {
  if (sealed.length < X25519_BYTES + TAG_BYTES) return undefined;
  const ephemeral = sealed.subarray(0, X25519_BYTES);
  const point = sharedPoint(secret, ephemeral);
  if (point === undefined) return undefined;
  const { key, nonce } = keySchedule(point, ephemeral, x25519PublicKey(secret), info, aead);
  const decipher = createDecipheriv(AEADS[aead].cipher, key, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(aad);
  decipher.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
  const body = decipher.update(sealed.subarray(X25519_BYTES, sealed.length - TAG_BYTES));
  try {
    return concatBytes(body, decipher.final());
  } catch {
    return undefined;
  }
}
