/**
 * What contract `deals` stores: deals, their shards, the challenge of the epoch, and who works on what.
 *
 * State: `deal/<id>` → `dealRecord`; `content/<id>` → `dealDescriptor`; `shard/<id><index, 2 bytes>` → `shardRecord`;
 * `beacon/<epochUs, 8 bytes>` → `beacon`; `of/<consumer><id>`, `work/<provider><id><index>` and
 * `repair/<repairer><id>` → `done`, while the deal is open.
 */
import { hashOf } from '#libs/crypto';
import {
  type AccountId,
  type Bytes,
  type CodecValue,
  byteString,
  bytesToHex,
  cid,
  concatBytes,
  hash32,
  hexBytes,
  oneOf,
  optional,
  record,
  text,
  u64,
  uint,
} from '#libs/kernel';
import type { Context } from '#libs/ledger';
import {
  defineEvent,
  defineSettings,
  done,
  numberKey,
  readValue,
  storageKey,
  writeValue,
} from '../contract-kit.ts';

export const DEALS_CONTRACT = 'deals';
/** Shards of a deal: as many as fit beside each other in one round of transactions. */
export const DEAL_SHARDS_MAX = 64;
/** Sectors asked for at once: their proofs fit into one transaction. */
export const DEAL_SAMPLES_MAX = 32;
export const DEAL_DESCRIPTOR_MAX_BYTES = 16 * 1024;
export const DEAL_SHARD_MAX_BYTES = 2 ** 40;
const SOURCE_MAX = 200;

/** What is stored and how it is put together again; for those who read it, not for the contract. */
export const dealDescriptor = byteString(DEAL_DESCRIPTOR_MAX_BYTES);

/** Chosen by the consumer; unique among its deals. */
export const dealSalt = hexBytes(16);

export const dealRecord = record({
  consumer: hash32,
  /** May invite other providers for lost shards, beside the consumer. */
  repairer: optional(hash32),
  /** Any so many shards give the content back. */
  needed: uint(DEAL_SHARDS_MAX),
  shards: uint(DEAL_SHARDS_MAX),
  shardBytes: uint(DEAL_SHARD_MAX_BYTES),
  /** Sectors that a challenge asks for. */
  samples: uint(DEAL_SAMPLES_MAX),
  epochUs: uint(),
  /** Of one shard for one proven epoch. */
  price: u64,
  /** What a provider puts down for one shard. */
  collateral: u64,
  /** Epochs are numbered from the Unix epoch on; the first and the last that are paid. */
  startEpoch: uint(),
  endEpoch: uint(),
  /** For epochs to come. */
  escrow: u64,
  /** What providers lost and what was added: pays for repairs; the rest goes to the consumer. */
  fund: u64,
  paid: u64,
  /** Shards that a provider answers for. */
  held: uint(DEAL_SHARDS_MAX),
  closedAtUs: optional(uint()),
});
export type DealRecord = CodecValue<typeof dealRecord>;

export const SHARD_STATES = ['vacant', 'invited', 'held'] as const;

export const shardRecord = record({
  state: oneOf(...SHARD_STATES),
  /** One more with each invitation: what was made for an earlier one does not count. */
  generation: uint(),
  /** Who is invited or holds it, and what exactly: its own encryption of the shard. */
  provider: optional(hash32),
  cid: optional(cid),
  root: optional(hash32),
  /** Gateway from which the shard can be fetched. */
  source: optional(text(SOURCE_MAX)),
  /** Who held it last and lost it: not the one to ask next. */
  lostBy: optional(hash32),
  inviter: optional(hash32),
  invitedUntilUs: optional(uint()),
  collateral: u64,
  /** The end of the deal that the provider agreed to. */
  untilEpoch: uint(),
  /** Challenges up to this one are proven, or counted as missed. */
  settledOrdinal: uint(),
  settledEpoch: uint(),
  /** Last epoch that was paid for, whoever held the shard. */
  paidEpoch: uint(),
  proven: uint(),
  missed: uint(),
  missedInRow: uint(),
});
export type ShardRecord = CodecValue<typeof shardRecord>;

