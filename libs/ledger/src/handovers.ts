/**
 * Changes of validators as a chain keeps them: each shown by a header that the set before it certified,
 * with the path to the new set in that header's state. Proofs bring them along, so that whoever knows
 * the genesis only can follow the sets.
 */
import { type KeyValueReader, type KeyValueWrite, decodeWith, encodeWith } from '#libs/kernel';
import { type Certificate, type Handover, handover } from './block.ts';
import { STAKE_CONTRACT, validatorSetKey } from './eda-ordering.ts';
import { HANDOVERS, handoverKey, stateKey } from './layout.ts';
import type { StateProof } from './state-proof.ts';

/** Stored changes up to an era, oldest first. */
export function readHandovers(store: KeyValueReader, upToEra: number): readonly Handover[] {
  const found: Handover[] = [];
  for (const [, bytes] of store.range(HANDOVERS)) {
    const change = decodeWith(handover, bytes);
    if (change.era > upToEra) break;
    found.push(change);
  }
  return found;
}

/**
 * The change that the head shows, once: to be stored with the next block. A header of era e is certified
 * by the set of e, and its state fixes the set of e + 1: any block of e will do, also the only one of an era.
 */
export function nextHandover(
  store: KeyValueReader,
  head: Certificate,
  prove: (contract: string, key: Uint8Array) => StateProof,
): KeyValueWrite | undefined {
  if (head.kind !== 'eda') return undefined;
  const { era } = head;
  const of = era + 1;
  const key = validatorSetKey(of);
  if (store.get(stateKey(STAKE_CONTRACT, key)) === undefined) return undefined;
  if (store.get(handoverKey(of)) !== undefined) return undefined;
  const { value, path, header, certificate } = prove(STAKE_CONTRACT, key);
  if (certificate.kind !== 'eda' || certificate.era !== era || value === undefined)
    return undefined;
  const { votes, aggregate } = certificate;
  const signatures = { votes, ...(aggregate && { aggregate }) };
  const change: Handover = { era: of, header, certifiedBy: era, ...signatures, set: value, path };
  return { key: handoverKey(of), value: encodeWith(handover, change) };
}

/** A stored certificate with everything a stranger needs. */
export function withHandovers(store: KeyValueReader, certificate: Certificate): Certificate {
  if (certificate.kind !== 'eda' || certificate.handovers !== undefined) return certificate;
  const handovers = readHandovers(store, certificate.era);
  return handovers.length === 0 ? certificate : { ...certificate, handovers };
}
