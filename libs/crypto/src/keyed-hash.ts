/**
 * Stand-in for signatures in simulations: HMAC-SHA-256 under a secret the simulation holds, some
 * fifty times cheaper than a curve. Whoever has the secret can sign for anyone, so the keys carry a
 * type of their own (f0) that no real verifier accepts.
 */
import { createHmac } from 'node:crypto';
import { type Bytes, equalBytes, utf8 } from '#libs/kernel';
import { KEY_TYPE_KEYED_HASH, accountOf } from './accounts.ts';
import { sha256Hex } from './hashes.ts';
import { type SignatureVerifier, type Signer, checkDomain, checkForeign } from './signatures.ts';

const FOREIGN = '';

function tag(secret: Bytes, publicKey: string, domain: string, message: Bytes): Bytes {
  const hmac = createHmac('sha256', secret);
  hmac.update(`${publicKey}\n${domain}\0`).update(message);
  return Uint8Array.from(hmac.digest());
}

/** A signer whose keys only `keyedHashVerifier` of the same secret knows. */
export function keyedHashSigner(secret: Bytes, seed: Bytes): Signer {
  const publicKey = KEY_TYPE_KEYED_HASH + sha256Hex(utf8('seele/simulated-key/1'), seed);
  return {
    publicKey,
    account: accountOf(publicKey),
    sign(domain, message) {
      checkDomain(domain);
      return tag(secret, publicKey, domain, message);
    },
    signForeign(message) {
      checkForeign(message);
      return tag(secret, publicKey, FOREIGN, message);
    },
  };
}

/** Verifies what signers of the same secret made; every other key type is refused. */
export function keyedHashVerifier(secret: Bytes): SignatureVerifier {
  return (publicKey, domain, message, signature) => {
    if (!publicKey.startsWith(KEY_TYPE_KEYED_HASH)) return false;
    return equalBytes(tag(secret, publicKey, domain, message), signature);
  };
}
