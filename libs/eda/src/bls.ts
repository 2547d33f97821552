/**
 * BLS signatures over BLS12-381 that many signers' can be added up to one (draft-irtf-cfrg-bls-signature,
 * suite BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_: public keys of 48 bytes, signatures of 96).
 *
 * Keys, signatures and sums are checked to lie in the right subgroup before anything is believed because of
 * them; what is added up need only lie on the curve, since its sum is checked. Adding up is
 * safe only for keys whose owner proved to hold the secret (`provePossession`), else one could choose a
 * key that cancels another: whoever takes a key into a set checks that proof, once.
 */
import blst from '@chainsafe/blst';
import { hkdfSha256, separated } from '#libs/crypto';
import { type Bytes, bytesToHex, hexToBytes, utf8 } from '#libs/kernel';
import { edaError } from './errors.ts';

export const BLS_PUBLIC_KEY_BYTES = 48;
export const BLS_SIGNATURE_BYTES = 96;
const POSSESSION_DOMAIN = 'seele/bls-possession/1';
const KEYS_CACHED = 4096;

export interface BlsSigner {
  /** 48 bytes as lower-case hex. */
  readonly publicKey: string;
  sign(domain: string, message: Bytes): Bytes;
}

/** A signer from at least 32 secret bytes. @throws EDA_BLS_INVALID */
export function createBlsSigner(seed: Bytes): BlsSigner {
  if (seed.length < 32)
    throw edaError('EDA_BLS_INVALID', `a BLS seed of ${seed.length} bytes, at least 32`);
  const secret = blst.SecretKey.fromKeygen(seed);
  const publicKey = bytesToHex(secret.toPublicKey().toBytes());
  return {
    publicKey,
    sign: (domain, message) => secret.sign(separated(domain, message)).toBytes(),
  };
}

const DERIVATION = 'seele/bls-key/1';
const SEED_BYTES = 32;

/** A validator may have so many BLS keys, one after the other. */
export const BLS_KEYS_MAX = 8;

/**
 * The BLS key of a validator, from the seed of its ed25519 key: one secret to keep. `number` counts the
 * keys it has had, from 0.
 */
export function deriveBlsSigner(seed: Bytes, number = 0): BlsSigner {
  const none = new Uint8Array(0);
  const name = number === 0 ? DERIVATION : `${DERIVATION}/${number}`;
  return createBlsSigner(hkdfSha256(seed, none, utf8(name), SEED_BYTES));
}

/** All BLS keys a validator may have. */
export function deriveBlsSigners(seed: Bytes): readonly BlsSigner[] {
  return Array.from({ length: BLS_KEYS_MAX }, (_, number) => deriveBlsSigner(seed, number));
}

const keys = new Map<string, blst.PublicKey>();

/** A key that lies in the subgroup and is not the neutral element; else undefined. */
function readKey(publicKey: string): blst.PublicKey | undefined {
  const known = keys.get(publicKey);
  if (known) return known;
  const bytes = hexToBytes(publicKey);
  if (bytes?.length !== BLS_PUBLIC_KEY_BYTES) return undefined;
  try {
    const key = blst.PublicKey.fromBytes(bytes, true);
    if (keys.size >= KEYS_CACHED) keys.clear();
    keys.set(publicKey, key);
    return key;
  } catch {
    return undefined;
  }
}

function readSignature(bytes: Bytes, inSubgroup: boolean): blst.Signature | undefined {
  if (bytes.length !== BLS_SIGNATURE_BYTES) return undefined;
  try {
    return blst.Signature.fromBytes(bytes, inSubgroup);
  } catch {
    return undefined;
  }
}

/** Whether the owners of all `publicKeys` signed this message; one key for an ordinary signature. */
export function verifyBls(
  publicKeys: readonly string[],
  domain: string,
  message: Bytes,
  signature: Bytes,
): boolean {
  const read = publicKeys.map(readKey);
  const sum = readSignature(signature, true);
  if (!sum || read.length === 0 || read.includes(undefined)) return false;
  const bytes = separated(domain, message);
  return blst.fastAggregateVerify(bytes, read as blst.PublicKey[], sum);
}

/**
 * Adds signatures over one message up to one, which `verifyBls` must then check.
 * @throws EDA_BLS_INVALID when one is not a point of the curve
 */
export function aggregateBls(signatures: readonly Bytes[]): Bytes {
  const read = signatures.map((signature) => readSignature(signature, false));
  if (read.length === 0 || read.includes(undefined))
    throw edaError('EDA_BLS_INVALID', 'not a list of BLS signatures');
  return blst.aggregateSignatures(read as blst.Signature[]).toBytes();
}

/** Shows that the signer holds the secret of its key: goes with the key into a validator set. */
export function provePossession(signer: BlsSigner): Bytes {
  return signer.sign(POSSESSION_DOMAIN, hexToBytes(signer.publicKey) as Bytes);
}

export function verifyPossession(publicKey: string, proof: Bytes): boolean {
  const bytes = hexToBytes(publicKey);
  return bytes !== undefined && verifyBls([publicKey], POSSESSION_DOMAIN, bytes, proof);
}
