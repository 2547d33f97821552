/** Shards made, stored and offered to providers: by the consumer at first, by a repairer later. */
import { type ContractCall, type DealRecord, dealsCalls } from '#contracts';
import type { Bytes } from '#libs/kernel';
import { type BlobStore, createSectorCommitter } from '#libs/storage';
import { type ChainSender } from './chain.ts';
import { dealsError } from './errors.ts';
import { type ListedOffer, chooseProviders } from './offer.ts';
import { createMask, shardsTo } from './shards.ts';

export interface StoredShard {
  readonly index: number;
  readonly provider: string;
  readonly cid: string;
  /** Of the shard as its provider keeps it. */
  readonly root: string;
  /** Of the shard before it was encrypted. */
  readonly plainRoot: string;
}

/**
 * Makes chosen shards, each encrypted for its provider, and puts them into the own storage, unpinned:
 * collection spares them for as long as an invitation stands, and who accepts pins its own.
 */
export async function storeShards(
  blobs: BlobStore,
  stripes: AsyncIterable<readonly Bytes[]>,
  secret: Bytes,
  wanted: ReadonlyMap<number, string>,
  signal?: AbortSignal,
): Promise<readonly StoredShard[]> {
  const makers = new Map(
    [...wanted].map(([index, provider]) => [
      index,
      {
        provider,
        mask: createMask(secret, index, provider),
        plain: createSectorCommitter(),
        masked: createSectorCommitter(),
      },
    ]),
  );
  const makerOf = (index: number) =>
    makers.get(index) as NonNullable<ReturnType<typeof makers.get>>;
  return shardsTo(
    stripes,
    [...wanted.keys()],
    (index, unit) => {
      const { mask, plain, masked } = makerOf(index);
      plain.add(unit);
      const bytes = mask(unit);
      masked.add(bytes);
      return bytes;
    },
    async (index, stream) => {
      const { cid } = await blobs.put(stream, { pin: false, ...(signal && { signal }) });
      const { provider, plain, masked } = makerOf(index);
      return {
        ...{ index, provider, cid, root: masked.finish().root },
        plainRoot: plain.finish().root,
      };
    },
  );
}

/** Calls of one transaction; each may name a source of 200 characters. */
const INVITATIONS_AT_ONCE = 8;

/** How long a provider has to fetch and accept: at least a minute, then a MB a second. */
const invitationUs = (shardBytes: number): number => 60_000_000 + shardBytes;

/** Invites the providers of stored shards. @throws DEALS_REFUSED when the chain refuses all of them */
export async function inviteAll(
  sender: ChainSender,
  deal: string,
  shards: readonly StoredShard[],
  { source, shardBytes }: { readonly source: string; readonly shardBytes: number },
): Promise<void> {
  const withinUs = invitationUs(shardBytes);
  const calls = shards.map(({ index, provider, cid, root }) =>
    dealsCalls.invite({ deal, index, provider, cid, root, source, withinUs }),
  );
  const transactions: ContractCall[][] = [];
  for (let at = 0; at < calls.length; at += INVITATIONS_AT_ONCE)
    transactions.push(calls.slice(at, at + INVITATIONS_AT_ONCE));
  const outcomes = await sender.send(transactions);
  const refused = outcomes.filter((outcome) => !outcome.ok);
  const [first] = refused;
  if (first && refused.length === outcomes.length)
    throw dealsError('DEALS_REFUSED', `${first.message} [${first.code}]`);
}

export interface Choice {
  readonly offers: readonly ListedOffer[];
  /** Most shards of a deal with one operator. */
  readonly perOperator: number;
  /** Providers that hold (or refused) shards of this deal, with how many. */
  readonly taken: readonly string[];
  readonly refused: ReadonlySet<string>;
  /** So few will do: a repair places what it can. All of them unless said. */
  readonly atLeast?: number;
}

/** Who is to keep which of these shards. @throws DEALS_NO_OFFERS when there are too few */
export function assignShards(
  indexes: readonly number[],
  { offers, perOperator, taken, refused, atLeast = indexes.length }: Choice,
  deal: Pick<DealRecord, 'repairer'>,
): ReadonlyMap<number, string> {
  const byOperator = new Map<string, number>();
  const operatorOf = new Map(offers.map(({ provider, operator }) => [provider, operator]));
  for (const provider of taken) {
    const operator = operatorOf.get(provider) ?? provider;
    byOperator.set(operator, (byOperator.get(operator) ?? 0) + 1);
  }
  const usable = offers.filter(
    ({ provider }) => !refused.has(provider) && provider !== deal.repairer,
  );
  const chosen = chooseProviders(usable, indexes.length, { perOperator, taken: byOperator });
  if (chosen.length < atLeast)
    throw dealsError(
      'DEALS_NO_OFFERS',
      `${indexes.length} providers are wanted, ${chosen.length} offer it on these terms`,
    );
  return new Map(chosen.map(({ provider }, i) => [indexes[i] as number, provider]));
}
