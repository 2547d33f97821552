/** Checks of the signed documents in a receipt: the order, its manifest, the delivery. */
import { CID } from 'multiformats/cid';
import {
  DELIVERY_DOMAIN,
  type MeteredRun,
  ORDER_DOMAIN,
  type OrderRecord,
  type SignedDelivery,
  type SignedOrder,
  deliveryBytes,
  orderBytes,
  orderId,
} from '#contracts';
import { type SignatureVerifier, accountOf, sha256 } from '#libs/crypto';
import { type Bytes, equalBytes, formatAccount } from '#libs/kernel';
import { type Finding, failed, held } from './finding.ts';
import { type LogReading, entriesOf } from './read-log.ts';

const DAG_CBOR = 0x71;
const SHA2_256 = 0x12;

export function checkOrder(signed: SignedOrder, chain: string, verify: SignatureVerifier): Finding {
  const { order, publicKey, signature } = signed;
  if (order.chain !== chain) return failed(`the order is for another chain, ${order.chain}`);
  if (accountOf(publicKey) !== order.consumer)
    return failed('the order is signed by a key that is not the consumer’s');
  if (!verify(publicKey, ORDER_DOMAIN, orderBytes(order), signature))
    return failed('the consumer’s signature does not fit the order');
  return held(`consumer ${formatAccount(order.consumer)} signed the order`);
}

export function checkManifest(manifest: Bytes, cid: string): Finding {
  const { code, multihash } = CID.parse(cid);
  if (code !== DAG_CBOR || multihash.code !== SHA2_256)
    return failed(`the manifest’s CID ${cid} is not a SHA-256 of DAG-CBOR`);
  return equalBytes(sha256(manifest), multihash.digest)
    ? held(`the manifest is the one the order names, ${cid}`)
    : failed(`the manifest is not the one the order names, ${cid}`);
}

const sameDelivery = (a: SignedDelivery['delivery'], b: SignedDelivery['delivery']): boolean =>
  equalBytes(deliveryBytes(a), deliveryBytes(b));

function checkSigned(
  signed: SignedDelivery,
  record: OrderRecord,
  verify: SignatureVerifier,
): Finding {
  const { delivery, publicKey, signature } = signed;
  if (delivery.order !== orderId(record.order) || delivery.chain !== record.order.chain)
    return failed('the delivery is of another order');
  if (accountOf(publicKey) !== delivery.provider)
    return failed('the delivery is not signed by the provider it names');
  if (!verify(publicKey, DELIVERY_DOMAIN, deliveryBytes(delivery), signature))
    return failed('the provider’s signature does not fit the delivery');
  if (!record.delivery)
    return record.state === 'settled' ? failed('the chain recorded no delivery') : held('');
  return record.provider === delivery.provider && sameDelivery(record.delivery, delivery)
    ? held('')
    : failed('the chain recorded another delivery');
}

/** That the delivery fits the lease in the log: provider, fence, price and where the log stood. */
function checkAgainstLog(
  { delivery }: SignedDelivery,
  record: OrderRecord,
  log: LogReading,
): Finding {
  const lease = log.leases.find(({ fence }) => fence === delivery.fence);
  if (lease?.provider !== delivery.provider)
    return failed(`no lease in the log has the delivery’s fence ${delivery.fence}`);
  if (lease.to !== delivery.logLength || log.heads[lease.to] !== delivery.logHead)
    return failed('the delivery does not end the provider’s part of the log');
  if (!record.delivery) return held('');
  if (record.fence !== delivery.fence)
    return failed(`the chain bound fence ${record.fence}, the delivery has ${delivery.fence}`);
  return lease.price === record.price
    ? held('')
    : failed(`the log says price ${lease.price}, the chain ${record.price}`);
}

/** That the market accepted this very delivery, once, after the provider's last entry. */
function checkAcceptance({ delivery }: SignedDelivery, log: LogReading): Finding {
  const [accepted, again] = entriesOf(log, 'delivered');
  if (!accepted || again) return failed('the log does not accept exactly one delivery');
  const { data } = accepted;
  const same =
    data.provider === delivery.provider &&
    data.fence === delivery.fence &&
    data.exit === delivery.exit &&
    data.result === delivery.result &&
    data.charge === delivery.charge &&
    accepted.seq >= delivery.logLength;
  return same ? held('') : failed('the log accepts another delivery than the one signed');
}

const fuelWords = (run: MeteredRun | undefined): string =>
  run ? `, ${run.fuel} fuel, ${run.checkpoints} checkpoints` : '';

export function checkDelivery(
  signed: SignedDelivery | undefined,
  record: OrderRecord,
  log: LogReading,
  verify: SignatureVerifier,
): Finding {
  if (!signed) {
    return record.delivery || record.state === 'settled'
      ? failed('the chain recorded a delivery that the file leaves out')
      : held(`nothing was delivered: the order was ${record.state}`);
  }
  const checks = [
    () => checkSigned(signed, record, verify),
    () => checkAgainstLog(signed, record, log),
    () => checkAcceptance(signed, log),
  ];
  for (const check of checks) {
    const finding = check();
    if (!finding.ok) return finding;
  }
  const { exit, result, provider, fence, metered } = signed.delivery;
  const what = result === undefined ? `exit ${exit}, no result` : `exit ${exit}, result ${result}`;
  const outcome = record.delivery
    ? 'market and chain accepted the same'
    : `the market accepted it, but it came too late for the chain: the order was ${record.state}`;
  return held(
    `provider ${formatAccount(provider)} signed the delivery under fence ${fence} (${what}${fuelWords(metered)}); ${outcome}`,
  );
}
