/** A deal in memory with people on it, for tests of contract `deals`. */
import type { Signer } from '#libs/crypto';
import { contractAccount } from '#libs/crypto';
import { type Bytes, decodeWith } from '#libs/kernel';
import { type SectorProof, logLeafHash, logNodeHash } from '#libs/merkle';
import { dealsMethods } from '../deals/deals.ts';
import { sectorsOfChallenge } from '../deals/proving.ts';
import {
  type Beacon,
  DEALS_CONTRACT,
  type DealRecord,
  type ShardRecord,
  VACANT_SHARD,
  dealRecord,
  dealsKeys,
  readBeacon,
  shardRecord,
} from '../deals/state.ts';
import { MANIFEST, type World, createWorld, person } from './orders-world.ts';

export const dealsAccount = contractAccount(DEALS_CONTRACT);
export const EPOCH_US = 1_000;
export const SHARD_BYTES = 3_000;
/** What everybody begins with. */
export const EACH = 10_000n;

/** A shard's bytes: other ones for each filler. Three sectors. */
export const shardOf = (filler: number): Bytes =>
  Uint8Array.from({ length: SHARD_BYTES }, (_, i) => (i * 7 + filler * 13) % 251);

const sectorsOf = (bytes: Bytes): readonly Bytes[] =>
  [0, 1, 2].map((i) => bytes.slice(i * 1024, (i + 1) * 1024));

export function rootOf(bytes: Bytes): string {
  const [a, b, c] = sectorsOf(bytes).map(logLeafHash) as [string, string, string];
  return logNodeHash(logNodeHash(a, b), c);
}

function proofOf(bytes: Bytes, index: number): SectorProof {
  const sectors = sectorsOf(bytes);
  const [a, b, c] = sectors.map(logLeafHash) as [string, string, string];
  const path = [[b, c], [a, c], [logNodeHash(a, b)]][index] as string[];
  return { index, sector: sectors[index] as Bytes, path };
}

export interface DealsWorld {
  readonly world: World;
  deal(id: string): DealRecord;
  shard(id: string, index: number): ShardRecord;
  beacon(): Beacon | undefined;
  /** Answers of somebody who keeps these bytes to the challenge as it stands. */
  proofs(id: string, index: number, bytes: Bytes): readonly SectorProof[];
  /** To the beginning of the next epoch. */
  nextEpoch(): void;
  epoch(): number;
  /** Everything that the contract says it owes. */
  owed(ids: readonly string[]): bigint;
}

export function createDealsWorld(people: readonly Signer[], inviteUs: bigint = 2_500n): DealsWorld {
  const settings = { 'deals.minEpochUs': 100n, 'deals.inviteUs': inviteUs };
  const world = createWorld({ people, amountEach: EACH, settings });
  const get = (key: Bytes) => world.get(DEALS_CONTRACT, key);
  const deal = (id: string) => decodeWith(dealRecord, get(dealsKeys.deal(id)) as Bytes);
  const shard = (id: string, index: number) => {
    const bytes = get(dealsKeys.shard(id, index));
    return bytes ? decodeWith(shardRecord, bytes) : VACANT_SHARD;
  };
  const beacon = () => readBeacon({ get }, EPOCH_US);
  return {
    world,
    deal,
    shard,
    beacon,
    proofs: (id, index, bytes) =>
      sectorsOfChallenge(deal(id), id, index, beacon() as Beacon).map((i) => proofOf(bytes, i)),
    nextEpoch: () => world.advance(EPOCH_US - (world.timeUs % EPOCH_US)),
    epoch: () => Math.floor(world.timeUs / EPOCH_US),
    owed: (ids) =>
      ids
        .map((id) => {
          const { escrow, fund, shards } = deal(id);
          const collateral = Array.from({ length: shards }, (_, i) => shard(id, i).collateral);
          return escrow + fund + collateral.reduce((sum, one) => sum + one, 0n);
        })
        .reduce((sum, one) => sum + one, 0n),
  };
}

export const TERMS = {
  descriptor: new Uint8Array([1]),
  ...{ needed: 1, shards: 2, shardBytes: SHARD_BYTES, samples: 4 },
  ...{ epochUs: EPOCH_US, price: 5n, collateral: 100n, term: 6 },
};

/** Invites and accepts in one go. */
export function hold(
  { world }: DealsWorld,
  by: Signer,
  provider: Signer,
  id: string,
  index: number,
  bytes: Bytes,
): void {
  const root = rootOf(bytes);
  const invited = { deal: id, index, provider: provider.account, cid: MANIFEST, root };
  const { generation } = world.must(by, DEALS_CONTRACT, dealsMethods.invite, invited);
  world.must(provider, DEALS_CONTRACT, dealsMethods.accept, { deal: id, index, generation });
}

export const [consumer, repairer, first, second, third, stranger] = [
  'consumer-1',
  'repairer',
  'provider-1',
  'provider-2',
  'provider-3',
  'x',
].map(person) as [Signer, Signer, Signer, Signer, Signer, Signer];
export const everybody = [consumer, repairer, first, second, third, stranger];
