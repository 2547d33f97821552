/** Methods of contract `deals` by which a deal comes about, and lasts longer or shorter. */
import { cid, hash32, optional, record, text, u64, uint } from '#libs/kernel';
import { type Context, defineMethod } from '#libs/ledger';
import { done, emit, readValue, writeValue } from '../contract-kit.ts';
import { demand } from '../errors.ts';
import { collectFrom, payTo } from '../token/token.ts';
import {
  DEAL_SAMPLES_MAX,
  DEAL_SHARDS_MAX,
  DEAL_SHARD_MAX_BYTES,
  type DealRecord,
  type ShardRecord,
  dealDescriptor,
  dealId,
  dealOrRevert,
  dealRecord,
  dealSalt,
  dealsEvents,
  dealsKeys,
  dealsSettings,
  epochAt,
  mark,
  readBeacon,
  shardOrRevert,
  writeDeal,
  writeShard,
} from './state.ts';

const EPOCH_MAX_US = 366 * 86_400_000_000;

/** Amounts that stay whole numbers below 2^64 whatever a deal adds up to. */
function costOf(context: Context, price: bigint, shards: number, epochs: number): bigint {
  const cost = price * BigInt(shards) * BigInt(epochs);
  demand(context, cost < 1n << 63n, 'DEALS_TERMS', `${cost} is more money than there is`);
  return cost;
}

function demandConsumer(context: Context, deal: DealRecord): void {
  demand(
    context,
    deal.consumer === context.caller,
    'DEALS_NOT_PARTY',
    `the deal is ${deal.consumer}’s`,
  );
}

/** The deal runs: neither over nor closed. */
export function demandRunning(context: Context, deal: DealRecord): number {
  const epoch = epochAt(context.block.timeUs, deal.epochUs);
  demand(
    context,
    deal.closedAtUs === undefined && epoch <= deal.endEpoch,
    'DEALS_ENDED',
    `its last epoch is ${deal.endEpoch}, this one is ${epoch}`,
  );
  return epoch;
}

const terms = {
  salt: dealSalt,
  repairer: optional(hash32),
  descriptor: dealDescriptor,
  needed: uint(DEAL_SHARDS_MAX),
  shards: uint(DEAL_SHARDS_MAX),
  shardBytes: uint(DEAL_SHARD_MAX_BYTES),
  samples: uint(DEAL_SAMPLES_MAX),
  epochUs: uint(EPOCH_MAX_US),
  price: u64,
  collateral: u64,
  /** In epochs, that of the proposal included. */
  term: uint(),
};

const propose = defineMethod({
  name: 'propose',
  args: record(terms),
  returns: record({ deal: hash32 }),
  run(context, { salt, term, descriptor, ...given }) {
    const consumer = context.caller;
    const id = dealId(consumer, salt);
    const known = readValue(context.storage, dealsKeys.deal(id), dealRecord);
    demand(context, known === undefined, 'DEALS_EXISTS', `deal ${id} is there already`);
    const { minEpochUs, maxTerm } = dealsSettings.read(context.storage);
    const { needed, shards, shardBytes, samples, epochUs, price, collateral, repairer } = given;
    const wrong =
      (needed < 1 || shards < needed || shardBytes < 1 || samples < 1
        ? `${needed} of ${shards} shards of ${shardBytes} bytes, ${samples} samples`
        : undefined) ??
      (epochUs < minEpochUs ? `an epoch of ${epochUs} µs, at least ${minEpochUs}` : undefined) ??
      (term < 1 || term > maxTerm ? `a term of ${term} epochs` : undefined) ??
      (price < 1n || collateral >= 1n << 55n ? `price or collateral` : undefined) ??
      (repairer === consumer ? 'the consumer repairs anyway' : undefined);
    demand(context, wrong === undefined, 'DEALS_TERMS', wrong ?? '');
    const escrow = costOf(context, price, shards, term);
    const startEpoch = epochAt(context.block.timeUs, epochUs);
    const endEpoch = startEpoch + term - 1;
    collectFrom(context, consumer, escrow);
    writeDeal(context, id, {
      ...{ consumer, ...given, startEpoch, endEpoch, escrow },
      ...{ fund: 0n, paid: 0n, held: 0 },
    });
    writeValue(context.storage, dealsKeys.content(id), dealDescriptor, descriptor);
    mark(context, dealsKeys.of(consumer, id));
    if (repairer !== undefined) mark(context, dealsKeys.repair(repairer, id));
    emit(context, dealsEvents.proposed, { deal: id, consumer, escrow, endEpoch });
    return { deal: id };
  },
});

