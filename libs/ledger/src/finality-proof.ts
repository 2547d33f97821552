/**
 * How strongly a block is final, for who believes nothing but the genesis: the validators' attestations to a
 * checkpoint as one BLS signature, the checkpoint's certified header, and the headers from the block to it.
 */
import { aggregateShape, aggregateWeight } from '#libs/eda';
import {
  type Bytes,
  type CodecValue,
  type KeyValueReader,
  decodeWith,
  encodeWith,
  list,
  record,
} from '#libs/kernel';
import { certificate, header } from './block.ts';
import { certifyingSet } from './eda-certificate.ts';
import { ledgerError } from './errors.ts';
import type { VerifySignature } from './frames.ts';
import type { Genesis } from './genesis.ts';
import { withHandovers } from './handovers.ts';
import { readHeader } from './open-chain.ts';
import { headerHash } from './state-keys.ts';
import { genesisId } from './state-proof.ts';

/** Headers from a block to the checkpoint after it. */
export const FINALITY_HEADERS_MAX = 256;
const PROOF_MAX_BYTES = 16 * 1024 * 1024;

export const finalityProof = record({
  /** From the block on, each the parent of the next; the last one is the checkpoint. */
  headers: list(header, FINALITY_HEADERS_MAX),
  /** Of the checkpoint. */
  certificate,
  /** Of the attestations to its cut. */
  aggregate: aggregateShape,
});
export type FinalityProof = CodecValue<typeof finalityProof>;

export interface Finality {
  readonly height: number;
  /** Height that was attested to. */
  readonly checkpoint: number;
  /** Weight that must have lied, beyond what the certificate takes, for the block to be undone. */
  readonly weight: number;
  /** Weight of all validators. */
  readonly total: number;
}

/** The proof for a block by a checkpoint at or after it, from a chain's store; undefined when not all is kept. */
export function findFinalityProof(
  store: KeyValueReader,
  height: number,
  checkpoint: { readonly height: number; readonly aggregate: FinalityProof['aggregate'] },
): FinalityProof | undefined {
  const { height: last, aggregate } = checkpoint;
  const stored = readHeader(store, last);
  if (!stored || last < height || last - height >= FINALITY_HEADERS_MAX) return undefined;
  const headers: FinalityProof['headers'][number][] = [];
  for (let at = height; at <= last; at++) {
    const found = readHeader(store, at);
    if (!found) return undefined;
    headers.push(found.header);
  }
  return { headers, certificate: withHandovers(store, stored.certificate), aggregate };
}

/**
 * Checks a proof against the genesis, offline. Returns what it proves.
 * @throws LEDGER_CERTIFICATE_INVALID, LEDGER_PROOF_INVALID
 */
export function verifyFinalityProof(
  genesis: Genesis,
  { headers, certificate: proof, aggregate }: FinalityProof,
  verifySignature: VerifySignature,
): Finality {
  const [first] = headers;
  const last = headers.at(-1);
  if (!first || !last) throw ledgerError('LEDGER_PROOF_INVALID', 'no header');
  for (const [i, { parent, height }] of headers.entries()) {
    const before = headers[i - 1];
    if (before && (height !== before.height + 1 || parent !== headerHash(before)))
      throw ledgerError('LEDGER_PROOF_INVALID', `header ${height} does not follow the one before`);
  }
  const { chain, height: slot, decision: hash } = last;
  const { ordering } = genesis;
  const isHere = chain === genesisId(genesis) && ordering.kind === 'eda' && proof.kind === 'eda';
  const set = isHere ? certifyingSet(ordering, last, proof, verifySignature) : undefined;
  if (!set || proof.kind !== 'eda')
    throw ledgerError('LEDGER_CERTIFICATE_INVALID', `header ${slot} is not final on this chain`);
  const attest = { chain, era: proof.era, slot, hash: hash ?? '' };
  const attested = hash === undefined ? 0 : aggregateWeight(set, 'attest', attest, aggregate);
  if (attested === 0)
    throw ledgerError('LEDGER_PROOF_INVALID', `the attestations to block ${slot} do not hold`);
  const weight = Math.max(0, attested + set.quorum - set.total - 1);
  return { height: first.height, checkpoint: slot, weight, total: set.total };
}

export function encodeFinalityProof(proof: FinalityProof): Bytes {
  return encodeWith(finalityProof, proof);
}

/** @throws KERNEL_CBOR_INVALID, KERNEL_CBOR_LIMIT or KERNEL_SHAPE */
export function decodeFinalityProof(bytes: Bytes): FinalityProof {
  return decodeWith(finalityProof, bytes, { maxBytes: PROOF_MAX_BYTES });
}