export const VACANT_SHARD: ShardRecord = {
  ...{ state: 'vacant', generation: 0, collateral: 0n, untilEpoch: 0 },
  ...{ settledOrdinal: 0, settledEpoch: 0, paidEpoch: 0 },
  ...{ proven: 0, missed: 0, missedInRow: 0 },
};

/** The challenge of an epoch: set by the first call in it, from the block before. */
export const beacon = record({
  epoch: uint(),
  /** How many challenges there have been with epochs of this length. */
  ordinal: uint(),
  seed: hash32,
  /** Which of the last 64 epochs had one: this epoch is the lowest bit, which is set. */
  recent: u64,
});
export type Beacon = CodecValue<typeof beacon>;

export const RECENT_EPOCHS = 64;

/** `recent` of the challenge that comes after `latest`. */
export function recentWith(latest: Beacon | undefined, epoch: number): bigint {
  const passed = latest === undefined ? RECENT_EPOCHS : epoch - latest.epoch;
  const before = passed >= RECENT_EPOCHS ? 0n : (latest?.recent ?? 0n) << BigInt(passed);
  return BigInt.asUintN(RECENT_EPOCHS, before) | 1n;
}

/**
 * How many challenges there were after an epoch. Of those that are further back than is known there may
 * have been one in every epoch: whoever is asked too late for a missed proof is not charged for it.
 */
export function challengesAfter({ epoch, recent }: Beacon, last: number): number {
  const epochs = Math.max(0, epoch - last);
  let count = Math.max(0, epochs - RECENT_EPOCHS);
  let bits = BigInt.asUintN(Math.min(epochs, RECENT_EPOCHS), recent);
  for (; bits > 0n; bits >>= 1n) count += Number(bits & 1n);
  return count;
}

const numberBytes = (value: number, length: 2 | 8): Bytes => numberKey(value).subarray(8 - length);

export const dealsKeys = {
  /** → `dealRecord` */
  deal: (id: string): Bytes => storageKey('deal/', id),
  /** → `dealDescriptor` */
  content: (id: string): Bytes => storageKey('content/', id),
  /** → `shardRecord` */
  shard: (id: string, index: number): Bytes =>
    concatBytes(storageKey('shard/', id), numberBytes(index, 2)),
  shards: (id: string): Bytes => storageKey('shard/', id),
  /** → `beacon` */
  beacon: (epochUs: number): Bytes => concatBytes(storageKey('beacon/'), numberBytes(epochUs, 8)),
  of: (consumer: AccountId, id: string): Bytes => storageKey('of/', consumer, id),
  dealsOf: (consumer: AccountId): Bytes => storageKey('of/', consumer),
  work: (provider: AccountId, id: string, index: number): Bytes =>
    concatBytes(storageKey('work/', provider, id), numberBytes(index, 2)),
  workOf: (provider: AccountId): Bytes => storageKey('work/', provider),
  repair: (repairer: AccountId, id: string): Bytes => storageKey('repair/', repairer, id),
  repairsOf: (repairer: AccountId): Bytes => storageKey('repair/', repairer),
};

const ACCOUNT_BYTES = 32;

/** Deal and shard of a key below `work/<provider>`. */
export function workOfKey(key: Bytes): { readonly deal: string; readonly index: number } {
  const index = key.subarray(-2);
  const deal = bytesToHex(key.subarray(-2 - ACCOUNT_BYTES, -2));
  return { deal, index: (index[0] as number) * 256 + (index[1] as number) };
}

/** Deal of a key below `of/<consumer>` or `repair/<repairer>`. */
export const dealOfKey = (key: Bytes): string => bytesToHex(key.subarray(-ACCOUNT_BYTES));

/** A deal is named by who proposes it and a salt, so proposing it again changes nothing. */
export function dealId(consumer: AccountId, salt: string): string {
  return hashOf('seele/deal/1', storageKey('', consumer, salt));
}

/** Makes the challenges of a deal's shards different ones. */
export function shardId(deal: string, index: number): string {
  return hashOf('seele/deal-shard/1', concatBytes(storageKey('', deal), numberBytes(index, 2)));
}

