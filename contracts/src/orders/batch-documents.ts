/** Documents of a batch of units: what its provider signs, and the record the chain keeps of it. */
import { hashOf } from '#libs/crypto';
import {
  type Bytes,
  type CodecValue,
  byteString,
  cid,
  encodeWith,
  hash32,
  oneOf,
  optional,
  record,
  u64,
  uint,
} from '#libs/kernel';
import { publicKey } from './documents.ts';
import { unitSet } from './units.ts';

export const BATCH_DELIVERY_DOMAIN = 'seele/batch-delivery/1';
const SETTLED_DOMAIN = 'seele/batch-settled/1';

/** What a provider states of a batch, signed with the bound provider's key. */
export const batchDelivery = record({
  chain: hash32,
  order: hash32,
  provider: hash32,
  /** Of the batch; an older or newer one is refused. */
  fence: uint(),
  /** The units it is about: some or all of the batch. */
  units: unitSet,
  /** `unitsRoot` over their leaves. */
  root: hash32,
  /** Document with their outputs (`libs/market`); absent when there are none. */
  results: optional(cid),
  /** Sum of what the leaves charge. */
  charge: u64,
});
export type BatchDelivery = CodecValue<typeof batchDelivery>;

/** What the provider signs, in BATCH_DELIVERY_DOMAIN. */
export const batchDeliveryBytes = (value: BatchDelivery): Bytes => encodeWith(batchDelivery, value);

export const batchDeliveryHash = (value: BatchDelivery): string =>
  hashOf(BATCH_DELIVERY_DOMAIN, batchDeliveryBytes(value));

export const signedBatchDelivery = record({
  delivery: batchDelivery,
  publicKey,
  signature: byteString(96),
});
export type SignedBatchDelivery = CodecValue<typeof signedBatchDelivery>;

/** What a market does not accept of a delivery: these units are not paid and may be bound again. */
export const withheldUnits = record({ units: unitSet, charge: u64 });
export type WithheldUnits = CodecValue<typeof withheldUnits>;

/** A batch that is bound or delivered, at `batch/<order><fence>`; gone when it is settled or released. */
export const batchRecord = record({
  state: oneOf('bound', 'delivered'),
  provider: hash32,
  unitPrice: u64,
  units: unitSet,
  /** What is held for it. */
  escrow: u64,
  boundAtUs: uint(),
  delivery: optional(batchDelivery),
  deliveredAtUs: optional(uint()),
});
export type BatchRecord = CodecValue<typeof batchRecord>;

/** One payment, as `settledHead` sums it up. */
export const settledBatch = record({
  fence: uint(),
  provider: hash32,
  /** Paid for these units, out of a delivery with this hash. */
  units: unitSet,
  delivery: hash32,
  paid: u64,
});
export type SettledBatch = CodecValue<typeof settledBatch>;

/** Hash chain over the payments of an order: its record proves all of them at once. */
export const settledHead = (before: string | undefined, batch: SettledBatch): string =>
  hashOf(
    SETTLED_DOMAIN,
    encodeWith(record({ before: optional(hash32), batch: settledBatch }), {
      batch,
      ...(before !== undefined && { before }),
    }),
  );
