/**
 * Beginning a chain in the middle: a store that was filled with the state of a certified height, instead
 * of having executed every block up to it. Blocks below are not there, and reads of them say so.
 */
import type { ValidatorSet } from '#libs/eda';
import { type Bytes, type KeyValueReader, type KeyValueWrite, encodeWith } from '#libs/kernel';
import { type CertifiedHeader, certifiedHeader, handover } from './block.ts';
import { certifyingSet } from './eda-certificate.ts';
import type { VerifySignature } from './frames.ts';
import type { Genesis } from './genesis.ts';
import { withHandovers } from './handovers.ts';
import {
  FLOOR_KEY,
  HEAD_KEY,
  STATE_RANGE,
  TREE_PREFIX,
  decodeHeight,
  encodeHeight,
  handoverKey,
  headerKey,
  readStateKey,
} from './layout.ts';
import { readHeader } from './open-chain.ts';
import { stateTreeKeyBytes, stateValueHashBytes } from './state-keys.ts';
import { genesisId } from './state-proof.ts';

/** Where the state lies in a chain's store: its tree, and its entries. */
export const STATE_LAYOUT = { treePrefix: TREE_PREFIX, entries: STATE_RANGE };

/** Where a stored entry belongs in the state tree; undefined for what is no entry. */
export function stateLeafOf(
  stored: Bytes,
  value: Bytes,
): { readonly key: Bytes; readonly valueHash: Bytes } | undefined {
  const parts = readStateKey(stored);
  if (!parts) return undefined;
  const contract = new TextDecoder().decode(parts.contractName);
  return { key: stateTreeKeyBytes(contract, parts.key), valueHash: stateValueHashBytes(value) };
}

/** The last block of a (frozen) store, with everything that certifies it to a stranger. */
export function storedHead(reader: KeyValueReader): CertifiedHeader | undefined {
  const height = decodeHeight(reader.get(HEAD_KEY) ?? new Uint8Array());
  const stored = height === undefined ? undefined : readHeader(reader, height);
  return stored && { ...stored, certificate: withHandovers(reader, stored.certificate) };
}

/** The validators whose signatures make the header final, found from the genesis; undefined if they do not. */
export function certifiedBy(
  genesis: Genesis,
  { header, certificate }: CertifiedHeader,
  verifySignature: VerifySignature,
): ValidatorSet | undefined {
  const { ordering } = genesis;
  if (ordering.kind !== 'eda' || certificate.kind !== 'eda') return undefined;
  if (header.chain !== genesisId(genesis)) return undefined;
  return certifyingSet(ordering, header, certificate, verifySignature);
}

/** What makes a store that holds the state of this header the chain's, from that height on. */
export function adoptionWrites({ header, certificate }: CertifiedHeader): KeyValueWrite[] {
  const { height } = header;
  const changes = certificate.kind === 'eda' ? (certificate.handovers ?? []) : [];
  const { handovers: _, ...bare } = { handovers: undefined, ...certificate };
  return [
    { key: HEAD_KEY, value: encodeHeight(height) },
    { key: FLOOR_KEY, value: encodeHeight(height + 1) },
    { key: headerKey(height), value: encodeWith(certifiedHeader, { header, certificate: bare }) },
    ...changes.map((change) => ({
      key: handoverKey(change.era),
      value: encodeWith(handover, change),
    })),
  ];
}
