/** What an order of many tasks wants of the chain, batch by batch, and what its blocks say of them. */
import { type SignedBatchDelivery, batchDeliveryHash } from '#contracts';
import { MARKET_ENTRIES } from '#libs/audit';
import { logStep } from '../job-log.ts';
import type { UnitsFact } from '../model/events.ts';
import {
  type MarketCall,
  type OrderRow,
  type TransactionRow,
  UNFINISHED,
  type UnitsRow,
} from '../model/rows.ts';
import { type Market, type Step, orderOf, updateOrder } from '../state.ts';
import { arrayOf, updateArray, updateBatch } from './batches.ts';

/** The steps that would bring the order on now, in the order in which they are to be made. */
export function arrayCalls(market: Market, row: OrderRow): readonly MarketCall[] {
  const calls: MarketCall[] = [];
  for (const fence of arrayOf(row).open) {
    const batch = market.batchesOf.get(row.id)?.get(fence);
    const call = batch && nextBatchCall(batch);
    if (call) calls.push(call);
  }
  if (calls.length > 0) return calls;
  const { done, open, result } = arrayOf(row);
  const isOver = !UNFINISHED.has(row.work);
  // An order that has ended is not looked at again: first what it came to is stored for good.
  const isClear = open.length === 0 && (done === 0 || result !== undefined);
  return isOver && isClear ? [{ kind: 'cancel', order: row.id }] : [];
}

function nextBatchCall(batch: UnitsRow): MarketCall | undefined {
  const { order, fence, chain, state, delivery, withheld } = batch;
  // Asked of every open batch at every step, so the hash is made only where there is one to compare.
  const isOurs = (signed: SignedBatchDelivery) =>
    batch.chainDelivery === batchDeliveryHash(signed.delivery);
  switch (chain) {
    case 'none': {
      if (state === 'lost') return undefined;
      const { provider, unitPrice, units } = batch;
      return { kind: 'bindUnits', order, provider, unitPrice, fence, units };
    }
    case 'bound':
      if (state === 'lost') return { kind: 'releaseUnits', order, fence };
      if (state !== 'delivered' || !delivery) return undefined;
      return { kind: 'payUnits', delivery, isDelivered: false, ...(withheld && { withheld }) };
    case 'delivered':
      if (state === 'delivered' && delivery && isOurs(delivery))
        return { kind: 'payUnits', delivery, isDelivered: true, ...(withheld && { withheld }) };
      // Relayed by somebody; until the batch is decided it stays.
      if (!batch.chainUnits || (state !== 'lost' && state !== 'delivered')) return undefined;
      return {
        ...{ kind: 'refuseUnits', order, fence, withheld: batch.chainUnits },
        reason: 'MARKET_NOT_ACCEPTED',
      };
    default:
      return undefined;
  }
}

const CHAIN_OF = {
  bound: 'bound',
  delivered: 'delivered',
  settled: 'settled',
  released: 'released',
} as const;

/** A final block moved a batch; with the chance, per million, with which it drew it for an audit. */
export function takeUnitsFact(
  step: Step,
  fact: UnitsFact,
  height: number,
  checkPerMillion?: number,
): void {
  const { market } = step;
  const row = market.orders.get(fact.order);
  const batch = market.batchesOf.get(fact.order)?.get(fact.fence);
  if (!row?.array || !batch) return;
  const isOver = fact.event === 'settled' || fact.event === 'released';
  updateBatch(step, {
    ...batch,
    chain: CHAIN_OF[fact.event],
    ...(fact.event === 'bound' && { boundHeight: height }),
    ...(fact.delivery !== undefined && { chainDelivery: fact.delivery }),
    ...(fact.given && { chainUnits: fact.given }),
    ...(fact.event === 'settled' && { paid: fact.paid }),
    ...(fact.paidUnits && { paidUnits: fact.paidUnits }),
  });
  const { fence, provider, paid, refunded } = fact;
  const others = arrayOf(row).open.filter((one) => one !== fence);
  // One that was thought never to get there may be back.
  const open = isOver ? others : [...others, fence].toSorted((a, b) => a - b);
  updateArray(step, row.id, { open });
  if (!isOver) return;
  const { chain } = row;
  updateOrder(step, row.id, {
    chain: { ...chain, height, paid: chain.paid + paid, refunded: chain.refunded + refunded },
  });
  const entry = {
    ...{ provider, fence, height, paid, refunded },
    ...(checkPerMillion !== undefined && { checkPerMillion }),
  };
  logStep(step, row.id, 'units-settled', MARKET_ENTRIES['units-settled'], entry);
}

/** A transaction is not under way any more, for whatever reason: a batch that it would have bound may be over. */
export function bindingEnded(step: Step, { order, call }: TransactionRow): void {
  if (order === undefined || call.kind !== 'bindUnits') return;
  const batch = step.market.batchesOf.get(order)?.get(call.fence);
  if (batch && step.market.orders.has(order)) dropUnbound(step, batch);
}

/** Forgets a batch that was lost before the chain got it, unless its binding is still on the way. */
export function dropUnbound(step: Step, batch: UnitsRow): void {
  const { order, fence, state, chain } = batch;
  if (state !== 'lost' || chain !== 'none') return;
  if (step.market.transactions.has(`bindUnits/${order}/${fence}`)) return;
  const row = orderOf(step.market, order);
  updateArray(step, order, { open: arrayOf(row).open.filter((one) => one !== fence) });
}
