/**
 * ECVRF-EDWARDS25519-SHA512-TAI (RFC 9381, suite 0x03): one output per key and input that nobody can
 * predict or choose, with a proof that everybody can check.
 *
 * Stricter than the RFC in one point, so that every implementation agrees on every proof: Gamma must
 * lie in the subgroup of prime order (a proof made by `vrfProve` always does). Points are multiplied by
 * libsodium where there is one; `vrfProveReference` and `vrfVerifyReference` are the same rule on
 * @noble/curves, used without it and for inputs that libsodium refuses.
 */
import { ed25519 } from '@noble/curves/ed25519.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { type Bytes, bytesToHex, concatBytes, equalBytes, hexToBytes } from '#libs/kernel';
import { KEY_TYPE_ED25519, SEED_BYTES } from './accounts.ts';
import { isAcceptableKey } from './ed25519.ts';
import { cryptoError } from './errors.ts';
import { type Points, nativePoints } from './vrf-points.ts';

const { Point } = ed25519;
type CurvePoint = InstanceType<typeof Point>;

const POINT_BYTES = 32;
const CHALLENGE_BYTES = 16;
const ORDER = Point.Fn.ORDER;
const COFACTOR = 8n;
const TRIES_MAX = 256;

/** Bytes of a proof: Gamma, the challenge and the response. */
export const VRF_PROOF_BYTES = POINT_BYTES + CHALLENGE_BYTES + 32;
/** Bytes of an output (beta). */
export const VRF_OUTPUT_BYTES = 64;

const SUITE = 0x03;
const octets = (...values: number[]): Bytes => Uint8Array.from(values);

const fromLittleEndian = (bytes: Bytes): bigint =>
  BigInt(`0x${bytesToHex(new Uint8Array(bytes).reverse())}`);

function toLittleEndian(value: bigint, length: number): Bytes {
  const hex = value.toString(16).padStart(length * 2, '0');
  return new Uint8Array(hexToBytes(hex) as Bytes).reverse();
}

const candidate = (publicKey: Bytes, alpha: Bytes, counter: number): Bytes =>
  sha512(concatBytes(octets(SUITE, 0x01), publicKey, alpha, octets(counter), octets(0x00))).slice(
    0,
    POINT_BYTES,
  );

/** Section 5.4.1.1, try and increment; the salt is the public key. */
function encodeToCurve(publicKey: Bytes, alpha: Bytes): CurvePoint {
  for (let counter = 0; counter < TRIES_MAX; counter++) {
    try {
      const point = Point.fromBytes(candidate(publicKey, alpha, counter), false).multiplyUnsafe(
        COFACTOR,
      );
      if (!point.is0()) return point;
    } catch {
      // Not a point: the next counter (one half of all strings are).
    }
  }
  throw cryptoError('CRYPTO_VRF_INPUT', 'no counter maps this input onto the curve');
}

/** Section 5.4.3: the first 16 bytes of a hash over five points. */
function challenge(...points: Bytes[]): Bytes {
  return sha512(concatBytes(octets(SUITE, 0x02), ...points, octets(0x00))).slice(
    0,
    CHALLENGE_BYTES,
  );
}

/** The same natively; throws where the reference has to look. */
function encodeNatively(points: Points, publicKey: Bytes, alpha: Bytes): Bytes {
  for (let counter = 0; counter < TRIES_MAX; counter++) {
    const encoded = candidate(publicKey, alpha, counter);
    if (points.isPoint(encoded)) return points.timesCofactor(encoded);
  }
  throw new RangeError('no point');
}

const outputOf = (timesCofactor: Bytes): Bytes =>
  sha512(concatBytes(octets(SUITE, 0x03), timesCofactor, octets(0x00)));

function secretScalar(seed: Bytes): { readonly scalar: bigint; readonly prefix: Bytes } {
  const digest = sha512(seed);
  const low = digest.slice(0, 32);
  low[0] = (low[0] as number) & 0xf8;
  low[31] = ((low[31] as number) & 0x7f) | 0x40;
  return { scalar: fromLittleEndian(low) % ORDER, prefix: digest.slice(32) };
}

export interface VrfResult {
  /** 64 bytes, the same for everybody who holds a valid proof. */
  readonly output: Bytes;
  /** 80 bytes. */
  readonly proof: Bytes;
}

/** What a native path gives, or undefined where the reference has to decide. */
function natively<T>(run: (points: Points) => T | undefined): T | undefined {
  try {
    return nativePoints && run(nativePoints);
  } catch {
    return undefined;
  }
}

const scalarOf = (value: bigint): Bytes => toLittleEndian(value, 32);
const reduced = (digest: Bytes): bigint => fromLittleEndian(digest) % ORDER;

/** Output and proof for `alpha` under an ed25519 seed. @throws CRYPTO_KEY_INVALID */
export function vrfProve(seed: Bytes, alpha: Bytes): VrfResult {
  if (seed.length !== SEED_BYTES)
    throw cryptoError('CRYPTO_KEY_INVALID', `a seed of ${seed.length} bytes, not ${SEED_BYTES}`);
  return natively((points) => proveNatively(points, seed, alpha)) ?? vrfProveReference(seed, alpha);
}

