/**
 * Proof that a chain holds (or does not hold) a value: the value, its path in the state tree, the
 * header that names the tree's root and the certificate that makes the header final. Verifies offline
 * against the genesis alone.
 */
import { hashOf } from '#libs/crypto';
import {
  type Bytes,
  type CodecValue,
  byteString,
  bytesToHex,
  decodeWith,
  encodeWith,
  hexToBytes,
  optional,
  record,
  text,
} from '#libs/kernel';
import { stateProof as statePath, verifyStateProof as verifyStatePath } from '#libs/merkle';
import { type Certificate, type Header, certificate, header } from './block.ts';
import { isEdaCertificate, isSignedBySet } from './eda-certificate.ts';
import { type StateEntries, validatorsOf } from './eda-ordering.ts';
import { ledgerError } from './errors.ts';
import { GENESIS_DOMAIN, type Genesis, encodeGenesis } from './genesis.ts';
import type { VerifySignature } from './frames.ts';
import {
  CERTIFICATE_DOMAIN,
  headerHash,
  stateTreeKeyBytes,
  stateValueHashBytes,
} from './state-keys.ts';

/** A proof brings along every change of the validators since genesis. */
const PROOF_MAX_BYTES = 16 * 1024 * 1024;

export const stateProof = record({
  contract: text(64),
  key: byteString(256),
  /** Absent when the proof says that the key holds nothing. */
  value: optional(byteString(64 * 1024)),
  path: statePath,
  header,
  certificate,
});
export type StateProof = CodecValue<typeof stateProof>;

/** A genesis may hold a million allocations, and every certificate asks for its id. */
const knownIds = new WeakMap<Genesis, string>();

export function genesisId(genesis: Genesis): string {
  let id = knownIds.get(genesis);
  if (id === undefined) {
    id = hashOf(GENESIS_DOMAIN, encodeGenesis(genesis));
    knownIds.set(genesis, id);
  }
  return id;
}

/**
 * True when the header belongs to the chain of this genesis and the certificate makes it final. Block
 * 0 has no certificate: whoever wants to know its state runs the genesis.
 */
export function verifyCertifiedHeader(
  genesis: Genesis,
  value: Header,
  proof: Certificate,
  verifySignature: VerifySignature,
): boolean {
  if (value.chain !== genesisId(genesis)) return false;
  const { ordering } = genesis;
  if (ordering.kind === 'eda')
    return proof.kind === 'eda' && isEdaCertificate(ordering, value, proof, verifySignature);
  if (proof.kind !== 'solo') return false;
  const hash = hexToBytes(headerHash(value)) as Bytes;
  return verifySignature(ordering.sequencer, CERTIFICATE_DOMAIN, hash, proof.signature);
}

/**
 * The same for whoever holds the state of the chain: the sets of validators come from there, so a stored
 * certificate need not bring their changes along.
 */
export function isCertifiedIn(
  state: StateEntries,
  genesis: Genesis,
  value: Header,
  proof: Certificate,
  verifySignature: VerifySignature,
): boolean {
  const { ordering } = genesis;
  if (ordering.kind !== 'eda' || proof.kind !== 'eda' || proof.handovers !== undefined)
    return verifyCertifiedHeader(genesis, value, proof, verifySignature);
  if (value.chain !== genesisId(genesis)) return false;
  const set = validatorsOf(state, ordering, proof.era);
  return isSignedBySet(set, value, proof, verifySignature);
}

/**
 * Checks a proof against the genesis, offline. Returns what it proves.
 * @throws LEDGER_CERTIFICATE_INVALID, LEDGER_PROOF_INVALID
 */
export function verifyStateProof(
  genesis: Genesis,
  proof: StateProof,
  verifySignature: VerifySignature,
): { readonly value: Bytes | undefined; readonly height: number; readonly timeUs: number } {
  const { contract, key, value, path, header: certified } = proof;
  const { height, timeUs, stateRoot } = certified;
  if (!verifyCertifiedHeader(genesis, certified, proof.certificate, verifySignature))
    throw ledgerError('LEDGER_CERTIFICATE_INVALID', `header ${height} is not final on this chain`);
  const valueHash = value && bytesToHex(stateValueHashBytes(value));
  const treeKey = bytesToHex(stateTreeKeyBytes(contract, key));
  if (!verifyStatePath(stateRoot, treeKey, valueHash, path))
    throw ledgerError('LEDGER_PROOF_INVALID', `${contract} at height ${height} does not hold this`);
  return { value, height, timeUs };
}

export function encodeStateProof(proof: StateProof): Bytes {
  return encodeWith(stateProof, proof);
}

/** @throws KERNEL_CBOR_INVALID, KERNEL_CBOR_LIMIT or KERNEL_SHAPE */
export function decodeStateProof(bytes: Bytes): StateProof {
  return decodeWith(stateProof, bytes, { maxBytes: PROOF_MAX_BYTES });
}