/** What stays of a shard whoever holds it next. */
export function vacated(shard: ShardRecord): ShardRecord {
  const { generation, paidEpoch, proven, missed, lostBy } = shard;
  return {
    ...{ state: 'vacant', generation, paidEpoch, proven, missed, missedInRow: 0 },
    ...{ collateral: 0n, untilEpoch: 0, settledOrdinal: 0, settledEpoch: 0, lostBy },
  };
}

const invite = defineMethod({
  name: 'invite',
  args: record({
    deal: hash32,
    index: uint(DEAL_SHARDS_MAX - 1),
    provider: hash32,
    cid,
    root: hash32,
    source: optional(text(200)),
    /** How long it stands, within what the chain allows. */
    withinUs: optional(uint()),
  }),
  returns: record({ generation: uint() }),
  run(context, { deal: id, index, withinUs, ...invited }) {
    const deal = dealOrRevert(context, id);
    const by = context.caller;
    demand(
      context,
      by === deal.consumer || by === deal.repairer,
      'DEALS_NOT_PARTY',
      'only the consumer and the repairer of a deal invite',
    );
    demandRunning(context, deal);
    demand(
      context,
      invited.provider !== deal.repairer,
      'DEALS_TERMS',
      'whoever can make every shard of a deal holds none of them',
    );
    const shard = shardOrRevert(context, id, deal, index);
    const isSame = shard.root === invited.root && shard.provider === invited.provider;
    if (isSame && shard.state !== 'vacant') return { generation: shard.generation };
    const isFree =
      shard.state === 'vacant' ||
      (shard.state === 'invited' && (shard.invitedUntilUs ?? 0) < context.block.timeUs);
    demand(context, isFree, 'DEALS_SHARD_TAKEN', `shard ${index} is ${shard.state}`);
    if (shard.provider !== undefined)
      context.storage.delete(dealsKeys.work(shard.provider, id, index));
    const { inviteUs } = dealsSettings.read(context.storage);
    const generation = shard.generation + 1;
    const standsUs = Math.min(withinUs ?? Infinity, Number(inviteUs));
    const invitedUntilUs = context.block.timeUs + standsUs;
    const next = { ...vacated(shard), ...invited, state: 'invited' as const, generation };
    writeShard(context, id, index, { ...next, inviter: by, invitedUntilUs });
    mark(context, dealsKeys.work(invited.provider, id, index));
    const { provider } = invited;
    emit(context, dealsEvents.invited, { deal: id, index, provider, generation, inviter: by });
    return { generation };
  },
});

/** The shard of an invitation to the caller. */
function invitationOf(context: Context, id: string, index: number, generation: number) {
  const deal = dealOrRevert(context, id);
  const shard = shardOrRevert(context, id, deal, index);
  demand(
    context,
    shard.provider === context.caller && shard.generation === generation,
    'DEALS_NOT_INVITED',
    `invitation ${generation} to shard ${index} is not one of ${context.caller}`,
  );
  return { deal, shard };
}

const invitation = record({
  deal: hash32,
  index: uint(DEAL_SHARDS_MAX - 1),
  generation: uint(),
});

const accept = defineMethod({
  name: 'accept',
  args: invitation,
  returns: done,
  run(context, { deal: id, index, generation }) {
    const { deal, shard } = invitationOf(context, id, index, generation);
    if (shard.state === 'held') return {};
    const epoch = demandRunning(context, deal);
    const { timeUs } = context.block;
    demand(
      context,
      (shard.invitedUntilUs ?? 0) >= timeUs,
      'DEALS_NOT_INVITED',
      `the invitation ended at ${shard.invitedUntilUs} µs`,
    );
    const { collateral, endEpoch } = deal;
    const provider = context.caller;
    if (collateral > 0n) collectFrom(context, provider, collateral);
    // A challenge that is known already would be no test of what was accepted after it.
    const latest = readBeacon(context.storage, deal.epochUs);
    writeShard(context, id, index, {
      ...shard,
      ...{ state: 'held', collateral, untilEpoch: endEpoch, missedInRow: 0 },
      settledOrdinal: latest?.ordinal ?? 0,
      settledEpoch: latest?.epoch === epoch ? epoch : epoch - 1,
    });
    writeDeal(context, id, { ...deal, held: deal.held + 1 });
    emit(context, dealsEvents.accepted, { deal: id, index, provider, generation, collateral });
    return {};
  },
});

