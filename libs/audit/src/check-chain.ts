/** Checks of what a receipt shows of the chain: certificates, anchors, the order's record. */
import {
  type Anchor,
  type Order,
  type OrderRecord,
  anchor as anchorCodec,
  auditKeys,
  orderBytes,
  orderRecord,
  ordersKeys,
} from '#contracts';
import type { SignatureVerifier } from '#libs/crypto';
import { type Bytes, decodeWith, equalBytes } from '#libs/kernel';
import {
  type Genesis,
  type StateProof,
  headerHash,
  verifyCertifiedHeader,
  verifyStateProof,
} from '#libs/ledger';
import { type LogProof, verifyConsistency, verifyInclusion } from '#libs/merkle';
import { type Finding, failed, held, plural } from './finding.ts';
import { type Checkpoint, leafEntryHash } from './operator-log.ts';
import type { LogReading } from './read-log.ts';

const ORDERS = 'orders';
const AUDIT = 'audit';

/** Every header in the file is final, and no two of them contradict each other. */
export function checkCertificates(
  genesis: Genesis,
  proofs: readonly StateProof[],
  verify: SignatureVerifier,
): Finding {
  const hashAt = new Map<number, string>();
  for (const { header } of proofs) {
    const hash = headerHash(header);
    const other = hashAt.get(header.height);
    if (other !== undefined && other !== hash)
      return failed(
        `two different blocks are certified at height ${header.height}: the chain forked`,
      );
    hashAt.set(header.height, hash);
  }
  for (const { header, certificate } of proofs)
    if (!verifyCertifiedHeader(genesis, header, certificate, verify))
      return failed(`block ${header.height} is not certified by the chain’s ordering`);
  const heights = [...hashAt.keys()].toSorted((a, b) => a - b);
  const { kind } = genesis.ordering;
  const caution = kind === 'solo' ? ' (one sequencer, for development only)' : '';
  return held(
    `${plural(heights.length, 'block')} certified by ${kind} ordering${caution}, heights ${heights.join(', ')}`,
  );
}

/** The value a proof shows at this place. @throws LEDGER_CERTIFICATE_INVALID, LEDGER_PROOF_INVALID */
function provenValue(
  genesis: Genesis,
  proof: StateProof,
  place: { readonly contract: string; readonly key: Bytes },
  verify: SignatureVerifier,
): Bytes | undefined {
  if (proof.contract !== place.contract || !equalBytes(proof.key, place.key)) return undefined;
  return verifyStateProof(genesis, proof, verify).value;
}

/** The order's record as the chain holds it; undefined when the proof shows something else. */
export function readRecord(
  genesis: Genesis,
  proof: StateProof,
  order: Order,
  id: string,
  verify: SignatureVerifier,
): OrderRecord | undefined {
  const place = { contract: ORDERS, key: ordersKeys.order(id) };
  const value = provenValue(genesis, proof, place, verify);
  const record = value && decodeWith(orderRecord, value);
  return record && equalBytes(orderBytes(record.order), orderBytes(order)) ? record : undefined;
}

/** The operator's anchored roots, ascending; undefined when a proof shows something else. */
export function readAnchors(
  genesis: Genesis,
  proofs: readonly StateProof[],
  sizes: readonly number[],
  market: string,
  verify: SignatureVerifier,
): readonly Anchor[] | undefined {
  if (sizes.length !== proofs.length) return undefined;
  const anchors: Anchor[] = [];
  for (const [i, proof] of proofs.entries()) {
    const size = sizes[i] as number;
    const place = { contract: AUDIT, key: auditKeys.anchor(market, size) };
    const value = provenValue(genesis, proof, place, verify);
    const anchored = value && decodeWith(anchorCodec, value);
    if (anchored?.size !== size) return undefined;
    anchors.push(anchored);
  }
  return anchors;
}

export function checkConsistency(
  anchors: readonly Anchor[],
  consistency: readonly LogProof[],
): Finding {
  if (consistency.length !== Math.max(0, anchors.length - 1))
    return failed('the consistency proofs do not go from each anchor to the next');
  for (const [i, proof] of consistency.entries()) {
    const [older, newer] = [anchors[i] as Anchor, anchors[i + 1] as Anchor];
    if (!verifyConsistency(older.size, newer.size, older.root, newer.root, proof))
      return failed(`the operator’s log of ${newer.size} entries rewrites that of ${older.size}`);
  }
  const heights = anchors.map(({ height }) => height).join(', ');
  return held(
    `${plural(anchors.length, 'root')} of the operator’s log on the chain, anchored at height ${heights}, each extending the one before`,
  );
}

/** Sizes that checkpoints refer to, once each, in their order. */
export const sizesOf = (checkpoints: readonly Checkpoint[]): readonly number[] => [
  ...new Set(checkpoints.map(({ size }) => size)),
];

export function checkCheckpoints(
  checkpoints: readonly Checkpoint[],
  anchors: readonly Anchor[],
  job: string,
  log: LogReading,
): Finding {
  const rootAt = new Map(anchors.map(({ size, root }) => [size, root]));
  let [length, index, size] = [0, -1, 0];
  for (const checkpoint of checkpoints) {
    const { log: at, proof } = checkpoint;
    if (at.length <= length || checkpoint.index <= index || checkpoint.size < size)
      return failed('the checkpoints are not in order');
    ({ length } = at);
    ({ index, size } = checkpoint);
    if (log.heads[length] !== at.head)
      return failed(`at ${plural(length, 'entry', 'entries')} the anchored log was another one`);
    const leaf = leafEntryHash({ job, log: at });
    if (!verifyInclusion(leaf, index, size, proof, rootAt.get(size) ?? ''))
      return failed(`leaf ${index} of the operator’s log is not this job’s position ${length}`);
  }
  return held(
    `${plural(checkpoints.length, 'checkpoint')} of this log in the anchored roots, the last at ${plural(length, 'entry', 'entries')}`,
  );
}
