/** A delivery as the holder of an order's lease signs it, for tests that play providers. */
import { DELIVERY_DOMAIN, type Delivery, type SignedDelivery, deliveryBytes } from '#contracts';
import { LOG_START } from '#libs/audit';
import { chargeFor } from '../pricing.ts';
import { CHAIN, type Driver, SOME_CID, manifestWith, offerOf, signerOf } from './driver.ts';

/**
 * @param by name of the provider
 * @param change what it says otherwise
 */
export function signedDelivery(
  driver: Driver,
  id: string,
  by: string,
  change: Partial<Delivery> = {},
): SignedDelivery {
  const row = driver.market.orders.get(id);
  const signer = signerOf(by);
  const used = { cpuMs: 10, wallMs: 10 };
  const delivery: Delivery = {
    ...{ chain: CHAIN, order: id, provider: signer.account, fence: row?.fence ?? 0, exit: 'ok' },
    ...{ result: SOME_CID, logLength: row?.log.length ?? 0, logHead: row?.log.head ?? LOG_START },
    usage: { ...used, peakMemoryBytes: 1, inputBytes: 0, outputBytes: 3 },
    charge: chargeFor(offerOf(by), manifestWith().limits, used, row?.lease?.price ?? 0n),
    ...change,
  };
  const signature = signer.sign(DELIVERY_DOMAIN, deliveryBytes(delivery));
  return { delivery, publicKey: signer.publicKey, signature };
}

/** It delivers, and storage has the result; what the market does then. */
export function deliver(driver: Driver, id: string, by: string, change: Partial<Delivery> = {}) {
  const delivery = signedDelivery(driver, id, by, change);
  const lease = driver.market.orders.get(id)?.lease?.lease ?? '';
  const said = driver.say(by, { kind: 'deliver', lease, delivery });
  const outcome = { is: 'good', sizeBytes: 3 } as const;
  const { fence } = delivery.delivery;
  return [...said, ...driver.apply({ kind: 'resultChecked', order: id, fence, outcome })];
}
