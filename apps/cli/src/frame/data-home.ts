/** The owner's side of datasets for the commands of this home. */
import { join } from 'node:path';
import {
  DataHome,
  OwnerStore,
  type VersionRecorder,
  createChainRecorder,
  createRecordSeal,
} from '#libs/data';
import { createSigner } from '#libs/crypto';
import { createSystemRandomness } from '#libs/platform';
import { type NodeClient, createNodeClient } from '#libs/sdk';
import type { BlobStore } from '#libs/storage';
import type { CommandContext } from './command.ts';
import { connectStorage, serviceUrl } from './connect.ts';
import { openAccount } from './keys.ts';
import type { Home } from './home.ts';
import { prepareHome } from './prepare-home.ts';

export interface DataServices {
  readonly node?: string;
  readonly storage?: string;
  readonly token?: string;
}

export const dataFolder = (home: Home): string => home.data('data');

/** The owner's store of this home; accounts are opened when something of theirs is read. */
export function openOwnerStore(home: Home): OwnerStore {
  prepareHome(home);
  const randomness = createSystemRandomness();
  const seals = new Map<string, ReturnType<typeof createRecordSeal>>();
  return new OwnerStore(dataFolder(home), (account) => {
    const seal =
      seals.get(account) ?? createRecordSeal(openAccount(home, account).seed, randomness);
    seals.set(account, seal);
    return seal;
  });
}

export interface OpenedDataHome {
  readonly data: DataHome;
  readonly node: NodeClient;
  readonly recorder: VersionRecorder;
}

/** @param needsStorage false when nothing is put into storage */
export function openDataHome(
  context: CommandContext,
  owner: OwnerStore,
  account: string,
  services: DataServices,
  needsStorage: boolean,
): OpenedDataHome {
  const { seed } = openAccount(context.home, account);
  const signer = createSigner(seed);
  const node = createNodeClient(serviceUrl(context, 'node', services.node));
  const recorder = createChainRecorder(node, signer);
  const store: BlobStore | undefined = needsStorage ? connectStorage(context, services) : undefined;
  const scratch = join(dataFolder(context.home), 'scratch');
  const data = new DataHome({
    ...{ owner, recorder, scratch, account: { name: account, seed, signer } },
    ...(store && { store }),
  });
  return { data, node, recorder };
}
