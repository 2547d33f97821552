/** A consumer's way from content to a deal that runs. */
import { type DealRecord, dealId, dealsCalls } from '#contracts';
import { type Randomness, bytesToHex } from '#libs/kernel';
import {
  type BlobStore,
  type KeyWrap,
  fileSize,
  isSealedCid,
  parseCid,
  readEnvelopeContent,
} from '#libs/storage';
import { type ChainSender, type DealReader, sendOrThrow } from './chain.ts';
import { createDealSecret, sealDescriptor, type OpenDeal } from './descriptor.ts';
import { dealsError } from './errors.ts';
import { type ListedOffer, epochPrice, fitsOffer } from './offer.ts';
import { assignShards, inviteAll, storeShards } from './place.ts';
import { dealHealth } from './repair.ts';
import { shardSize, stripesOf } from './shards.ts';

export interface DealTerms {
  readonly needed: number;
  readonly shards: number;
  readonly epochUs: number;
  readonly term: number;
  readonly samples: number;
  /** Highest price for a GiB in a day; default: what the chosen offers ask. */
  readonly maxPricePerGibDay?: bigint;
  /** For one shard. */
  readonly collateral: bigint;
  /** Most shards with one operator; 1 by default, since they may be lost together. */
  readonly perOperator: number;
}

export interface DealQuote {
  readonly shardBytes: number;
  /** Of one shard for one epoch: what the dearest of the chosen offers asks. */
  readonly price: bigint;
  /** For the whole term: what is paid in advance. */
  readonly total: bigint;
  readonly providers: ReadonlyMap<number, string>;
}

/** What a deal of so many bytes costs by the offers that stand. @throws DEALS_NO_OFFERS */
export function quoteDeal(
  offers: readonly ListedOffer[],
  sizeBytes: number,
  terms: DealTerms,
  repairer: string | undefined,
): DealQuote {
  if (sizeBytes === 0) throw dealsError('DEALS_CONTENT_WRONG', 'there is nothing to keep');
  const { needed, shards, epochUs, collateral, perOperator, maxPricePerGibDay } = terms;
  const shardBytes = shardSize({ needed, shards, sizeBytes });
  const ceiling = maxPricePerGibDay ?? 1n << 60n;
  const fitting = offers.filter((offer) =>
    fitsOffer(offer, {
      ...{ shardBytes, epochUs, collateral },
      price: epochPrice(ceiling, shardBytes, epochUs),
    }),
  );
  const indexes = Array.from({ length: shards }, (_, index) => index);
  const choice = { offers: fitting, perOperator, taken: [], refused: new Set<string>() };
  const providers = assignShards(indexes, choice, { repairer });
  const chosen = new Set(providers.values());
  const price = fitting
    .filter(({ provider }) => chosen.has(provider))
    .map((offer) => epochPrice(offer.pricePerGibDay, shardBytes, epochUs))
    .reduce((max, one) => (one > max ? one : max), 1n);
  return { shardBytes, price, total: price * BigInt(shards) * BigInt(terms.term), providers };
}

/** Which file a CID stands for, and the envelope above it. */
export async function fileOf(
  blobs: BlobStore,
  cid: string,
): Promise<Omit<OpenDeal, 'secret' | 'shardRoots'>> {
  const read = (block: { toString(): string }) => blobs.getBlock(block.toString());
  if (!isSealedCid(cid)) return { cid, file: cid, sizeBytes: await fileSize(read, parseCid(cid)) };
  const envelope = await blobs.getBlock(cid);
  const file = readEnvelopeContent(envelope);
  return { cid, file, envelope, sizeBytes: await fileSize(read, parseCid(file)) };
}

export interface OpenDealParts {
  readonly reader: DealReader;
  readonly sender: ChainSender;
  readonly blobs: BlobStore;
  readonly randomness: Randomness;
  readonly consumer: string;
  /** Gateway of `blobs`. */
  readonly source: string;
  /** Whoever may read what the deal is about: the consumer, and the repairer if there is one. */
  readonly readers: readonly KeyWrap[];
  readonly repairer?: string;
  readonly signal?: AbortSignal;
  readonly progress?: (step: 'cutting' | 'proposing' | 'inviting') => void;
}

/** Cuts content, opens the deal and invites the providers of the quote. Gives its id. */
export async function openDeal(
  parts: OpenDealParts,
  file: Omit<OpenDeal, 'secret' | 'shardRoots'>,
  terms: DealTerms,
  quote: DealQuote,
): Promise<string> {
  const { blobs, sender, randomness, signal, repairer, progress } = parts;
  const { needed, shards, epochUs, term, samples, collateral } = terms;
  const secret = createDealSecret(randomness);
  progress?.('cutting');
  const layout = { needed, shards, sizeBytes: file.sizeBytes };
  const source = blobs.get(file.file, signal ? { signal } : {});
  const stored = await storeShards(
    blobs,
    stripesOf(source, layout),
    secret,
    quote.providers,
    signal,
  );
  const shardRoots = stored.map(({ plainRoot }) => plainRoot);
  const descriptor = await sealDescriptor({ ...file, shardRoots, secret }, parts.readers);
  const salt = bytesToHex(randomness.bytes(16));
  progress?.('proposing');
  await sendOrThrow(sender, [
    dealsCalls.propose({
      ...{ salt, descriptor, needed, shards, samples, epochUs, term, collateral },
      ...{ shardBytes: quote.shardBytes, price: quote.price, repairer },
    }),
  ]);
  const id = dealId(parts.consumer, salt);
  progress?.('inviting');
  await inviteAll(sender, id, stored, { source: parts.source, shardBytes: quote.shardBytes });
  return id;
}

/** Makes shards that were refused again, from the content, for other providers. */
export async function replaceRefused(
  parts: OpenDealParts,
  id: string,
  deal: DealRecord,
  content: OpenDeal,
  lost: readonly number[],
  wanted: ReadonlyMap<number, string>,
): Promise<void> {
  const layout = { needed: deal.needed, shards: deal.shards, sizeBytes: content.sizeBytes };
  const source = parts.blobs.get(content.file);
  const only = new Map(lost.map((index) => [index, wanted.get(index) as string]));
  const stored = await storeShards(parts.blobs, stripesOf(source, layout), content.secret, only);
  const { shardBytes } = deal;
  await inviteAll(parts.sender, id, stored, { source: parts.source, shardBytes });
}

/** Waits until every shard is held, or an invitation came to nothing. */
export async function untilHeld(
  reader: DealReader,
  id: string,
  options: {
    readonly nowUs: () => number;
    readonly deadlineMs: number;
    readonly signal?: AbortSignal;
    readonly progress?: (held: number) => void;
  },
): Promise<readonly number[]> {
  const until = performance.now() + options.deadlineMs;
  for (;;) {
    const deal = await reader.deal(id);
    if (deal === undefined) throw dealsError('DEALS_REFUSED', `there is no deal ${id}`);
    const shards = await reader.shards(id, deal.shards);
    const { held, lost, invited } = dealHealth(deal, shards, options.nowUs());
    options.progress?.(held);
    if (invited === 0 || performance.now() > until || options.signal?.aborted) {
      if (invited === 0) return lost;
      return [...shards.keys()].filter((index) => shards[index]?.state !== 'held');
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
