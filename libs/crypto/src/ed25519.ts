/**
 * Ed25519 (RFC 8032 section 5.1), twice: natively for speed, and on @noble/curves as the reference it
 * is cross-checked with. Implementations differ on odd inputs, which would split a chain, so both
 * follow one strict rule:
 *
 * - the key and the R of the signature are canonical encodings (y < p) of points that are not of small
 *   order;
 * - S < L (no second signature for the same message);
 * - encode([S]B − [k]A) equals R byte for byte (the cofactorless equation).
 *
 * Verification runs on libsodium, twice as fast as node:crypto (55 against 110 µs), and on node:crypto
 * where there is no libsodium for the system. Many at once, of keys that sign again: `ed25519-tables.ts`.
 */
import {
  type KeyObject,
  type PrivateKeyInput,
  createPrivateKey,
  createPublicKey,
  sign,
  verify,
} from 'node:crypto';
import { ed25519 } from '@noble/curves/ed25519.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { type Bytes, bytesToHex, concatBytes, equalBytes, hexToBytes } from '#libs/kernel';
import { GenerationCache } from './generation-cache.ts';
import { sodium } from './sodium.ts';

type DerInput = Extract<PrivateKeyInput['key'], Uint8Array>;

const KEY_BYTES = 32;
export const ED25519_SIGNATURE_BYTES = 64;
/** DER heads of RFC 8410 keys; the raw key follows. */
const PKCS8_HEAD = hexToBytes('302e020100300506032b657004220420') as Bytes;
const SPKI_HEAD = hexToBytes('302a300506032b6570032100') as Bytes;
const KEY_CACHE_MAX = 65_536;

/** y coordinates, little-endian, of the eight points whose order divides 8 (sign bit cleared). */
const SMALL_ORDER_Y: ReadonlySet<string> = new Set([
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0000000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
]);

/** y < p = 2^255 − 19, ignoring the sign bit. */
function isCanonicalY(key: Bytes): boolean {
  if ((key[0] as number) < 0xed) return true;
  if (((key[31] as number) & 0x7f) !== 0x7f) return true;
  for (let i = 1; i < 31; i++) if (key[i] !== 0xff) return true;
  return false;
}

/** Refuses encodings the rule above excludes; whether the point is on the curve shows on use. */
export function isAcceptableKey(key: Bytes): boolean {
  if (key.length !== KEY_BYTES || !isCanonicalY(key)) return false;
  // Not `slice`: of a Buffer that is a view, and what is checked must not change.
  const y = new Uint8Array(key);
  y[31] = (y[31] as number) & 0x7f;
  return !SMALL_ORDER_Y.has(bytesToHex(y));
}

/** Node takes any byte array here; only its types insist on Buffer. */
const der = (head: Bytes, raw: Bytes) => concatBytes(head, raw) as DerInput;

export function importPrivateKey(seed: Bytes): KeyObject {
  return createPrivateKey({ key: der(PKCS8_HEAD, seed), format: 'der', type: 'pkcs8' });
}

export function ed25519PublicKey(seed: Bytes): string {
  const spki = createPublicKey(importPrivateKey(seed)).export({ format: 'der', type: 'spki' });
  return bytesToHex(spki.subarray(spki.length - KEY_BYTES));
}

export function ed25519Sign(key: KeyObject, message: Bytes): Bytes {
  const signature = sign(null, message, key);
  return new Uint8Array(signature.buffer, signature.byteOffset, signature.length).slice();
}

const rawKeys = new GenerationCache<Bytes | null>(KEY_CACHE_MAX);

/** The raw key that a hex text stands for; null when the rule excludes it. */
export function acceptableKey(publicKeyHex: string): Bytes | null {
  const known = rawKeys.get(publicKeyHex);
  if (known !== undefined) return known;
  const raw = hexToBytes(publicKeyHex);
  const key = raw !== undefined && isAcceptableKey(raw) ? raw : null;
  rawKeys.set(publicKeyHex, key);
  return key;
}

/** First bytes that encodings of small order, or not reduced, can have. */
const isOddStart = (first: number): boolean =>
  first <= 1 || first >= 0xec || first === 0x26 || first === 0xc7;

/** Whether a signature's length is right and its R not excluded. */
export function hasAcceptableForm(signature: Bytes): boolean {
  if (signature.length !== ED25519_SIGNATURE_BYTES) return false;
  return !isOddStart(signature[0] as number) || isAcceptableKey(signature.subarray(0, KEY_BYTES));
}

const publicKeys = new GenerationCache<KeyObject>(KEY_CACHE_MAX);

function importPublicKey(raw: Bytes, publicKeyHex: string): KeyObject {
  const known = publicKeys.get(publicKeyHex);
  if (known !== undefined) return known;
  const key = createPublicKey({ key: der(SPKI_HEAD, raw), format: 'der', type: 'spki' });
  publicKeys.set(publicKeyHex, key);
  return key;
}

/** On OpenSSL, by node:crypto. */
export function ed25519VerifyOpenSsl(
  publicKeyHex: string,
  message: Bytes,
  signature: Bytes,
): boolean {
  const raw = hasAcceptableForm(signature) ? acceptableKey(publicKeyHex) : null;
  return raw !== null && verify(null, message, importPublicKey(raw, publicKeyHex), signature);
}

/** Native verification with cached keys. False, never a throw, on any malformed input. */
export function ed25519Verify(publicKeyHex: string, message: Bytes, signature: Bytes): boolean {
  if (!sodium) return ed25519VerifyOpenSsl(publicKeyHex, message, signature);
  const raw = hasAcceptableForm(signature) ? acceptableKey(publicKeyHex) : null;
  return raw !== null && sodium.crypto_sign_verify_detached(signature, message, raw);
}

const littleEndian = (bytes: Bytes): bigint =>
  BigInt(`0x${bytesToHex(new Uint8Array(bytes).reverse()) || '0'}`);

/** The same rule written out on @noble/curves; the reference for tests and for browsers. */
export function ed25519VerifyReference(
  publicKeyHex: string,
  message: Bytes,
  signature: Bytes,
): boolean {
  const { Point } = ed25519;
  const raw = hexToBytes(publicKeyHex);
  if (raw?.length !== KEY_BYTES || signature.length !== ED25519_SIGNATURE_BYTES) return false;
  const s = littleEndian(signature.subarray(KEY_BYTES));
  if (s >= Point.Fn.ORDER) return false;
  try {
    const key = Point.fromBytes(raw, false);
    if (key.isSmallOrder()) return false;
    const r = signature.subarray(0, KEY_BYTES);
    if (!isAcceptableKey(r)) return false;
    const k = Point.Fn.create(littleEndian(sha512(concatBytes(r, raw, message))));
    const base = s === 0n ? Point.ZERO : Point.BASE.multiplyUnsafe(s);
    const expected = base.subtract(k === 0n ? Point.ZERO : key.multiplyUnsafe(k));
    return equalBytes(expected.toBytes(), r);
  } catch {
    return false; // Not a point on the curve.
  }
}
