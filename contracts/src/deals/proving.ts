/**
 * Methods of contract `deals` by which shards are challenged, proven, paid for and lost. Each costs the
 * same whatever else is stored: missed proofs are the difference of two counters.
 */
import { hashOf } from '#libs/crypto';
import { type Bytes, bool, hash32, hexToBytes, list, record, u64, uint } from '#libs/kernel';
import { type Context, defineMethod } from '#libs/ledger';
import {
  type SectorProof,
  challengeSeed,
  challengedSectors,
  sectorProof,
  verifySector,
} from '#libs/merkle';
import { emit, writeValue } from '../contract-kit.ts';
import { demand } from '../errors.ts';
import { payTo } from '../token/token.ts';
import { vacated } from './proposing.ts';
import {
  type Beacon,
  DEAL_SAMPLES_MAX,
  DEAL_SHARDS_MAX,
  type DealRecord,
  type ShardRecord,
  beacon,
  challengesAfter,
  dealOrRevert,
  dealsEvents,
  dealsKeys,
  dealsSettings,
  epochAt,
  readBeacon,
  recentWith,
  shardId,
  shardOrRevert,
  writeDeal,
  writeShard,
} from './state.ts';

const PER_MILLE = 1_000n;
/** A sector of 1 KiB and up to thirty nodes above it. */
const PROOF_FUEL = 150_000n;

/** One shard in the hands of a method, written when the method is done with it. */
interface Open {
  readonly id: string;
  readonly index: number;
  deal: DealRecord;
  shard: ShardRecord;
}

function open(context: Context, id: string, index: number): Open {
  const deal = dealOrRevert(context, id);
  return { id, index, deal, shard: shardOrRevert(context, id, deal, index) };
}

function write(context: Context, { id, index, deal, shard }: Open): void {
  writeDeal(context, id, deal);
  writeShard(context, id, index, shard);
}

/** Moves collateral into the deal's fund. */
function slash(context: Context, at: Open, asked: bigint, missed: number): void {
  const { deal, shard, id, index } = at;
  const amount = asked < shard.collateral ? asked : shard.collateral;
  at.shard = { ...shard, collateral: shard.collateral - amount };
  at.deal = { ...deal, fund: deal.fund + amount };
  const provider = shard.provider as string;
  if (amount > 0n || missed > 0)
    emit(context, dealsEvents.slashed, { deal: id, index, provider, missed, amount });
}

type Reason = 'missed' | 'false' | 'left' | 'finished';

/** Nobody holds the shard any more; what is left of the collateral goes back when all is written. */
function vacate(context: Context, at: Open, reason: Reason): void {
  const { id, index, shard } = at;
  const { collateral: returned } = shard;
  const provider = shard.provider as string;
  const isLoser = reason === 'missed' || reason === 'false';
  at.shard = { ...vacated(shard), ...(isLoser && { lostBy: provider }) };
  at.deal = { ...at.deal, held: at.deal.held - 1 };
  context.storage.delete(dealsKeys.work(provider, id, index));
  write(context, at);
  payTo(context, provider, returned);
  emit(context, dealsEvents.vacated, { deal: id, index, provider, reason, returned });
}

/**
 * Counts challenges that are over and were not answered. True when the shard is lost by that: then it is
 * written and nobody's.
 */
function settleMissed(context: Context, at: Open, latest: Beacon | undefined): boolean {
  const { deal, shard } = at;
  const now = epochAt(context.block.timeUs, deal.epochUs);
  const lastOver = Math.min(now - 1, deal.endEpoch);
  // Neither the challenge of this epoch, which can still be answered, nor those after the deal's end.
  const over = latest === undefined ? 0 : latest.ordinal - challengesAfter(latest, lastOver);
  const missed = Math.max(0, over - shard.settledOrdinal);
  const settings = dealsSettings.read(context.storage);
  at.shard = {
    ...shard,
    settledOrdinal: Math.max(over, shard.settledOrdinal),
    settledEpoch: Math.max(lastOver, shard.settledEpoch),
    missed: shard.missed + missed,
    missedInRow: shard.missedInRow + missed,
  };
  if (missed === 0) return false;
  const isLost = BigInt(at.shard.missedInRow) >= settings.lostAfter;
  const penalty = (BigInt(missed) * deal.collateral * settings.missPerMille) / PER_MILLE;
  slash(context, at, isLost ? shard.collateral : penalty, missed);
  if (isLost) vacate(context, at, 'missed');
  return isLost;
}

