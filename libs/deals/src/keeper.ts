/**
 * A provider's side of deals: takes shards it is invited to, answers every challenge, gives back what is
 * over. What it must do stands on the chain, so a restart loses nothing: each round looks at what the
 * chain asks and does it; on disk are the shards and the roots from which proofs are made.
 */
import {
  type Beacon,
  type DealRecord,
  type ShardRecord,
  dealsCalls,
  sectorsOfChallenge,
} from '#contracts';
import {
  type AccountId,
  type Clock,
  type CodecValue,
  type KeyValueStore,
  decodeWith,
  encodeWith,
  hash32,
  optional,
  record,
  u64,
  uint,
  utf8,
  cid as cidCodec,
} from '#libs/kernel';
import { type Logger, declareFailpoints, failpoint } from '#libs/platform';
import {
  type BlobStore,
  blockOfSector,
  commitSectors,
  proveSector,
  pullContent,
  sectorTree,
} from '#libs/storage';
import type { ChainSender, DealReader, Work } from './chain.ts';
import { epochPrice } from './offer.ts';
import { PinIntents } from './pin-intents.ts';

declareFailpoints(
  'deals.keep.fetched',
  'deals.keep.before-accept',
  'deals.keep.after-accept',
  'deals.prove.before',
  'deals.prove.after',
  'deals.drop.before',
);

const MIB = 1024 * 1024;
/** Trees of a TiB are 32 MiB; they are read whole. */
const TREE_LIMITS = { maxBytes: 64 * MIB };
const PULLS_AT_ONCE = 2;

/** A shard on this provider's disk, and what it has earned. */
const keptShard = record({
  deal: hash32,
  index: uint(),
  generation: uint(),
  cid: cidCodec,
  sizeBytes: uint(),
  tree: sectorTree,
  provenEpochs: uint(),
  earned: u64,
  lastEpoch: optional(uint()),
});
type KeptShard = CodecValue<typeof keptShard>;

export interface KeeperTerms {
  readonly capacityBytes: number;
  readonly pricePerGibDay: bigint;
  readonly minEpochUs: number;
  readonly maxCollateral: bigint;
}

export interface KeeperParts {
  readonly account: AccountId;
  readonly reader: DealReader;
  readonly sender: ChainSender;
  readonly blobs: BlobStore;
  /** RPC of the own storage, which fetches shards. */
  readonly storage: { readonly url: string; readonly token?: string };
  /** Durable, for what is kept. */
  readonly store: KeyValueStore;
  readonly terms: KeeperTerms;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Between two looks at the chain. */
  readonly pollMs: number;
}

export interface KeeperStatus {
  readonly shards: number;
  readonly bytes: number;
  readonly capacityBytes: number;
  readonly fetching: number;
  readonly provenEpochs: number;
  /** Smallest units, of shards that are still kept and of those that were. */
  readonly earned: string;
  readonly problems: readonly string[];
}

export interface ShardKeeper {
  status(): KeeperStatus;
  /** Looks once, and does what is due; invitations are taken in the background. */
  round(): Promise<void>;
  start(): void;
  stop(): Promise<void>;
}

const nameOf = ({ deal, index }: Work): string => `${deal}/${index}`;
const keyOf = (work: Work) => utf8(`shard/${nameOf(work)}`);
const EARNED_KEY = utf8('earned');
const PROBLEMS_SHOWN = 10;

interface Held extends Work {
  readonly record: DealRecord;
  readonly shard: ShardRecord;
}

