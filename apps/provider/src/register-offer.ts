/**
 * Keeps this provider's offer in the chain's `resources` contract: registers it with the least
 * deposit, updates it when what it promises changed. Beside the work, never before it: a market takes
 * a provider by its signed hello; the chain is where others read what it offered.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { RESOURCES_CONTRACT, offerRecord, resourcesCalls, resourcesKeys } from '#contracts';
import { type Signer, hashOf } from '#libs/crypto';
import { type Bytes, type Clock, decodeWith, encodeWith, equalBytes, utf8 } from '#libs/kernel';
import { signTransaction } from '#libs/ledger';
import { type ProviderOffer, providerOffer } from '#libs/market';
import type { Logger, NodeClient } from '#libs/platform';
import { providerError } from './errors.ts';

const FUEL_LIMIT = 5_000_000n;
const VALID_US = 60_000_000;
const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 60_000;
/** The contract's own default, where the genesis says nothing. */
const DEFAULT_DEPOSIT = 10_000_000_000n;

/** One offer for each provider name of an account. */
const offerIdOf = (name: string): string =>
  hashOf('seele/provider-offer/1', utf8(name)).slice(0, 32);

/** What an offer promises; free disk, the benchmark and the figures of a probe change with every start. */
const promiseOf = (offer: ProviderOffer): Bytes =>
  encodeWith(providerOffer, {
    ...offer,
    ...{ diskBytes: 0, benchmarkScore: 0 },
    ...(offer.probe && { probe: { ...offer.probe, verdicts: [] } }),
  });

/** The least deposit the chain asks for. */
async function leastDeposit(node: NodeClient): Promise<bigint> {
  const { parameters } = await node.genesis();
  const found = parameters.settings.find(({ name }) => name === 'resources.computeDeposit');
  return found?.value ?? DEFAULT_DEPOSIT;
}

export type Registration = 'registered' | 'updated' | 'unchanged';

/** Registers or updates once. @throws what the node refuses, with its code */
export async function registerOffer(
  node: NodeClient,
  signer: Signer,
  offer: ProviderOffer,
  clock: Clock,
): Promise<Registration> {
  const id = offerIdOf(offer.name);
  const descriptor = { kind: 'inline', bytes: encodeWith(providerOffer, offer) } as const;
  const stored = await node.state(RESOURCES_CONTRACT, resourcesKeys.offer(signer.account, id));
  if (stored !== undefined) {
    const known = decodeWith(offerRecord, stored).descriptor;
    const before = known.kind === 'inline' ? decodeWith(providerOffer, known.bytes) : undefined;
    if (before !== undefined && equalBytes(promiseOf(before), promiseOf(offer))) return 'unchanged';
  }
  const { genesis, minimumFuelPrice } = await node.status();
  const { nextNonce } = await node.account(signer.account);
  const deposit = await leastDeposit(node);
  const call =
    stored === undefined
      ? resourcesCalls.register({ id, kind: 'compute', descriptor, deposit })
      : resourcesCalls.update({ id, descriptor });
  const receipt = await node.execute(
    signTransaction(signer, {
      ...{ chain: genesis, publicKey: signer.publicKey, nonce: nextNonce, fuelLimit: FUEL_LIMIT },
      ...{ validUntilUs: clock.nowUs() + VALID_US, fuelPrice: minimumFuelPrice, calls: [call] },
    }),
  );
  const { status, code, message } = receipt.receipt;
  if (status !== 'ok')
    throw providerError(
      'PROVIDER_OFFER_REFUSED',
      `${code ?? status}: ${message ?? 'no reason given'}`,
    );
  return stored === undefined ? 'registered' : 'updated';
}

/** Tries until it is done or the signal aborts; logs the first failure and every outcome. */
export async function keepOfferRegistered(
  options: {
    readonly node: NodeClient;
    readonly signer: Signer;
    readonly offer: ProviderOffer;
    readonly clock: Clock;
    readonly logger: Logger;
  },
  signal: AbortSignal,
): Promise<void> {
  const { node, signer, offer, clock, logger } = options;
  for (let waitMs = RETRY_FIRST_MS; !signal.aborted; waitMs = Math.min(waitMs * 2, RETRY_MAX_MS)) {
    try {
      const result = await registerOffer(node, signer, offer, clock);
      return logger.info({ result }, 'the offer stands on the chain');
    } catch (error) {
      const level = waitMs === RETRY_FIRST_MS ? 'warn' : 'debug';
      logger[level]({ err: error }, 'the offer is not on the chain yet; trying again');
      await delay(waitMs, undefined, { signal, ref: false }).catch(() => {});
    }
  }
}
