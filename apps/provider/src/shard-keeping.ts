/** The provider as a keeper of shards: its offer of storage, and the rounds that take and prove them. */
import { join } from 'node:path';
import type { Signer } from '#libs/crypto';
import {
  type ShardKeeper,
  createChainSender,
  createDealReader,
  createShardKeeper,
  keepStorageOffer,
} from '#libs/deals';
import type { Clock } from '#libs/kernel';
import type { Logger, Metrics, NodeClient } from '#libs/platform';
import type { BlobStore } from '#libs/storage';
import { openLmdbStore } from '#libs/store';
import type { ProviderSettings } from './settings.ts';

const POLL_MS = 1_000;
const MAP_BYTES = 16 * 2 ** 30;

export interface ShardKeeping {
  readonly keeper: ShardKeeper;
  stop(): Promise<void>;
}

export interface ShardKeepingParts {
  readonly folder: string;
  readonly signer: Signer;
  readonly node: NodeClient;
  readonly blobs: BlobStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** Undefined when this provider offers no storage. @throws STORE_… when the journal cannot be opened */
export function startShardKeeping(
  settings: ProviderSettings,
  parts: ShardKeepingParts,
): ShardKeeping | undefined {
  const { storageBytes, gatewayUrl } = settings;
  if (storageBytes === 0 || gatewayUrl === undefined) return undefined;
  const { folder, signer, node, blobs, clock, logger, metrics } = parts;
  const store = openLmdbStore({ path: join(folder, 'shards'), mapSizeBytes: MAP_BYTES });
  const sender = createChainSender(node, signer, clock);
  const terms = {
    capacityBytes: storageBytes,
    pricePerGibDay: settings.storagePrice,
    minEpochUs: settings.storageMinEpochSeconds * 1_000_000,
    maxCollateral: settings.storageMaxCollateral,
  };
  const { storageUrl: url, storageToken: token } = settings;
  const keeper = createShardKeeper({
    ...{ account: signer.account, reader: createDealReader(node), sender, blobs, store, terms },
    ...{ clock, logger, pollMs: POLL_MS },
    storage: { url, ...(token === undefined ? {} : { token }) },
  });
  const ending = new AbortController();
  const { name, operator = signer.account } = settings;
  const offer = {
    ...{ name, operator, gateway: gatewayUrl, repairs: false },
    ...{ capacityBytes: terms.capacityBytes, pricePerGibDay: terms.pricePerGibDay },
    ...{ minEpochUs: terms.minEpochUs, maxCollateral: terms.maxCollateral },
  };
  void keepStorageOffer({ node, sender, signer, offer, logger }, ending.signal);
  metrics.gauge('seele_provider_shards', 'Shards kept', () => keeper.status().shards);
  metrics.gauge('seele_provider_shard_bytes', 'Bytes of them', () => keeper.status().bytes);
  keeper.start();
  return {
    keeper,
    async stop() {
      ending.abort();
      await keeper.stop();
      await store.close();
    },
  };
}