const shardArgs = { deal: hash32, index: uint(DEAL_SHARDS_MAX - 1) };

function demandHeldByCaller(context: Context, { shard, index }: Open): void {
  demand(
    context,
    shard.state === 'held' && shard.provider === context.caller,
    'DEALS_NOT_PARTY',
    `shard ${index} is not held by ${context.caller}`,
  );
}

/** The sectors that a challenge asks for of one shard. */
export function sectorsOfChallenge(
  deal: Pick<DealRecord, 'samples' | 'shardBytes'>,
  id: string,
  index: number,
  { seed, epoch }: Beacon,
): number[] {
  const own = challengeSeed(seed, shardId(id, index), epoch);
  return challengedSectors(own, deal.shardBytes, deal.samples);
}

function isProven(
  context: Context,
  { deal, shard, id, index }: Open,
  latest: Beacon,
  proofs: readonly SectorProof[],
): boolean {
  const sectors = sectorsOfChallenge(deal, id, index, latest);
  context.charge(PROOF_FUEL * BigInt(sectors.length));
  const commitment = { root: shard.root as string, sizeBytes: deal.shardBytes };
  return (
    proofs.length === sectors.length &&
    sectors.every((sector, i) => verifySector(commitment, sector, proofs[i] as SectorProof))
  );
}

const tick = defineMethod({
  name: 'tick',
  args: record({ epochUs: uint() }),
  returns: beacon,
  run(context, { epochUs }) {
    const { minEpochUs } = dealsSettings.read(context.storage);
    demand(context, epochUs >= minEpochUs, 'DEALS_TERMS', `an epoch of ${epochUs} µs`);
    const { parent, timeUs } = context.block;
    const epoch = epochAt(timeUs, epochUs);
    const latest = readBeacon(context.storage, epochUs);
    if (latest !== undefined && latest.epoch >= epoch) return latest;
    const seed = hashOf('seele/deal-challenge/1', hexToBytes(parent) as Bytes);
    const next = { epoch, ordinal: (latest?.ordinal ?? 0) + 1, seed };
    const whole = { ...next, recent: recentWith(latest, epoch) };
    writeValue(context.storage, dealsKeys.beacon(epochUs), beacon, whole);
    emit(context, dealsEvents.challenged, { epochUs, ...next });
    return whole;
  },
});

const proofResult = record({ paid: u64, held: bool });

