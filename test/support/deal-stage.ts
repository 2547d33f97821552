/**
 * Providers of storage deals in the test's own process: real keepers over the real chain, with one storage
 * process for all of them, that can be stopped and robbed of their bytes.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { tokenCalls } from '#contracts';
import { type Signer, createSigner } from '#libs/crypto';
import {
  type DealReader,
  type ShardKeeper,
  createChainSender,
  createDealReader,
  createShardKeeper,
  keepStorageOffer,
} from '#libs/deals';
import { TOKEN } from '#libs/kernel';
import { createLogger, createSystemClock } from '#libs/platform';
import { type NodeClient, createNodeClient, sendCalls } from '#libs/sdk';
import { type BlobStore, createKuboBlobStore } from '#libs/storage';
import { createMemoryStore } from '#libs/store';
import { type StorageProcess, startStorage } from '../e2e/storage-process.ts';
import { type LocalMachine, startLocalMachine } from './local-machine.ts';

/** Providers that `startLocalMachine` brings along and that offer storage. */
const MACHINE_OFFERS = 4;
const clock = createSystemClock();
const logger = createLogger({ name: 'test', level: 'silent' });

export interface Double {
  readonly signer: Signer;
  readonly keeper: ShardKeeper;
}

export interface DealStage {
  readonly machine: LocalMachine;
  readonly node: NodeClient;
  readonly reader: DealReader;
  /** Where the doubles keep their shards. */
  readonly blobs: BlobStore;
  readonly doubles: readonly Double[];
  /** `seele storage …`, its JSON. */
  run(...args: readonly string[]): Promise<Record<string, unknown>>;
  /** Takes a shard's blocks off the doubles' storage. */
  rob(cid: string): Promise<void>;
  stop(): Promise<void>;
}

export async function until(
  what: string,
  seconds: number,
  isSo: () => Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + seconds * 1000;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`not in time: ${what}`);
    await sleep(250);
  }
}

/**
 * A development machine and so many more providers, all offers on the chain.
 *
 * @param settings of the machine's processes
 */
export async function startDealStage(
  count: number,
  settings: Readonly<Record<string, string>> = {},
): Promise<DealStage> {
  const env = { SEELE_STORAGE_SWARM: 'off', SEELE_STORAGE_GATEWAY: '127.0.0.1:0' };
  const [machine, storage] = await Promise.all([
    startLocalMachine(settings),
    startStorage({ env }),
  ]);
  const blobs = createKuboBlobStore({ url: storage.url, token: storage.token });
  const node = createNodeClient(machine.urls.node);
  const reader = createDealReader(node);
  const ending = new AbortController();
  const signers = Array.from({ length: count }, () => createSigner(randomBytes(32)));
  for (let at = 0; at < signers.length; at += 10)
    await sendCalls(
      node,
      machine.signer,
      signers
        .slice(at, at + 10)
        .map(({ account: to }) => tokenCalls.transfer({ to, amount: 100n * TOKEN })),
    );
  const doubles = signers.map((signer, i) => {
    const sender = createChainSender(node, signer, clock);
    const terms = {
      ...{ capacityBytes: 2 ** 30, pricePerGibDay: 1_000_000_000n + BigInt(i) },
      ...{ minEpochUs: 5_000_000, maxCollateral: 10n * TOKEN },
    };
    const keeper = createShardKeeper({
      ...{ account: signer.account, reader, sender, blobs, terms, clock, logger, pollMs: 500 },
      storage: { url: storage.url, token: storage.token },
      store: createMemoryStore(),
    });
    const offer = {
      ...{ ...terms, name: `double-${i}`, operator: signer.account },
      ...{ gateway: storage.gateway, repairs: false },
    };
    void keepStorageOffer({ node, sender, signer, offer, logger }, ending.signal);
    keeper.start();
    return { signer, keeper };
  });

  const run: DealStage['run'] = async (...args) => {
    const { code, stdout, stderr } = await machine.seele('storage', ...args, '--json');
    if (code !== 0) throw new Error(`seele storage ${args.join(' ')}: ${stderr}`);
    return JSON.parse(stdout) as Record<string, unknown>;
  };
  await until('all offers', 60 + 3 * count, async () => {
    const { offers } = (await run('offers')) as { offers: unknown[] };
    return offers.length === count + MACHINE_OFFERS;
  });
  return {
    ...{ machine, node, reader, blobs, doubles, run },
    rob: (cid) => rob(storage, blobs, cid),
    async stop() {
      ending.abort();
      await Promise.all(doubles.map(({ keeper }) => keeper.stop()));
      await blobs.close();
      await Promise.all([machine.stop(), storage.discard()]);
    },
  };
}

async function rob({ url, token }: StorageProcess, blobs: BlobStore, cid: string): Promise<void> {
  const call = {
    ...{ method: 'POST', headers: { authorization: `Bearer ${token}` } },
  };
  const list = await fetch(`${url}/api/v0/refs?arg=${cid}&recursive=true`, call);
  const refs = (await list.text())
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { Ref: string }).Ref);
  if (await blobs.isPinned(cid)) await blobs.unpin(cid);
  for (const ref of [...refs, cid]) await fetch(`${url}/api/v0/block/rm?arg=${ref}`, call);
}