function proveNatively(points: Points, seed: Bytes, alpha: Bytes): VrfResult {
  const { scalar, prefix } = secretScalar(seed);
  const secret = scalarOf(scalar);
  const publicKey = points.timesBase(secret);
  const h = encodeNatively(points, publicKey, alpha);
  const gamma = points.times(h, secret);
  const k = reduced(sha512(concatBytes(prefix, h)));
  const nonce = scalarOf(k);
  const c = challenge(publicKey, h, gamma, points.timesBase(nonce), points.times(h, nonce));
  const s = (k + fromLittleEndian(c) * scalar) % ORDER;
  return {
    output: outputOf(points.timesCofactor(gamma)),
    proof: concatBytes(gamma, c, scalarOf(s)),
  };
}

/** `vrfProve` on @noble/curves. */
export function vrfProveReference(seed: Bytes, alpha: Bytes): VrfResult {
  const { scalar, prefix } = secretScalar(seed);
  const publicKey = Point.BASE.multiply(scalar).toBytes();
  const h = encodeToCurve(publicKey, alpha);
  const hBytes = h.toBytes();
  const gamma = h.multiply(scalar);
  // RFC 8032 nonce (section 5.4.2.2).
  const k = reduced(sha512(concatBytes(prefix, hBytes)));
  const c = challenge(
    publicKey,
    hBytes,
    gamma.toBytes(),
    Point.BASE.multiply(k).toBytes(),
    h.multiply(k).toBytes(),
  );
  const s = (k + fromLittleEndian(c) * scalar) % ORDER;
  return {
    output: outputOf(gamma.multiplyUnsafe(COFACTOR).toBytes()),
    proof: concatBytes(gamma.toBytes(), c, scalarOf(s)),
  };
}

interface Statement {
  readonly publicKey: Bytes;
  readonly alpha: Bytes;
  readonly gamma: Bytes;
  readonly c: Bytes;
  readonly s: bigint;
}

/** Reads what has the right form; undefined otherwise. */
function readStatement(publicKeyHex: string, alpha: Bytes, proof: Bytes): Statement | undefined {
  if (!publicKeyHex.startsWith(KEY_TYPE_ED25519) || proof.length !== VRF_PROOF_BYTES)
    return undefined;
  const publicKey = hexToBytes(publicKeyHex.slice(2));
  if (publicKey === undefined || !isAcceptableKey(publicKey)) return undefined;
  const gamma = proof.slice(0, POINT_BYTES);
  const c = proof.slice(POINT_BYTES, POINT_BYTES + CHALLENGE_BYTES);
  const s = fromLittleEndian(proof.subarray(POINT_BYTES + CHALLENGE_BYTES));
  return s < ORDER ? { publicKey, alpha, gamma, c, s } : undefined;
}

/**
 * The output that `proof` proves for `alpha` and a tagged public key (66 hex digits), or undefined
 * for any proof, key or input that does not hold. Never throws on what others sent.
 */
export function vrfVerify(publicKeyHex: string, alpha: Bytes, proof: Bytes): Bytes | undefined {
  const statement = readStatement(publicKeyHex, alpha, proof);
  return (
    statement &&
    (natively((points) => verifyNatively(points, statement)) ?? verifyByReference(statement))
  );
}

/** `vrfVerify` on @noble/curves. */
export function vrfVerifyReference(
  publicKeyHex: string,
  alpha: Bytes,
  proof: Bytes,
): Bytes | undefined {
  const statement = readStatement(publicKeyHex, alpha, proof);
  return statement && verifyByReference(statement);
}

/** Undefined for what does not hold, too: the reference has the last word on that. */
function verifyNatively(
  points: Points,
  { publicKey, alpha, gamma, c, s }: Statement,
): Bytes | undefined {
  if (!points.isPrimeOrder(gamma)) return undefined;
  const h = encodeNatively(points, publicKey, alpha);
  const response = scalarOf(s);
  const scalar = scalarOf(fromLittleEndian(c));
  const u = points.minus(points.timesBase(response), points.times(publicKey, scalar));
  const v = points.minus(points.times(h, response), points.times(gamma, scalar));
  const holds = equalBytes(challenge(publicKey, h, gamma, u, v), c);
  return holds ? outputOf(points.timesCofactor(gamma)) : undefined;
}

function verifyByReference(statement: Statement): Bytes | undefined {
  const { publicKey, alpha, c, s } = statement;
  try {
    const y = Point.fromBytes(publicKey, false);
    const gamma = Point.fromBytes(statement.gamma, false);
    if (y.isSmallOrder() || gamma.isSmallOrder() || !gamma.isTorsionFree()) return undefined;
    const h = encodeToCurve(publicKey, alpha);
    const scalar = fromLittleEndian(c);
    const times = (point: CurvePoint, by: bigint) =>
      by === 0n ? Point.ZERO : point.multiplyUnsafe(by);
    const u = times(Point.BASE, s).subtract(times(y, scalar));
    const v = times(h, s).subtract(times(gamma, scalar));
    const expected = challenge(publicKey, h.toBytes(), gamma.toBytes(), u.toBytes(), v.toBytes());
    if (!equalBytes(expected, c)) return undefined;
    return outputOf(gamma.multiplyUnsafe(COFACTOR).toBytes());
  } catch {
    return undefined; // Not a point on the curve.
  }
}