const decline = defineMethod({
  name: 'decline',
  args: invitation,
  returns: done,
  run(context, { deal: id, index, generation }) {
    const { shard } = invitationOf(context, id, index, generation);
    demand(context, shard.state === 'invited', 'DEALS_SHARD_TAKEN', `it is ${shard.state}`);
    const provider = context.caller;
    writeShard(context, id, index, vacated(shard));
    context.storage.delete(dealsKeys.work(provider, id, index));
    const facts = { deal: id, index, provider, reason: 'declined' as const, returned: 0n };
    emit(context, dealsEvents.vacated, facts);
    return {};
  },
});

const renew = defineMethod({
  name: 'renew',
  args: record({ deal: hash32, endEpoch: uint() }),
  returns: record({ cost: u64 }),
  run(context, { deal: id, endEpoch }) {
    const deal = dealOrRevert(context, id);
    demandConsumer(context, deal);
    demandRunning(context, deal);
    if (endEpoch <= deal.endEpoch) return { cost: 0n };
    const { maxTerm } = dealsSettings.read(context.storage);
    const term = endEpoch - deal.startEpoch + 1;
    demand(context, term <= maxTerm, 'DEALS_TERMS', `a term of ${term} epochs`);
    const cost = costOf(context, deal.price, deal.shards, endEpoch - deal.endEpoch);
    collectFrom(context, context.caller, cost);
    const escrow = deal.escrow + cost;
    writeDeal(context, id, { ...deal, endEpoch, escrow });
    emit(context, dealsEvents.extended, { deal: id, endEpoch, escrow, fund: deal.fund });
    return { cost };
  },
});

const topUp = defineMethod({
  name: 'topUp',
  args: record({ deal: hash32, amount: u64 }),
  returns: record({ fund: u64 }),
  run(context, { deal: id, amount }) {
    const deal = dealOrRevert(context, id);
    demandRunning(context, deal);
    collectFrom(context, context.caller, amount);
    const { endEpoch, escrow } = deal;
    const fund = deal.fund + amount;
    writeDeal(context, id, { ...deal, fund });
    emit(context, dealsEvents.extended, { deal: id, endEpoch, escrow, fund });
    return { fund };
  },
});

const end = defineMethod({
  name: 'end',
  args: record({ deal: hash32 }),
  returns: record({ endEpoch: uint() }),
  run(context, { deal: id }) {
    const deal = dealOrRevert(context, id);
    demandConsumer(context, deal);
    const now = epochAt(context.block.timeUs, deal.epochUs);
    const { endNoticeEpochs } = dealsSettings.read(context.storage);
    const endEpoch = Math.min(deal.endEpoch, now + Number(endNoticeEpochs));
    if (endEpoch === deal.endEpoch) return { endEpoch };
    const { escrow, fund } = deal;
    writeDeal(context, id, { ...deal, endEpoch });
    emit(context, dealsEvents.extended, { deal: id, endEpoch, escrow, fund });
    return { endEpoch };
  },
});

const close = defineMethod({
  name: 'close',
  args: record({ deal: hash32 }),
  returns: record({ refunded: u64 }),
  run(context, { deal: id }) {
    const deal = dealOrRevert(context, id);
    if (deal.closedAtUs !== undefined) return { refunded: 0n };
    const now = epochAt(context.block.timeUs, deal.epochUs);
    demand(
      context,
      now > deal.endEpoch && deal.held === 0,
      'DEALS_NOT_ENDED',
      `its last epoch is ${deal.endEpoch}, this one is ${now}; ${deal.held} shards are held`,
    );
    const refunded = deal.escrow + deal.fund;
    const { timeUs } = context.block;
    writeDeal(context, id, { ...deal, escrow: 0n, fund: 0n, closedAtUs: timeUs });
    context.storage.delete(dealsKeys.of(deal.consumer, id));
    if (deal.repairer !== undefined) context.storage.delete(dealsKeys.repair(deal.repairer, id));
    payTo(context, deal.consumer, refunded);
    emit(context, dealsEvents.closed, { deal: id, refunded });
    return { refunded };
  },
});

export const proposingMethods = {
  /** Anyone: opens a deal and pays for all of its epochs in advance. */
  propose,
  /** Consumer or repairer: names a provider for a shard that nobody holds. */
  invite,
  /** The invited provider: puts the collateral down; challenged from the next challenge on. */
  accept,
  /** The invited provider: does not want it. */
  decline,
  /** Consumer: moves the last epoch further away, and pays for what is added. */
  renew,
  /** Anyone: adds money for repairs. */
  topUp,
  /** Consumer: ends it after the notice. */
  end,
  /** Anyone, when it is over and nobody holds a shard: gives the consumer the rest back. */
  close,
};
