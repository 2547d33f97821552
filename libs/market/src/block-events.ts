/** From a final block and its receipts to what the market wants to know of it. */
import {
  type ContractEvent,
  type EmittedEvent,
  ORDERS_CONTRACT,
  ordersEvents,
  ordersMethods,
  readEvent,
  signedDelivery,
} from '#contracts';
import { decodeWith } from '#libs/kernel';
import { type Block, type Receipt, transaction } from '#libs/ledger';
import { deliveryHash } from './delivery-hash.ts';
import type { MarketEvent, OrderFact, OwnTransactionFact } from './model/events.ts';

export interface MarketIdentity {
  readonly publicKey: string;
  readonly account: string;
}

/** The `block` event of a final block. `receipts` are those of its transactions, in order. */
export function blockToEvent(
  block: Block,
  receipts: readonly Receipt[],
  market: MarketIdentity,
): Extract<MarketEvent, { kind: 'block' }> {
  const orders: OrderFact[] = [];
  const own: OwnTransactionFact[] = [];
  for (const [i, receipt] of receipts.entries()) {
    if (receipt.status === 'ok')
      for (const event of receipt.events) {
        const fact = orderFactOf(event, market.account);
        if (fact?.event === 'delivered')
          orders.push(withDelivery(fact, block.transactions[i] as Uint8Array));
        else if (fact) orders.push(fact);
      }
    const fact = ownFactOf(block.transactions[i] as Uint8Array, receipt, market.publicKey);
    if (fact) own.push(fact);
  }
  const { height, timeUs } = block.header;
  return { kind: 'block', height, timeUs, orders, own };
}

/** The event names only exit and charge; the call that made it has the whole delivery. */
function withDelivery(fact: OrderFact, bytes: Uint8Array): OrderFact {
  for (const { contract, method, args } of decodeWith(transaction, bytes).body.calls) {
    if (contract !== ORDERS_CONTRACT || method !== ordersMethods.deliver.name) continue;
    const { delivery } = decodeWith(signedDelivery, args);
    if (delivery.order === fact.order && delivery.fence === fact.fence)
      return { ...fact, delivery: deliveryHash(delivery) };
  }
  return fact;
}

function ownFactOf(
  bytes: Uint8Array,
  receipt: Receipt,
  publicKey: string,
): OwnTransactionFact | undefined {
  // An invalid transaction used no nonce: it is as if it had never come.
  if (receipt.status === 'invalid') return undefined;
  const { body } = decodeWith(transaction, bytes);
  if (body.publicKey !== publicKey) return undefined;
  const { nonce } = body;
  const id = receipt.transaction;
  if (receipt.status === 'ok') return { id, nonce, ok: true };
  return { id, nonce, ok: false, code: receipt.code ?? receipt.status };
}

const NOTHING = { fence: 0, paid: 0n, refunded: 0n } as const;

/** What an event of contract `orders` says about an order of this market, if it does. */
export function orderFactOf(event: EmittedEvent, market: string): OrderFact | undefined {
  const ours = <T extends { readonly market: string }>(kind: ContractEvent<T>): T | undefined => {
    const data = readEvent(kind, event);
    return data?.market === market ? data : undefined;
  };
  switch (event.topic) {
    case 'placed': {
      const data = ours(ordersEvents.placed);
      return data && { ...NOTHING, order: data.order, event: 'placed' };
    }
    case 'bound':
    case 'delivered':
    case 'rejected': {
      const data = ours<{ market: string; order: string; provider: string; fence: number }>(
        ordersEvents[event.topic],
      );
      if (!data) return undefined;
      const { order, provider, fence } = data;
      return { ...NOTHING, order, event: event.topic, provider, fence };
    }
    case 'settled': {
      const data = ours(ordersEvents.settled);
      if (!data) return undefined;
      const { order, provider, fence, paid, refunded } = data;
      return { order, event: 'settled', provider, fence, paid, refunded };
    }
    case 'refunded':
    case 'cancelled': {
      const data = ours<{ market: string; order: string; refunded: bigint }>(
        ordersEvents[event.topic],
      );
      return data && { ...NOTHING, order: data.order, event: event.topic, refunded: data.refunded };
    }
    default:
      return undefined;
  }
}
