/** Keeps an offer of storage in contract `resources`: registered once, changed when it says something else. */
import {
  RESOURCES_CONTRACT,
  offerRecord,
  resourcesCalls,
  resourcesKeys,
  resourcesSettings,
} from '#contracts';
import { type Signer, hashOf } from '#libs/crypto';
import { decodeWith, encodeWith, equalBytes, utf8 } from '#libs/kernel';
import type { Logger, NodeClient } from '#libs/platform';
import { type ChainSender, sendOrThrow } from './chain.ts';
import { type StorageOffer, storageOffer } from './offer.ts';

const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 60_000;
const DEPOSIT_SETTING = 'resources.storageDeposit';

const offerIdOf = (name: string): string =>
  hashOf('seele/storage-offer/1', utf8(name)).slice(0, 32);

async function leastDeposit(node: NodeClient): Promise<bigint> {
  const { settings } = (await node.genesis()).parameters;
  const isIt = ({ name }: { readonly name: string }) => name === DEPOSIT_SETTING;
  return (settings.find(isIt) ?? resourcesSettings.defaults.find(isIt))?.value ?? 0n;
}

/** Registers or updates once; nothing when the same offer stands. */
async function registerStorageOffer(
  node: NodeClient,
  sender: ChainSender,
  account: string,
  offer: StorageOffer,
): Promise<void> {
  const id = offerIdOf(offer.name);
  const bytes = encodeWith(storageOffer, offer);
  const descriptor = { kind: 'inline', bytes } as const;
  const stored = await node.state(RESOURCES_CONTRACT, resourcesKeys.offer(account, id));
  if (stored === undefined) {
    const deposit = await leastDeposit(node);
    const call = resourcesCalls.register({ id, kind: 'storage', descriptor, deposit });
    await sendOrThrow(sender, [call]);
    return;
  }
  const known = decodeWith(offerRecord, stored).descriptor;
  if (known.kind === 'inline' && equalBytes(known.bytes, bytes)) return;
  await sendOrThrow(sender, [resourcesCalls.update({ id, descriptor })]);
}

/** Tries until the offer stands or the signal aborts. */
export async function keepStorageOffer(
  options: {
    readonly node: NodeClient;
    readonly sender: ChainSender;
    readonly signer: Signer;
    readonly offer: StorageOffer;
    readonly logger: Logger;
  },
  signal: AbortSignal,
): Promise<void> {
  const { node, sender, signer, offer, logger } = options;
  for (let waitMs = RETRY_FIRST_MS; !signal.aborted; waitMs = Math.min(waitMs * 2, RETRY_MAX_MS))
    try {
      await registerStorageOffer(node, sender, signer.account, offer);
      logger.info({ offer: offer.name }, 'the offer of storage stands on the chain');
      return;
    } catch (error) {
      const level = waitMs === RETRY_FIRST_MS ? 'warn' : 'debug';
      logger[level]({ err: error }, 'the offer of storage is not on the chain yet; trying again');
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, waitMs);
        signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
      });
    }
}
