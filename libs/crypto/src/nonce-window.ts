/**
 * Remembers which signed requests were used until their signatures expire, so that none is taken
 * twice. Bounded: when full of unexpired nonces it refuses new ones rather than forget old ones.
 */
import { cryptoError } from './errors.ts';

export interface NonceWindow {
  readonly size: number;
  /**
   * Takes a nonce once.
   *
   * @throws HTTP_SIGNATURE_REPLAYED when the key used this nonce already
   * @throws HTTP_NONCES_FULL when there is no room
   */
  use(publicKey: string, nonce: string, expiresS: number, nowS: number): void;
}

export function createNonceWindow(maxNonces: number): NonceWindow {
  const expiryOf = new Map<string, number>();
  let nextSweepS = 0;
  const sweep = (nowS: number) => {
    nextSweepS = nowS + 1;
    for (const [key, expiresS] of expiryOf) if (expiresS < nowS) expiryOf.delete(key);
  };
  return {
    get size() {
      return expiryOf.size;
    },
    use(publicKey, nonce, expiresS, nowS) {
      if (nowS >= nextSweepS) sweep(nowS);
      const key = `${publicKey} ${nonce}`;
      if (expiryOf.has(key))
        throw cryptoError('HTTP_SIGNATURE_REPLAYED', `nonce ${JSON.stringify(nonce)} was used`);
      if (expiryOf.size >= maxNonces)
        throw cryptoError('HTTP_NONCES_FULL', `${maxNonces} unexpired nonces are remembered`);
      expiryOf.set(key, expiresS);
    },
  };
}
