/** From a final block and its receipts to what the market wants to know of it. */
import {
  type ContractEvent,
  type EmittedEvent,
  ORDERS_CONTRACT,
  auditEvents,
  disputesEvents,
  ordersEvents,
  ordersMethods,
  orderId,
  readEvent,
  signedDelivery,
  signedOrder,
} from '#contracts';
import { decodeWith } from '#libs/kernel';
import {
  type Block,
  type Receipt,
  type TransactionBody,
  headerHash,
  transaction,
} from '#libs/ledger';
import { deliveryHash } from './delivery-hash.ts';
import type { MarketEvent, OrderFact, OwnTransactionFact, UnitsFact } from './model/events.ts';

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
  const units: UnitsFact[] = [];
  const deposits: string[] = [];
  const bonds: string[] = [];
  let anchored = 0;
  for (const [i, receipt] of receipts.entries()) {
    // An invalid transaction used no nonce: it is as if it had never come.
    if (receipt.status === 'invalid') continue;
    const { body } = decodeWith(transaction, block.transactions[i] as Uint8Array);
    if (receipt.status === 'ok')
      for (const event of receipt.events) {
        const fact = orderFactOf(event, market.account);
        if (fact) orders.push(withDocument(fact, body));
        const batch = unitsFactOf(event, market.account);
        if (batch) units.push(batch);
        const bond = bondChangeOf(event);
        if (bond !== undefined) bonds.push(bond);
        const deposit = readEvent(ordersEvents.deposited, event);
        if (deposit) deposits.push(deposit.account);
        const log = readEvent(auditEvents.anchored, event);
        if (log?.operator === market.account) anchored = Math.max(anchored, log.size);
      }
    if (body.publicKey === market.publicKey) own.push(ownFactOf(body.nonce, receipt));
  }
  const { height, timeUs } = block.header;
  const hash = headerHash(block.header);
  return {
    kind: 'block',
    height,
    hash,
    timeUs,
    orders,
    own,
    units,
    deposits,
    bonds,
    ...(anchored > 0 && { anchored }),
  };
}

function bondChangeOf(event: EmittedEvent): string | undefined {
  const { bonded, unbonding, slashed } = disputesEvents;
  for (const kind of [bonded, unbonding, slashed]) {
    const change = readEvent(kind, event);
    if (change) return change.account;
  }
  return undefined;
}

/** Events name little; the call that made one has the whole signed document. */
function withDocument(fact: OrderFact, { calls }: TransactionBody): OrderFact {
  if (fact.event !== 'placed' && fact.event !== 'delivered') return fact;
  for (const { contract, method, args } of calls) {
    if (contract !== ORDERS_CONTRACT) continue;
    if (fact.event === 'placed' && method === ordersMethods.place.name) {
      const signed = decodeWith(signedOrder, args);
      if (orderId(signed.order) === fact.order) return { ...fact, signed };
    }
    if (fact.event === 'delivered' && method === ordersMethods.deliver.name) {
      const signed = decodeWith(signedDelivery, args);
      const { delivery } = signed;
      if (delivery.order === fact.order && delivery.fence === fact.fence)
        return { ...fact, delivery: deliveryHash(delivery), signedDelivery: signed };
    }
  }
  return fact;
}

function ownFactOf(nonce: number, receipt: Receipt): OwnTransactionFact {
  const id = receipt.transaction;
  if (receipt.status === 'ok') return { id, nonce, ok: true };
  return { id, nonce, ok: false, code: receipt.code ?? receipt.status };
}

const NOTHING = { fence: 0, paid: 0n, refunded: 0n } as const;

/** What an event of contract `orders` says about a batch of an order of this market, if it does. */
export function unitsFactOf(event: EmittedEvent, market: string): UnitsFact | undefined {
  const { unitsBound, unitsDelivered, unitsSettled, unitsReleased } = ordersEvents;
  const bound = readEvent(unitsBound, event);
  if (bound?.market === market) return factOf('bound', bound);
  const delivered = readEvent(unitsDelivered, event);
  if (delivered?.market === market) {
    const { delivery, units, charge } = delivered;
    return { ...factOf('delivered', delivered), delivery, given: { units, charge } };
  }
  const settled = readEvent(unitsSettled, event);
  if (settled?.market === market) {
    const { delivery, paid, refunded, units: paidUnits } = settled;
    return { ...factOf('settled', settled), delivery, paid, refunded, paidUnits };
  }
  const released = readEvent(unitsReleased, event);
  if (released?.market !== market) return undefined;
  return { ...factOf('released', released), refunded: released.refunded };
}

function factOf(
  event: UnitsFact['event'],
  { order, fence, provider }: Pick<UnitsFact, 'order' | 'fence' | 'provider'>,
): UnitsFact {
  return { order, event, fence, provider, paid: 0n, refunded: 0n };
}

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
      const data = ours<{
        market: string;
        order: string;
        provider: string;
        fence: number;
        price?: bigint;
      }>(ordersEvents[event.topic]);
      if (!data) return undefined;
      const { order, provider, fence, price } = data;
      const agreed = price !== undefined && { price };
      return { ...NOTHING, order, event: event.topic, provider, fence, ...agreed };
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
