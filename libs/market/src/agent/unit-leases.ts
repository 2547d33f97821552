/**
 * Batches of units at the agent: on disk before they are worked on; what is done of them on disk before
 * it is told; told until the market has it. One batch is one slot's work.
 */
import {
  BATCH_DELIVERY_DOMAIN,
  type BatchDelivery,
  type SignedBatchDelivery,
  type UnitResult,
  batchDeliveryBytes,
  encodeUnitLeaf,
  joinUnitLeaves,
  signedBatchDelivery,
  unitSet,
  unitSetOf,
  unitsRoot,
} from '#contracts';
import {
  type Bytes,
  type CodecValue,
  bool,
  byteString,
  cid,
  hash32,
  optional,
  record,
  u64,
  uint,
} from '#libs/kernel';
import { type MarketMessage, madeInputs } from '../agent-protocol.ts';
import type { JobLimits } from '../manifest.ts';
import { chargeFor } from '../pricing.ts';
import { HOST_EXITS } from '../retry.ts';
import type { AgentConfig } from './model.ts';

/** A batch as it lies on disk. Written before `accept`; with `delivery` before `deliverUnits`. */
export const storedUnits = record({
  lease: hash32,
  order: hash32,
  chain: hash32,
  fence: uint(),
  manifest: cid,
  units: unitSet,
  unitPrice: u64,
  completeByUs: uint(),
  /** What the manifest's `from` came to, and the list of the tasks' inputs that another order made. */
  inputs: optional(madeInputs),
  taskInputs: optional(cid),
  /** What is done so far, and its leaves. */
  delivery: optional(signedBatchDelivery),
  leaves: optional(byteString(64 * 1024)),
  isLast: optional(bool),
});
export type StoredUnits = CodecValue<typeof storedUnits>;

/** A batch in memory. */
export interface AgentUnits {
  readonly stored: StoredUnits;
  readonly stage: 'saving' | 'working' | 'saving-delivery' | 'delivering';
  readonly sentAtMs: number;
  /** The delivery on disk was told on this connection. */
  readonly isTold: boolean;
}

/** How units of a batch ended, all so far; `limits` are the manifest's, for the price. */
export interface UnitsReport {
  readonly results: readonly Omit<UnitResult, 'charge'>[];
  /** CID of the document with their outputs; absent when there are none. */
  readonly document?: string;
  readonly limits: JobLimits;
  /** Nothing more comes of this batch. */
  readonly isLast: boolean;
}

type LeaseUnits = Extract<MarketMessage, { kind: 'leaseUnits' }>;

export function storedUnitsOf(message: LeaseUnits, chain: string): StoredUnits {
  const { kind: _, ...terms } = message;
  return { ...terms, chain };
}

/** Signs what is done so far. */
export function signUnits(
  { signer, offer }: AgentConfig,
  stored: StoredUnits,
  { results, document, limits }: UnitsReport,
): { readonly delivery: SignedBatchDelivery; readonly leaves: Bytes } {
  let charge = 0n;
  const leaves = results
    .toSorted((a, b) => a.unit - b.unit)
    .map((result) => {
      const isFree = HOST_EXITS.has(result.exit);
      const one = isFree ? 0n : chargeFor(offer, limits, result.usage, stored.unitPrice);
      charge += one;
      return encodeUnitLeaf({ ...result, charge: one });
    });
  const delivery: BatchDelivery = {
    ...{ chain: stored.chain, order: stored.order, provider: offer.provider },
    ...{ fence: stored.fence, units: unitSetOf(results.map(({ unit }) => unit)) },
    ...{ root: unitsRoot(leaves), charge },
    ...(document !== undefined && { results: document }),
  };
  const signature = signer.sign(BATCH_DELIVERY_DOMAIN, batchDeliveryBytes(delivery));
  return {
    delivery: { delivery, publicKey: signer.publicKey, signature },
    leaves: joinUnitLeaves(leaves),
  };
}
