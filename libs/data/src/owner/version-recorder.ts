/** Where versions are recorded: contract `metadata` on a chain, through a node. */
import {
  METADATA_CONTRACT,
  contentRecord,
  datasetRecord,
  metadataCalls,
  metadataKeys,
  versionRecord,
} from '#contracts';
import type { Signer } from '#libs/crypto';
import { type Bytes, decodeWith } from '#libs/kernel';
import { type NodeClient, sendCalls } from '#libs/sdk';
import { dataError } from '../errors.ts';

export interface Rollout {
  readonly rollout: readonly { readonly percent: number; readonly activationHeight: number }[];
  /** Sequence of the version that the other readers keep. */
  readonly fallback?: number;
}

export interface VersionToRecord extends Rollout {
  readonly path: string;
  readonly sequence: number;
  readonly version: string;
  readonly document:
    | { readonly kind: 'inline'; readonly bytes: Bytes }
    | { readonly kind: 'stored'; readonly cid: string };
  readonly publicHash: string;
  readonly completeHash: string;
  readonly quadRoot: string;
  readonly quadCount: number;
  readonly contentCommitment?: string;
}

export interface RecordedVersion {
  readonly sequence: number;
  readonly height: number;
}

export interface DatasetOnChain {
  readonly latest: number;
  readonly endpoint?: string;
  readonly grantEpoch: number;
}

export interface VersionRecorder {
  /** Records a version, once: the same complete directory again gives the first record. @throws DATA_CONFLICT */
  record(version: VersionToRecord): Promise<RecordedVersion>;
  find(path: string, completeHash: string): Promise<RecordedVersion | undefined>;
  dataset(path: string): Promise<DatasetOnChain | undefined>;
  /** The height of the newest block. */
  height(): Promise<number>;
  rollOut(path: string, sequence: number, rollout: Rollout): Promise<void>;
  serveAt(path: string, endpoint: string | undefined): Promise<void>;
  revokeGrants(path: string): Promise<void>;
}

const CONFLICTS = /\[METADATA_(?:SEQUENCE|CONTENT_TAKEN|VERSION_NAME)\]/;

export function createChainRecorder(node: NodeClient, signer: Signer): VersionRecorder {
  const { account } = signer;
  const find = async (path: string, completeHash: string) => {
    const found = await node.state(METADATA_CONTRACT, metadataKeys.content(account, completeHash));
    if (found === undefined) return undefined;
    const content = decodeWith(contentRecord, found);
    if (content.path !== path) return undefined;
    const key = metadataKeys.version(account, path, content.sequence);
    const version = await node.state(METADATA_CONTRACT, key);
    if (version === undefined) return undefined;
    return { sequence: content.sequence, height: decodeWith(versionRecord, version).height };
  };
  const send = async (call: Parameters<typeof sendCalls>[2][number]): Promise<void> => {
    await sendCalls(node, signer, [call]);
  };
  return {
    find,
    async record({ sequence, rollout, ...given }) {
      const call = metadataCalls.record({
        ...given,
        after: sequence - 1,
        rollout: [...rollout],
      });
      try {
        await send(call);
      } catch (error) {
        // It may have run although we were told otherwise, or when we asked before.
        const there = await find(given.path, given.completeHash);
        if (there !== undefined) return there;
        const message = error instanceof Error ? error.message : '';
        if (CONFLICTS.test(message)) throw dataError('DATA_CONFLICT', message, { cause: error });
        throw error;
      }
      const there = await find(given.path, given.completeHash);
      if (there !== undefined) return there;
      throw dataError('DATA_CONFLICT', `version ${sequence} was taken and is not on the chain`);
    },
    async dataset(path) {
      const found = await node.state(METADATA_CONTRACT, metadataKeys.dataset(account, path));
      if (found === undefined) return undefined;
      const { latest, endpoint, grantEpoch } = decodeWith(datasetRecord, found);
      return { latest, grantEpoch, ...(endpoint !== undefined && { endpoint }) };
    },
    height: async () => (await node.status()).height,
    rollOut: (path, sequence, { rollout, fallback }) =>
      send(
        metadataCalls.rollOut({
          ...{ path, sequence, rollout: [...rollout] },
          ...(fallback !== undefined && { fallback }),
        }),
      ),
    serveAt: (path, endpoint) =>
      send(metadataCalls.serveAt({ path, ...(endpoint !== undefined && { endpoint }) })),
    revokeGrants: (path) => send(metadataCalls.revokeGrants({ path })),
  };
}