const prove = defineMethod({
  name: 'prove',
  args: record({ ...shardArgs, epoch: uint(), proofs: list(sectorProof, DEAL_SAMPLES_MAX) }),
  returns: proofResult,
  run(context, { deal: id, index, epoch, proofs }) {
    const at = open(context, id, index);
    demandHeldByCaller(context, at);
    if (at.shard.paidEpoch === epoch) return { paid: 0n, held: true };
    const now = epochAt(context.block.timeUs, at.deal.epochUs);
    const latest = readBeacon(context.storage, at.deal.epochUs);
    demand(
      context,
      epoch <= at.deal.endEpoch,
      'DEALS_ENDED',
      `its last epoch is ${at.deal.endEpoch}`,
    );
    if (latest?.epoch !== epoch || now !== epoch || latest.ordinal <= at.shard.settledOrdinal)
      return context.revert('DEALS_EPOCH', `epoch ${epoch} is not challenged now, in ${now}`);
    if (settleMissed(context, at, latest)) return { paid: 0n, held: false };
    if (!isProven(context, at, latest, proofs)) {
      slash(context, at, at.shard.collateral, 0);
      vacate(context, at, 'false');
      return { paid: 0n, held: false };
    }
    const { price, fund, collateral } = at.deal;
    const { repairPerMille } = dealsSettings.read(context.storage);
    const { inviter, generation } = at.shard;
    // The first proof of who came for a lost shard earns whoever brought it a share of what was lost.
    const isFirst = generation > 1 && inviter === at.deal.repairer && inviter !== undefined;
    const asked = isFirst ? (collateral * repairPerMille) / PER_MILLE : 0n;
    const reward = asked < fund ? asked : fund;
    at.deal = {
      ...at.deal,
      ...{ escrow: at.deal.escrow - price, paid: at.deal.paid + price, fund: fund - reward },
    };
    const { inviter: _rewarded, ...proven } = at.shard;
    at.shard = {
      ...proven,
      ...{ settledOrdinal: latest.ordinal, settledEpoch: epoch, paidEpoch: epoch },
      ...{ proven: at.shard.proven + 1, missedInRow: 0 },
    };
    write(context, at);
    const provider = context.caller;
    payTo(context, provider, price);
    if (reward > 0n) payTo(context, inviter as string, reward);
    emit(context, dealsEvents.proven, { deal: id, index, provider, epoch, paid: price });
    return { paid: price, held: true };
  },
});

const report = defineMethod({
  name: 'report',
  args: record(shardArgs),
  returns: record({ missed: uint(), held: bool }),
  run(context, { deal: id, index }) {
    const at = open(context, id, index);
    if (at.shard.state !== 'held') return { missed: 0, held: false };
    const before = at.shard.missed;
    const isLost = settleMissed(context, at, readBeacon(context.storage, at.deal.epochUs));
    const missed = at.shard.missed - before;
    if (!isLost && missed > 0) write(context, at);
    return { missed, held: !isLost };
  },
});

const leave = defineMethod({
  name: 'leave',
  args: record(shardArgs),
  returns: record({ returned: u64 }),
  run(context, { deal: id, index }) {
    const at = open(context, id, index);
    demandHeldByCaller(context, at);
    if (settleMissed(context, at, readBeacon(context.storage, at.deal.epochUs)))
      return { returned: 0n };
    const { leavePerMille } = dealsSettings.read(context.storage);
    const now = epochAt(context.block.timeUs, at.deal.epochUs);
    const isEarly = now <= Math.min(at.shard.untilEpoch, at.deal.endEpoch);
    if (isEarly) slash(context, at, (at.deal.collateral * leavePerMille) / PER_MILLE, 0);
    const returned = at.shard.collateral;
    vacate(context, at, 'left');
    return { returned };
  },
});

const finish = defineMethod({
  name: 'finish',
  args: record(shardArgs),
  returns: record({ returned: u64 }),
  run(context, { deal: id, index }) {
    const at = open(context, id, index);
    if (at.shard.state !== 'held') return { returned: 0n };
    const now = epochAt(context.block.timeUs, at.deal.epochUs);
    demand(
      context,
      now > at.deal.endEpoch,
      'DEALS_NOT_ENDED',
      `its last epoch is ${at.deal.endEpoch}, this one is ${now}`,
    );
    if (settleMissed(context, at, readBeacon(context.storage, at.deal.epochUs)))
      return { returned: 0n };
    const returned = at.shard.collateral;
    vacate(context, at, 'finished');
    return { returned };
  },
});

export const provingMethods = {
  /** Anyone: sets the challenge of this epoch, if it is not set. */
  tick,
  /** Who holds the shard: answers the challenge of this epoch and is paid; a false answer costs all. */
  prove,
  /** Anyone: has missed proofs counted; after too many the shard is lost. */
  report,
  /** Who holds the shard: gives it up, for a share of the collateral when it is too early. */
  leave,
  /** Anyone, after the deal's end: gives the provider its collateral back. */
  finish,
};