class Keeper implements ShardKeeper {
  readonly #parts: KeeperParts;
  readonly #kept = new Map<string, KeptShard>();
  readonly #fetching = new Map<string, Promise<void>>();
  readonly #intents: PinIntents;
  readonly #problems = new Map<string, string>();
  readonly #stopping = new AbortController();
  #earnedBefore = 0n;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(parts: KeeperParts) {
    this.#parts = parts;
    const { store, logger } = parts;
    for (const [key, bytes] of store.range({ start: utf8('shard/'), end: utf8('shard0') }))
      try {
        const kept = decodeWith(keptShard, bytes, TREE_LIMITS);
        this.#kept.set(nameOf(kept), kept);
      } catch (error) {
        logger.error({ err: error, key: key.length }, 'a kept shard’s record is damaged; ignored');
      }
    this.#intents = new PinIntents(store, parts.blobs);
    const earned = store.get(EARNED_KEY);
    if (earned !== undefined) this.#earnedBefore = decodeWith(u64, earned);
  }

  status(): KeeperStatus {
    const kept = [...this.#kept.values()];
    return {
      shards: kept.length,
      bytes: this.#bytes(),
      capacityBytes: this.#parts.terms.capacityBytes,
      fetching: this.#fetching.size,
      provenEpochs: kept.reduce((sum, one) => sum + one.provenEpochs, 0),
      earned: kept.reduce((sum, one) => sum + one.earned, this.#earnedBefore).toString(),
      problems: [...this.#problems]
        .slice(0, PROBLEMS_SHOWN)
        .map(([what, why]) => `${what}: ${why}`),
    };
  }

  #bytes(): number {
    return [...this.#kept.values()].reduce((sum, one) => sum + one.sizeBytes, 0);
  }

  async #save(kept: KeptShard): Promise<void> {
    const name = nameOf(kept);
    this.#kept.set(name, kept);
    await this.#parts.store.commit([
      { key: keyOf(kept), value: encodeWith(keptShard, kept) },
      this.#intents.ended(name, kept.cid),
    ]);
  }

  readonly #isKept = (cid: string) => [...this.#kept.values()].some((one) => one.cid === cid);

  /** Why an invitation is not taken, if so. */
  #objection(deal: DealRecord): string | undefined {
    const { capacityBytes, pricePerGibDay, minEpochUs, maxCollateral } = this.#parts.terms;
    if (deal.shardBytes > capacityBytes - this.#bytes()) return 'there is no room for it';
    if (deal.epochUs < minEpochUs) return 'its epochs are too short';
    if (deal.collateral > maxCollateral) return 'it asks for too much collateral';
    if (deal.price < epochPrice(pricePerGibDay, deal.shardBytes, deal.epochUs))
      return 'it pays too little';
    return undefined;
  }

  async #decline(work: Work, generation: number, why: string): Promise<void> {
    this.#parts.logger.info({ ...work, why }, 'an invitation is declined');
    await this.#parts.sender.send([[dealsCalls.decline({ ...work, generation })]]);
  }

  /** Fetches a shard, checks it against what was promised, and accepts. */
  async #take({ deal, index, record: terms, shard }: Held): Promise<void> {
    const { blobs, storage, sender, logger } = this.#parts;
    const work = { deal, index };
    const { generation, cid, source, root } = shard;
    const why = this.#objection(terms);
    if (why !== undefined || cid === undefined)
      return this.#decline(work, generation, why ?? 'it names no content');
    const { signal } = this.#stopping;
    await this.#intents.begin(nameOf(work), cid);
    if (source !== undefined) await pullContent(cid, { ...storage, source, pin: true, signal });
    else await blobs.pin(cid, { signal });
    failpoint('deals.keep.fetched');
    const tree = await commitSectors(blobs.get(cid, { maxBytes: terms.shardBytes, signal }));
    if (tree.root !== root || tree.sizeBytes !== terms.shardBytes) {
      await this.#intents.undo((name) => name === nameOf(work), this.#isKept);
      return this.#decline(work, generation, 'the shard is not what it was said to be');
    }
    const { sizeBytes } = tree;
    const known = this.#kept.get(nameOf(work));
    const { provenEpochs = 0, earned = 0n } = known ?? {};
    await this.#save({ ...work, generation, cid, sizeBytes, tree, provenEpochs, earned });
    failpoint('deals.keep.before-accept');
    const [outcome] = await sender.send([[dealsCalls.accept({ ...work, generation })]]);
    failpoint('deals.keep.after-accept');
    if (outcome?.ok === true) return logger.info({ ...work, cid }, 'a shard is kept');
    throw new Error(`accepting was refused: ${outcome?.code ?? ''} ${outcome?.message ?? ''}`);
  }

  /** Takes invitations in the background: fetching must not make proofs late. */
  #takeLater(held: Held): void {
    const name = nameOf(held);
    if (this.#fetching.has(name) || this.#fetching.size >= PULLS_AT_ONCE) return;
    const taking = this.#take(held)
      .then(() => void this.#problems.delete(name))
      .catch((error: unknown) => this.#problem(name, error))
      .finally(() => this.#fetching.delete(name));
    this.#fetching.set(name, taking);
  }

  #problem(name: string, error: unknown): void {
    if (this.#stopping.signal.aborted) return;
    const text = error instanceof Error ? error.message : String(error);
    if (this.#problems.get(name) !== text)
      this.#parts.logger.warn({ shard: name, err: error }, 'a shard cannot be served');
    this.#problems.set(name, text);
  }

  /** The roots from which proofs of a shard are made: from disk, or read anew. */
  async #keptOf({ deal, index, record: terms, shard }: Held): Promise<KeptShard> {
    const known = this.#kept.get(nameOf({ deal, index }));
    const cid = shard.cid as string;
    if (known?.cid === cid) return known;
    const { blobs } = this.#parts;
    await this.#intents.begin(nameOf({ deal, index }), cid);
    await blobs.pin(cid);
    const tree = await commitSectors(blobs.get(cid, { maxBytes: terms.shardBytes }));
    const { sizeBytes } = tree;
    const fields = { deal, index, generation: shard.generation, cid, sizeBytes, tree };
    const kept = { ...fields, provenEpochs: known?.provenEpochs ?? 0, earned: known?.earned ?? 0n };
    await this.#save(kept);
    return kept;
  }

  async #proofCall(held: Held, challenge: Beacon) {
    const { blobs } = this.#parts;
    const { deal, index, record: terms } = held;
    const kept = await this.#keptOf(held);
    const blocks = new Map<number, Promise<Uint8Array>>();
    const readBlock = async (number: number): Promise<Uint8Array> => {
      const parts: Uint8Array[] = [];
      for await (const part of blobs.get(kept.cid, { offset: number * MIB, length: MIB }))
        parts.push(part);
      return Buffer.concat(parts);
    };
    const proofs = [];
    for (const sector of sectorsOfChallenge(terms, deal, index, challenge)) {
      const number = blockOfSector(sector);
      const block = blocks.get(number) ?? readBlock(number);
      blocks.set(number, block);
      proofs.push(proveSector(kept.tree, sector, await block));
    }
    return dealsCalls.prove({ deal, index, epoch: challenge.epoch, proofs });
  }

  /** Answers the challenge of this epoch for all shards with epochs of one length. */
  async #prove(epochUs: number, helds: readonly Held[]): Promise<void> {
    const { reader, sender, clock, logger } = this.#parts;
    const now = Math.floor(clock.nowUs() / epochUs);
    let challenge = await reader.beacon(epochUs);
    if ((challenge?.epoch ?? -1) < now) {
      if (helds.every(({ record: { endEpoch } }) => endEpoch < now)) return;
      await sender.send([[dealsCalls.tick({ epochUs })]]);
      challenge = await reader.beacon(epochUs);
    }
    if (challenge === undefined) return;
    const { epoch, ordinal } = challenge;
    const due = helds.filter(
      ({ record: { endEpoch }, shard }) =>
        epoch <= endEpoch && shard.paidEpoch !== epoch && shard.settledOrdinal < ordinal,
    );
    const calls: { readonly held: Held; readonly call: ReturnType<typeof dealsCalls.prove> }[] = [];
    for (const held of due)
      try {
        calls.push({ held, call: await this.#proofCall(held, challenge) });
      } catch (error) {
        this.#problem(nameOf(held), error);
        await this.#mend(held);
      }
    if (calls.length === 0) return;
    failpoint('deals.prove.before');
    const outcomes = await sender.send(calls.map(({ call }) => [call]));
    failpoint('deals.prove.after');
    for (const [i, { held }] of calls.entries()) {
      const outcome = outcomes[i];
      const name = nameOf(held);
      if (outcome?.ok !== true) {
        this.#problem(name, new Error(`${outcome?.code ?? ''}: ${outcome?.message ?? ''}`));
        continue;
      }
      this.#problems.delete(name);
      await this.#earn(held, epoch);
      logger.debug({ shard: name, epoch }, 'proven');
    }
  }

  async #earn(held: Held, epoch: number): Promise<void> {
    const kept = this.#kept.get(nameOf(held));
    if (kept === undefined || kept.lastEpoch === epoch) return;
    const { price } = held.record;
    await this.#save({
      ...kept,
      ...{ provenEpochs: kept.provenEpochs + 1, earned: kept.earned + price, lastEpoch: epoch },
    });
  }

  /** A shard whose bytes are gone: fetched again if whoever made it still has it, else given up early. */
  async #mend({ deal, index, shard }: Held): Promise<void> {
    const { storage, sender, logger } = this.#parts;
    const { cid, source } = shard;
    try {
      if (cid === undefined || source === undefined) throw new Error('there is no other copy');
      await pullContent(cid, { ...storage, source, pin: true, signal: this.#stopping.signal });
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      logger.error({ deal, index, err: error }, 'a shard is lost; it is given up');
      await sender.send([[dealsCalls.leave({ deal, index })]]);
    }
  }

  /** Ends what is over, for everybody. */
  async #finish(helds: readonly Held[]): Promise<void> {
    const { sender } = this.#parts;
    const calls = helds.map(({ deal, index, record: { held } }) => [
      dealsCalls.finish({ deal, index }),
      ...(held === 1 ? [dealsCalls.close({ deal })] : []),
    ]);
    if (calls.length > 0) await sender.send(calls);
  }

  /** Lets go of shards that are not this provider's any more. */
  async #drop(works: ReadonlySet<string>): Promise<void> {
    const { blobs, store } = this.#parts;
    const isOver = (name: string) => !works.has(name) && !this.#fetching.has(name);
    await this.#intents.undo(isOver, this.#isKept);
    for (const [name, kept] of this.#kept) {
      if (!isOver(name)) continue;
      failpoint('deals.drop.before');
      const isShared = [...this.#kept.values()].some((one) => one !== kept && one.cid === kept.cid);
      if (!isShared) await blobs.unpin(kept.cid);
      const earned = this.#earnedBefore + kept.earned;
      await store.commit([
        { key: keyOf(kept), value: null },
        { key: EARNED_KEY, value: encodeWith(u64, earned) },
      ]);
      this.#earnedBefore = earned;
      this.#kept.delete(name);
      this.#problems.delete(name);
    }
  }

  async round(): Promise<void> {
    const { reader, account, clock } = this.#parts;
    const works = await reader.workOf(account);
    const deals = new Map<string, DealRecord>();
    const held: Held[] = [];
    const mine = new Set<string>();
    for (const work of works) {
      const record = deals.get(work.deal) ?? (await reader.deal(work.deal));
      if (record === undefined) continue;
      deals.set(work.deal, record);
      const shard = await reader.shard(work.deal, work.index);
      if (shard.provider !== account) continue;
      const isInvited = shard.state === 'invited' && (shard.invitedUntilUs ?? 0) > clock.nowUs();
      if (shard.state !== 'held' && !isInvited) continue;
      mine.add(nameOf(work));
      if (isInvited) this.#takeLater({ ...work, record, shard });
      else held.push({ ...work, record, shard });
    }
    await this.#drop(mine);
    const isOver = ({ record: { endEpoch, epochUs } }: Held) =>
      Math.floor(clock.nowUs() / epochUs) > endEpoch;
    await this.#finish(held.filter(isOver));
    const running = held.filter((one) => !isOver(one));
    const lengths = new Set(running.map(({ record: { epochUs } }) => epochUs));
    for (const epochUs of lengths)
      await this.#prove(
        epochUs,
        running.filter(({ record }) => record.epochUs === epochUs),
      );
  }

  start(): void {
    const { pollMs, logger } = this.#parts;
    let failures = 0;
    const again = () => {
      this.#timer = setTimeout(() => {
        this.#running = this.round()
          .then(() => void (failures = 0))
          .catch((error: unknown) => {
            failures++;
            logger[failures === 3 ? 'warn' : 'debug']({ err: error }, 'a look at deals failed');
          })
          .finally(() => {
            if (!this.#stopping.signal.aborted) again();
          });
      }, pollMs);
    };
    again();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    clearTimeout(this.#timer);
    await Promise.race([
      Promise.allSettled([this.#running, ...this.#fetching.values()]),
      new Promise((resolve) => setTimeout(resolve, 1_000).unref()),
    ]);
  }
}

export const createShardKeeper = (parts: KeeperParts): ShardKeeper => new Keeper(parts);
