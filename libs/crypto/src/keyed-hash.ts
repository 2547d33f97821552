/**
 * Stand-in for signatures in simulations: HMAC-SHA-256 under a secret the simulation holds, some
 * fifty times cheaper than a curve. Whoever has the secret can sign for anyone, so the keys carry a
 * type of their own (f0) that no real verifier accepts.
 */
import { type Bytes, concatBytes, equalBytes, utf8 } from '#libs/kernel';
import { KEY_TYPE_KEYED_HASH, accountOf } from './accounts.ts';
import { sha256, sha256Hex } from './hashes.ts';
import { type SignatureVerifier, type Signer, checkDomain, checkForeign } from './signatures.ts';

const FOREIGN = '';

const BLOCK_BYTES = 64;
const INNER_PAD = 0x36;
const OUTER_PAD = 0x5c;

type Tag = (publicKey: string, domain: string, message: Bytes) => Bytes;

/** HMAC (RFC 2104) from one-shot hashes: Node's Hmac object costs several times the hashing. */
function tagger(secret: Bytes): Tag {
  const key = secret.length > BLOCK_BYTES ? sha256(secret) : secret;
  const padded = (pad: number): Bytes =>
    Uint8Array.from({ length: BLOCK_BYTES }, (_, i) => (key[i] ?? 0) ^ pad);
  const inner = padded(INNER_PAD);
  const outer = padded(OUTER_PAD);
  return (publicKey, domain, message) => {
    const head = utf8(`${publicKey}\n${domain}\0`);
    return sha256(concatBytes(outer, sha256(concatBytes(inner, head, message))));
  };
}

/** A signer whose keys only `keyedHashVerifier` of the same secret knows. */
export function keyedHashSigner(secret: Bytes, seed: Bytes): Signer {
  const publicKey = KEY_TYPE_KEYED_HASH + sha256Hex(utf8('seele/simulated-key/1'), seed);
  const tag = tagger(secret);
  return {
    publicKey,
    account: accountOf(publicKey),
    sign(domain, message) {
      checkDomain(domain);
      return tag(publicKey, domain, message);
    },
    signForeign(message) {
      checkForeign(message);
      return tag(publicKey, FOREIGN, message);
    },
  };
}

/** Verifies what signers of the same secret made; every other key type is refused. */
export function keyedHashVerifier(secret: Bytes): SignatureVerifier {
  const tag = tagger(secret);
  return (publicKey, domain, message, signature) => {
    if (!publicKey.startsWith(KEY_TYPE_KEYED_HASH)) return false;
    return equalBytes(tag(publicKey, domain, message), signature);
  };
}
