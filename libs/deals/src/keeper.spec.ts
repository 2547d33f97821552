import {
  DEALS_CONTRACT,
  dealRecord,
  dealsCalls,
  dealsKeys,
  dealsMethods,
  systemContracts,
  tokenAmount,
  tokenFees,
  tokenKeys,
} from '#contracts';
import { type Signer, contractAccount, createSigner } from '#libs/crypto';
import { type Bytes, type KeyValueStore, decodeWith } from '#libs/kernel';
import { createContractHarness } from '#libs/ledger';
import { type NodeClient, armFailpoints, createLogger } from '#libs/platform';
import { commitSectors, createMemoryBlobStore } from '#libs/storage';
import { createMemoryStore } from '#libs/store';
import { type ChainSender, createDealReader } from './chain.ts';
import { createShardKeeper } from './keeper.ts';

const EPOCH_US = 1_000;
const EACH = 10_000n;
const PRICE = 5n;
const COLLATERAL = 100n;
const SHARD_BYTES = 5_000;
const [consumer, provider, other] = [1, 2, 3].map((n) =>
  createSigner(new Uint8Array(32).fill(n)),
) as [Signer, Signer, Signer];
const shardOf = (filler: number): Bytes =>
  Uint8Array.from({ length: SHARD_BYTES }, (_, i) => (i * 7 + filler * 13) % 251);

/** A chain in memory, and a provider's keeper over it whose process may end. */
function createRig() {
  const chain = createContractHarness({
    contracts: systemContracts,
    parameters: {
      allocations: [consumer, provider, other].map(({ account }) => ({ account, amount: EACH })),
      settings: [
        { name: 'deals.minEpochUs', value: 100n },
        { name: 'deals.inviteUs', value: 2_500n },
      ],
    },
    fees: tokenFees,
  });
  chain.advance(EPOCH_US - (chain.timeUs % EPOCH_US) + 10);
  const node = {
    state: async (contract: string, key: Bytes) => chain.get(contract, key),
    async *scan(contract: string, prefix: Bytes) {
      yield* chain.scan(contract, prefix);
    },
  } as unknown as NodeClient;
  const reader = createDealReader(node);
  const blobs = createMemoryBlobStore();
  const store: KeyValueStore = createMemoryStore();
  const refusals: string[] = [];
  /** How long each call of the provider is under way. */
  let delayUs = 0;
  const senderOf = ({ account }: Signer): ChainSender => ({
    async send(transactions) {
      chain.advance(delayUs);
      return transactions.map((calls) => {
        const outcome = chain.execute(account, calls);
        if (outcome.ok) return { ok: true, receipt: {} as never };
        refusals.push(outcome.code);
        return { ok: false, code: outcome.code, message: outcome.message };
      });
    },
  });
  const startKeeper = () =>
    createShardKeeper({
      ...{ account: provider.account, reader, sender: senderOf(provider), blobs, store },
      storage: { url: 'http://127.0.0.1:1' },
      terms: {
        ...{ capacityBytes: 1e9, pricePerGibDay: 0n, minEpochUs: 1, maxCollateral: COLLATERAL },
      },
      clock: { nowUs: () => chain.timeUs, monotonicMs: () => chain.timeUs / 1_000 },
      logger: createLogger({ name: 'test', level: 'silent' }),
      pollMs: 1,
    });
  let keeper = startKeeper();
  const call = (by: Signer, made: Parameters<typeof chain.execute>[1][number]) => {
    const outcome = chain.execute(by.account, [made]);
    if (!outcome.ok) throw new Error(`${outcome.code}: ${outcome.message}`);
  };
  return {
    chain,
    reader,
    blobs,
    refusals,
    call,
    /** A deal of one shard to which the provider is invited. */
    async invite(filler = 0) {
      const proposed = chain.call(consumer.account, DEALS_CONTRACT, dealsMethods.propose, {
        ...{ salt: filler.toString(16).padStart(32, '0'), descriptor: new Uint8Array([1]) },
        ...{ needed: 1, shards: 1, shardBytes: SHARD_BYTES, samples: 4, epochUs: EPOCH_US },
        ...{ price: PRICE, collateral: COLLATERAL, term: 20 },
      });
      if (!proposed.ok) throw new Error(proposed.code);
      const { deal } = proposed.value;
      const bytes = shardOf(filler);
      const { cid } = await blobs.put(bytes, { pin: false });
      const { root } = await commitSectors(bytes);
      call(consumer, dealsCalls.invite({ deal, index: 0, provider: provider.account, cid, root }));
      return { deal, cid };
    },
    /** Looks, and lets what it began in the background end. */
    async round() {
      await keeper.round();
      while (keeper.status().fetching > 0) await new Promise((resolve) => setTimeout(resolve, 1));
    },
    status: () => keeper.status(),
    /** The process dies; another starts on the same disk. */
    restart() {
      void keeper.stop();
      keeper = startKeeper();
    },
    nextEpoch: () => chain.advance(EPOCH_US - (chain.timeUs % EPOCH_US) + 10),
    slow: (us: number) => void (delayUs = us),
    balance(account: string) {
      const bytes = chain.get('token', tokenKeys.balance(account));
      return bytes ? decodeWith(tokenAmount, bytes) : 0n;
    },
    deal: (id: string) =>
      decodeWith(dealRecord, chain.get(DEALS_CONTRACT, dealsKeys.deal(id)) as Bytes),
  };
}
afterEach(() => armFailpoints(undefined));