export const epochAt = (timeUs: number, epochUs: number): number => Math.floor(timeUs / epochUs);

export const dealsSettings = defineSettings(DEALS_CONTRACT, {
  /** Shortest epoch: a proof must be final within it. */
  minEpochUs: 5_000_000n,
  /** How long an invitation stands at most: the shard must be fetched and accepted within it. */
  inviteUs: 600_000_000n,
  /** Share of the collateral, in thousandths, that each missed proof costs. */
  missPerMille: 100n,
  /** So many missed proofs in a row, and the shard is lost, and with it all collateral. */
  lostAfter: 3n,
  /** Share of the collateral, in thousandths, that leaving before the agreed end costs. */
  leavePerMille: 200n,
  /** Share of the collateral, in thousandths, that whoever replaced a shard gets with its first proof. */
  repairPerMille: 100n,
  /** Epochs that are still paid for after the consumer ends a deal early. */
  endNoticeEpochs: 1n,
  /** Longest term in epochs. */
  maxTerm: 1_000_000n,
});

const shardEvent = { deal: hash32, index: uint(), provider: hash32 };
export const VACATED_REASONS = ['missed', 'false', 'left', 'finished', 'declined'] as const;

export const dealsEvents = {
  proposed: defineEvent(
    DEALS_CONTRACT,
    'proposed',
    record({ deal: hash32, consumer: hash32, escrow: u64, endEpoch: uint() }),
  ),
  invited: defineEvent(
    DEALS_CONTRACT,
    'invited',
    record({ ...shardEvent, generation: uint(), inviter: hash32 }),
  ),
  accepted: defineEvent(
    DEALS_CONTRACT,
    'accepted',
    record({ ...shardEvent, generation: uint(), collateral: u64 }),
  ),
  challenged: defineEvent(
    DEALS_CONTRACT,
    'challenged',
    record({ epochUs: uint(), epoch: uint(), ordinal: uint(), seed: hash32 }),
  ),
  proven: defineEvent(
    DEALS_CONTRACT,
    'proven',
    record({ ...shardEvent, epoch: uint(), paid: u64 }),
  ),
  /** Collateral that was lost, for so many missed proofs (none: for another reason). */
  slashed: defineEvent(
    DEALS_CONTRACT,
    'slashed',
    record({ ...shardEvent, missed: uint(), amount: u64 }),
  ),
  vacated: defineEvent(
    DEALS_CONTRACT,
    'vacated',
    record({ ...shardEvent, reason: oneOf(...VACATED_REASONS), returned: u64 }),
  ),
  extended: defineEvent(
    DEALS_CONTRACT,
    'extended',
    record({ deal: hash32, endEpoch: uint(), escrow: u64, fund: u64 }),
  ),
  closed: defineEvent(DEALS_CONTRACT, 'closed', record({ deal: hash32, refunded: u64 })),
};

type Reader = Pick<Context['storage'], 'get'>;

export const readBeacon = (storage: Reader, epochUs: number): Beacon | undefined =>
  readValue(storage, dealsKeys.beacon(epochUs), beacon);

export function dealOrRevert(context: Context, id: string): DealRecord {
  const found = readValue(context.storage, dealsKeys.deal(id), dealRecord);
  return found ?? context.revert('DEALS_UNKNOWN', `there is no deal ${id}`);
}

export function shardOrRevert(
  context: Context,
  id: string,
  deal: DealRecord,
  index: number,
): ShardRecord {
  if (index >= deal.shards)
    return context.revert('DEALS_UNKNOWN', `deal ${id} has ${deal.shards} shards, none ${index}`);
  return readValue(context.storage, dealsKeys.shard(id, index), shardRecord) ?? VACANT_SHARD;
}

export const writeDeal = ({ storage }: Context, id: string, deal: DealRecord): void =>
  writeValue(storage, dealsKeys.deal(id), dealRecord, deal);

export const writeShard = (
  { storage }: Context,
  id: string,
  index: number,
  shard: ShardRecord,
): void => writeValue(storage, dealsKeys.shard(id, index), shardRecord, shard);

export const mark = ({ storage }: Context, key: Bytes): void => writeValue(storage, key, done, {});
