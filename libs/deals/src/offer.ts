/** Offers of storage: what providers register in contract `resources`, and what a shard costs by them. */
import { type OfferRecord, RESOURCES_CONTRACT, offerRecord, resourcesKeys } from '#contracts';
import {
  type Bytes,
  type CodecValue,
  bool,
  byteString,
  decodeWith,
  isSeeleError,
  optional,
  record,
  text,
  u64,
  uint,
} from '#libs/kernel';
import type { NodeClient } from '#libs/platform';

export const storageOffer = record({
  name: text(60),
  /** Offers of one operator count as one: their shards may be lost together. */
  operator: text(100),
  /** What is kept at most, in bytes; 0 when only repairs are offered. */
  capacityBytes: uint(),
  /** Smallest units for a GiB in a day. */
  pricePerGibDay: u64,
  /** Shortest epoch that is taken. */
  minEpochUs: uint(),
  /** Most collateral that is put down for one shard. */
  maxCollateral: u64,
  /** Where shards can be fetched: a trustless gateway. */
  gateway: text(200),
  /** Repairs deals that name it. */
  repairs: bool,
  /** X25519, 32 bytes: what a repairer is given to read goes to this key. */
  encryptionKey: optional(byteString(32)),
});
export type StorageOffer = CodecValue<typeof storageOffer>;

export interface ListedOffer extends StorageOffer {
  readonly provider: string;
}

const GIB = 1n << 30n;
const DAY_US = 86_400_000_000n;

/** Of one shard for one epoch, rounded up: never nothing. */
export function epochPrice(pricePerGibDay: bigint, shardBytes: number, epochUs: number): bigint {
  const product = pricePerGibDay * BigInt(shardBytes) * BigInt(epochUs);
  const price = (product + GIB * DAY_US - 1n) / (GIB * DAY_US);
  return price > 0n ? price : 1n;
}

function readOffer(bytes: Bytes): ListedOffer | undefined {
  try {
    const { owner, kind, descriptor, leavesAtUs }: OfferRecord = decodeWith(offerRecord, bytes);
    if (kind !== 'storage' || leavesAtUs !== undefined || descriptor.kind !== 'inline')
      return undefined;
    return { provider: owner, ...decodeWith(storageOffer, descriptor.bytes) };
  } catch (error) {
    if (isSeeleError(error)) return undefined; // Anybody may register anything.
    throw error;
  }
}

/** Every offer of storage that stands, cheapest first. */
export async function readStorageOffers(node: NodeClient): Promise<readonly ListedOffer[]> {
  const offers: ListedOffer[] = [];
  for await (const [, value] of node.scan(RESOURCES_CONTRACT, resourcesKeys.offers)) {
    const offer = readOffer(value);
    if (offer !== undefined) offers.push(offer);
  }
  return offers.sort((a, b) =>
    a.pricePerGibDay === b.pricePerGibDay
      ? a.provider < b.provider
        ? -1
        : 1
      : a.pricePerGibDay < b.pricePerGibDay
        ? -1
        : 1,
  );
}

export interface OfferNeed {
  readonly shardBytes: number;
  readonly epochUs: number;
  /** Price of one shard for one epoch that is paid. */
  readonly price: bigint;
  readonly collateral: bigint;
}

/** Whether an offer stands for a shard on these terms. */
export function fitsOffer(offer: StorageOffer, need: OfferNeed): boolean {
  return (
    offer.capacityBytes >= need.shardBytes &&
    offer.minEpochUs <= need.epochUs &&
    offer.maxCollateral >= need.collateral &&
    epochPrice(offer.pricePerGibDay, need.shardBytes, need.epochUs) <= need.price
  );
}

/**
 * Providers for so many shards, cheapest first, at most `perOperator` shards with one operator.
 * Fewer than asked when there are no more.
 */
export function chooseProviders(
  offers: readonly ListedOffer[],
  count: number,
  options: { readonly perOperator: number; readonly taken?: ReadonlyMap<string, number> },
): readonly ListedOffer[] {
  const used = new Map(options.taken);
  const chosen: ListedOffer[] = [];
  for (let round = 0; round < options.perOperator; round++)
    for (const offer of offers) {
      if (chosen.length === count) return chosen;
      const shards = used.get(offer.operator) ?? 0;
      if (shards > round) continue;
      used.set(offer.operator, shards + 1);
      chosen.push(offer);
    }
  return chosen;
}
