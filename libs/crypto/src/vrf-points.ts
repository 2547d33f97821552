/**
 * The group operations of the VRF on libsodium, fifteen times as fast as on @noble/curves. It refuses
 * some inputs (points outside the prime-order subgroup, results that are the identity) by throwing:
 * callers then ask the reference, which decides alone. So both always agree.
 */
import type { Bytes } from '#libs/kernel';
import { isAcceptableKey } from './ed25519.ts';
import { sodium } from './sodium.ts';

const POINT_BYTES = 32;
const out = (): Bytes => new Uint8Array(POINT_BYTES);

type Library = NonNullable<typeof sodium>;

export interface Points {
  /** A canonical point of prime order. */
  isPrimeOrder(point: Bytes): boolean;
  /** `scalar` is little-endian, 32 bytes, below the order; the point must have prime order. */
  times(point: Bytes, scalar: Bytes): Bytes;
  timesBase(scalar: Bytes): Bytes;
  minus(a: Bytes, b: Bytes): Bytes;
  /** Whether these bytes are a point of the curve; throws where only the reference has the say. */
  isPoint(encoded: Bytes): boolean;
  /** Eight times any canonical point. */
  timesCofactor(point: Bytes): Bytes;
}

/** libsodium reads encodings that are not reduced; the rule does not. */
function assertCanonical(point: Bytes): void {
  if (!isAcceptableKey(point)) throw new RangeError('not a canonical point');
}

function pointsOf(library: Library): Points {
  return {
    isPrimeOrder: (point) =>
      isAcceptableKey(point) && library.crypto_core_ed25519_is_valid_point(point),
    times(point, scalar) {
      const product = out();
      library.crypto_scalarmult_ed25519_noclamp(product, scalar, point);
      return product;
    },
    timesBase(scalar) {
      const product = out();
      library.crypto_scalarmult_ed25519_base_noclamp(product, scalar);
      return product;
    },
    minus(a, b) {
      const difference = out();
      library.crypto_core_ed25519_sub(difference, a, b);
      return difference;
    },
    isPoint(encoded) {
      assertCanonical(encoded);
      try {
        // Of two canonical encodings it refuses only what does not lie on the curve.
        library.crypto_core_ed25519_add(out(), encoded, encoded);
        return true;
      } catch {
        return false;
      }
    },
    timesCofactor(point) {
      assertCanonical(point);
      let doubled = point;
      for (let i = 0; i < 3; i++) {
        const sum = out();
        library.crypto_core_ed25519_add(sum, doubled, doubled);
        doubled = sum;
      }
      return doubled;
    },
  };
}

/** Absent where there is no libsodium for the system. */
export const nativePoints: Points | undefined = sodium && pointsOf(sodium);