describe('a provider of storage', () => {
  it('takes a shard, answers every epoch, also after restarts, and lets go of what is over', async () => {
    const rig = createRig();
    const { deal, cid } = await rig.invite();
    await rig.round();
    expect(await rig.reader.shard(deal, 0)).toMatchObject({ state: 'held' });
    for (let epoch = 1; epoch <= 4; epoch++) {
      rig.nextEpoch();
      if (epoch % 2 === 0) rig.restart();
      await rig.round();
      await rig.round(); // answers once
      expect((await rig.reader.shard(deal, 0)).proven).toBe(epoch);
    }
    expect(rig.balance(provider.account)).toBe(EACH - COLLATERAL + 4n * PRICE);
    rig.call(consumer, dealsCalls.end({ deal }));
    for (let i = 0; i < 3; i++) {
      rig.nextEpoch();
      await rig.round();
    }
    expect(rig.balance(contractAccount(DEALS_CONTRACT))).toBe(0n);
    expect(rig.balance(provider.account)).toBeGreaterThanOrEqual(EACH + 4n * PRICE);
    expect([await rig.blobs.isPinned(cid), rig.status().shards]).toEqual([false, 0]);
  });

  it('that answers late is not paid, and loses a share each time, in the end the shard', async () => {
    const rig = createRig();
    const { deal, cid } = await rig.invite();
    await rig.round();
    rig.nextEpoch();
    rig.slow(EPOCH_US);
    const before = rig.balance(provider.account);
    for (let i = 0; i < 8 && (await rig.reader.shard(deal, 0)).state === 'held'; i++) {
      rig.nextEpoch();
      await rig.round();
      rig.chain.execute(other.account, [dealsCalls.report({ deal, index: 0 })]);
    }
    expect(rig.refusals).toContain('DEALS_EPOCH');
    expect(await rig.reader.shard(deal, 0)).toMatchObject({
      ...{ state: 'vacant', proven: 0, lostBy: provider.account },
    });
    expect(rig.balance(provider.account)).toBe(before);
    expect(rig.deal(deal).fund).toBe(COLLATERAL);
    rig.slow(0);
    await rig.round();
    expect(await rig.blobs.isPinned(cid)).toBe(false);
  });

  it('whose bytes are gone gives the shard up early, for a fifth of its collateral', async () => {
    const rig = createRig();
    const { deal } = await rig.invite();
    await rig.round();
    rig.blobs.blocks.clear();
    rig.nextEpoch();
    await rig.round();
    expect(await rig.reader.shard(deal, 0)).toMatchObject({ state: 'vacant' });
    expect(rig.balance(provider.account)).toBe(EACH - COLLATERAL / 5n);
    expect(rig.deal(deal).fund).toBe(COLLATERAL / 5n);
  });

  it('declines what is not what was promised, and keeps nothing of it', async () => {
    const rig = createRig();
    const { deal } = await rig.invite(7);
    rig.call(provider, dealsCalls.decline({ deal, index: 0, generation: 1 }));
    const { cid } = await rig.blobs.put(shardOf(8), { pin: false });
    const { root } = await commitSectors(shardOf(7));
    rig.call(
      consumer,
      dealsCalls.invite({ deal, index: 0, provider: provider.account, cid, root }),
    );
    await rig.round();
    expect(await rig.reader.shard(deal, 0)).toMatchObject({ state: 'vacant' });
    expect(await rig.blobs.isPinned(cid)).toBe(false);
  });

  it.each(['deals.keep.fetched', 'deals.keep.before-accept', 'deals.keep.after-accept'])(
    'cut off at %s goes on with the shard after a restart, or leaves no pin behind',
    async (place) => {
      for (const isInTime of [true, false]) {
        const rig = createRig();
        const { deal, cid } = await rig.invite();
        armFailpoints(`${place}=error@1`);
        await rig.round();
        expect(await rig.blobs.isPinned(cid)).toBe(true);
        rig.restart();
        if (!isInTime) rig.chain.advance(3_000); // past the invitation
        await rig.round();
        const isHeld = isInTime || place === 'deals.keep.after-accept';
        expect((await rig.reader.shard(deal, 0)).state === 'held').toBe(isHeld);
        expect(await rig.blobs.isPinned(cid)).toBe(isHeld);
        // Until the deal is over: then nothing is left of it.
        rig.call(consumer, dealsCalls.end({ deal }));
        for (let i = 0; i < 4; i++) {
          rig.nextEpoch();
          await rig.round();
        }
        expect(await rig.blobs.isPinned(cid)).toBe(false);
        expect(rig.status()).toMatchObject({ shards: 0 });
      }
    },
  );

  it.each(['deals.prove.before', 'deals.prove.after', 'deals.drop.before'])(
    'cut off at %s is paid once, and ends clean',
    async (place) => {
      const rig = createRig();
      const { deal, cid } = await rig.invite();
      await rig.round();
      armFailpoints(`${place}=error@1`);
      rig.nextEpoch();
      await rig.round().catch(() => undefined);
      rig.restart();
      await rig.round();
      await rig.round();
      expect((await rig.reader.shard(deal, 0)).proven).toBe(1);
      rig.call(consumer, dealsCalls.end({ deal }));
      for (let i = 0; i < 5; i++) {
        rig.nextEpoch();
        await rig.round().catch(() => rig.restart());
      }
      expect(rig.balance(contractAccount(DEALS_CONTRACT))).toBe(0n);
      expect(await rig.blobs.isPinned(cid)).toBe(false);
    },
  );
});
