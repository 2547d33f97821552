/**
 * Brings a deal back to all of its shards: has missed proofs counted, makes what is lost from the shards
 * that answer, and invites other providers. Safe to run by several at once and again at any time: an
 * invitation to a taken shard is refused, and nothing else is changed.
 */
import { type DealRecord, type ShardRecord, dealsCalls } from '#contracts';
import type { Clock } from '#libs/kernel';
import { declareFailpoints, failpoint } from '#libs/platform';
import type { BlobStore } from '#libs/storage';
import type { ChainSender, DealReader } from './chain.ts';
import type { OpenDeal } from './descriptor.ts';
import { dealsError } from './errors.ts';
import { type ListedOffer, fitsOffer } from './offer.ts';
import { assignShards, inviteAll, storeShards } from './place.ts';
import { layoutOf, shardReaders } from './retrieve.ts';
import { stripesFrom } from './shards.ts';

declareFailpoints('deals.repair.stored');

export interface RepairParts {
  readonly reader: DealReader;
  readonly sender: ChainSender;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  /** Gateway of `blobs`, from which new providers fetch. */
  readonly source: string;
  readonly signal?: AbortSignal;
}

/** Repair begins when so few shards are left: two more than are needed, or one lost copy. */
export const repairBelow = ({ needed, shards }: DealRecord): number =>
  needed === 1 ? shards : Math.min(shards, needed + 2);

export interface DealHealth {
  /** Shards that a provider answers for. */
  readonly held: number;
  /** Invitations that stand. */
  readonly invited: number;
  /** Nobody holds them, nobody is asked to. */
  readonly lost: readonly number[];
  readonly needsRepair: boolean;
}

export function dealHealth(
  deal: DealRecord,
  shards: readonly ShardRecord[],
  nowUs: number,
): DealHealth {
  const isInvited = ({ state, invitedUntilUs = 0 }: ShardRecord) =>
    state === 'invited' && invitedUntilUs >= nowUs;
  const lost = [...shards.keys()].filter((index) => {
    const shard = shards[index] as ShardRecord;
    return shard.state !== 'held' && !isInvited(shard);
  });
  const held = shards.filter(({ state }) => state === 'held').length;
  const invited = shards.filter(isInvited).length;
  const isOver = deal.closedAtUs !== undefined || Math.floor(nowUs / deal.epochUs) > deal.endEpoch;
  const needsRepair = !isOver && lost.length > 0 && held + invited < repairBelow(deal);
  return { held, invited, lost, needsRepair };
}

/** Calls that have missed proofs counted, where some are due. */
export async function reportMissed(
  { reader, sender, clock }: RepairParts,
  id: string,
  deal: DealRecord,
  shards: readonly ShardRecord[],
): Promise<number> {
  const latest = await reader.beacon(deal.epochUs);
  if (latest === undefined) return 0;
  const now = Math.floor(clock.nowUs() / deal.epochUs);
  const over = latest.ordinal - (latest.epoch >= now ? 1 : 0);
  const due = [...shards.keys()].filter((index) => {
    const { state, settledOrdinal, settledEpoch } = shards[index] as ShardRecord;
    return state === 'held' && over > settledOrdinal && settledEpoch < deal.endEpoch;
  });
  if (due.length > 0)
    await sender.send(due.map((index) => [dealsCalls.report({ deal: id, index })]));
  return due.length;
}

export interface Repaired {
  readonly index: number;
  readonly provider: string;
}

/**
 * Makes the lost shards anew and invites providers for them.
 * @throws DEALS_TOO_FEW_SHARDS, DEALS_NO_OFFERS, DEALS_CONTENT_WRONG when what can be read is not the
 *   content that the deal was made for
 */
export async function repairDeal(
  parts: RepairParts,
  id: string,
  deal: DealRecord,
  shards: readonly ShardRecord[],
  content: OpenDeal,
  offers: readonly ListedOffer[],
  options: { readonly perOperator?: number; readonly refused?: ReadonlySet<string> } = {},
): Promise<readonly Repaired[]> {
  const { lost } = dealHealth(deal, shards, parts.clock.nowUs());
  if (lost.length === 0) return [];
  const { price, collateral, epochUs, shardBytes } = deal;
  const fitting = offers.filter((offer) =>
    fitsOffer(offer, { shardBytes, epochUs, price, collateral }),
  );
  const taken = shards.flatMap(({ state, provider }) =>
    state !== 'vacant' && provider !== undefined ? [provider] : [],
  );
  const losers = shards.flatMap(({ lostBy }) => (lostBy === undefined ? [] : [lostBy]));
  const refused = new Set([...(options.refused ?? []), ...losers]);
  const choice = {
    offers: fitting,
    perOperator: options.perOperator ?? 1,
    taken,
    refused,
    atLeast: 1,
  };
  const wanted = assignShards(lost, choice, deal);
  const gateways = new Map(offers.map(({ provider, gateway }) => [provider, gateway]));
  const readable = { deal, shards, content, gatewayOf: (who: string) => gateways.get(who) };
  const stripes = stripesFrom(shardReaders(readable, parts.signal), layoutOf(deal, content));
  const stored = await storeShards(parts.blobs, stripes, content.secret, wanted, parts.signal);
  const wrong = stored.find(({ index, plainRoot }) => plainRoot !== content.shardRoots[index]);
  if (wrong !== undefined)
    throw dealsError('DEALS_CONTENT_WRONG', `shard ${wrong.index} was made of a wrong one`);
  failpoint('deals.repair.stored');
  await inviteAll(parts.sender, id, stored, { source: parts.source, shardBytes });
  return stored.map(({ index, provider }) => ({ index, provider }));
}
