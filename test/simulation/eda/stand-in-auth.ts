/**
 * Signatures of the simulation: a token that only the holder of a key can make, known by identity. As
 * unforgeable as the real thing inside one process and free of arithmetic; the wire mode of the
 * simulation uses keyed hashes over real bytes instead.
 */
import type { Authenticator, BlsVotes, SignedKind, SignedMessages, Vote } from '#libs/eda';
import { signedBytes, signingDomain } from '#libs/eda';
import { hashOf, keyedHashSigner, keyedHashVerifier, sha256 } from '#libs/crypto';
import { type Bytes, concatBytes, equalBytes, hexToBytes, utf8 } from '#libs/kernel';

interface Token {
  readonly publicKey: string;
  readonly kind: SignedKind;
  readonly message: unknown;
}

/** As long as real ones, so that messages weigh what they would. */
const SIGNATURE_BYTES = 64;

const isVoteKind = (kind: SignedKind) => kind === 'prepare' || kind === 'commit';

function isSameVote(a: Vote, b: Vote): boolean {
  const isSlot = a.slot === b.slot && a.view === b.view && a.era === b.era;
  return isSlot && a.hash === b.hash && a.chain === b.chain;
}

const proofOf = (publicKey: string, alpha: Bytes): Bytes =>
  sha256(concatBytes(hexToBytes(publicKey) as Bytes, alpha));

const common = (publicKey: string) => ({
  prove(alpha: Bytes) {
    const proof = proofOf(publicKey, alpha);
    return { output: proof, proof };
  },
  verifyProof(key: string, alpha: Bytes, proof: Bytes) {
    return equalBytes(proofOf(key, alpha), proof) ? proof : undefined;
  },
  payloadRoot: (payload: Bytes) =>
    payload.length === 0 ? undefined : hashOf('seele/eda-payload/1', payload),
});

export interface AuthFactory {
  keyOf(index: number): string;
  /** Key of signatures that add up. */
  blsKeyOf(index: number): string;
  of(index: number): Authenticator;
}

const BLS_KEY_BYTES = 48;
const BLS_SIGNATURE_BYTES = 96;
const blsKeyOf = (index: number) => index.toString(16).padStart(2 * BLS_KEY_BYTES, '0');

/** Keyed hashes that add up by XOR: as good as BLS for who does not try to forge them. */
function addUp(signatures: readonly Bytes[]): Bytes {
  const sum = new Uint8Array(BLS_SIGNATURE_BYTES);
  for (const one of signatures)
    for (const [i, byte] of one.entries()) sum[i] = (sum[i] ?? 0) ^ byte;
  return sum;
}

function blsSignature(key: string, kind: SignedKind, bytes: Bytes): Bytes {
  const signature = new Uint8Array(BLS_SIGNATURE_BYTES);
  signature.set(sha256(concatBytes(utf8(`${key}/${kind}/`), bytes)));
  return signature;
}

const blsOf = (index: number): BlsVotes => ({
  signerOf: (key) =>
    key === blsKeyOf(index)
      ? (kind, message) => blsSignature(key, kind, signedBytes(kind, message))
      : undefined,
  add: addUp,
  verify: (keys, kind, message, signature) => {
    const bytes = signedBytes(kind, message);
    return equalBytes(addUp(keys.map((key) => blsSignature(key, kind, bytes))), signature);
  },
});

/** Tokens known by identity: for messages that stay objects. */
export function createTokenAuth(): AuthFactory {
  const tokens = new WeakMap<Bytes, Token>();
  let draws = 1;
  const keyOf = (index: number) => `01${index.toString(16).padStart(64, '0')}`;
  return {
    keyOf,
    blsKeyOf,
    of: (index) => {
      const publicKey = keyOf(index);
      return {
        ...common(publicKey),
        bls: blsOf(index),
        sign<K extends SignedKind>(kind: K, message: SignedMessages[K]) {
          const signature = new Uint8Array(SIGNATURE_BYTES);
          // Unlike one another, as real ones are.
          draws = Math.imul(draws ^ (draws >>> 15), 0x2c1b3c6d) + index + 1;
          new DataView(signature.buffer).setUint32(0, draws);
          tokens.set(signature, { publicKey, kind, message });
          return signature;
        },
        verify(key, kind, message, signature) {
          const token = tokens.get(signature);
          if (token?.publicKey !== key || token.kind !== kind) return false;
          if (token.message === message) return true;
          return isVoteKind(kind) && isSameVote(token.message as Vote, message as Vote);
        },
      };
    },
  };
}

/** Keyed hashes over canonical bytes: for messages that go through the codecs. */
export function createWireAuth(): AuthFactory {
  const secret = utf8('simulation');
  const verifier = keyedHashVerifier(secret);
  const signers = new Map<number, ReturnType<typeof keyedHashSigner>>();
  const signerOf = (index: number) => {
    const known = signers.get(index) ?? keyedHashSigner(secret, utf8(`validator ${index}`));
    signers.set(index, known);
    return known;
  };
  return {
    keyOf: (index) => signerOf(index).publicKey,
    blsKeyOf,
    of: (index) => {
      const signer = signerOf(index);
      return {
        ...common(signer.publicKey),
        bls: blsOf(index),
        sign: (kind, message) => signer.sign(signingDomain(kind), signedBytes(kind, message)),
        verify: (key, kind, message, signature) =>
          verifier(key, signingDomain(kind), signedBytes(kind, message), signature),
      };
    },
  };
}
