/** Reading the market: views of orders and providers. Nothing here changes anything. */
import { pendingUnits } from './arrays/batches.ts';
import { cellOf } from './fitting.ts';
import type { OrderIndex } from './model/effects.ts';
import { FENCE_STEP, type OrderRow, UNFINISHED } from './model/rows.ts';
import type { OrderStatus, OrderView, ProviderView } from './model/views.ts';
import { isReplayDue } from './checks/replay-due.ts';
import { freeSlots } from './room.ts';
import type { Market } from './state.ts';

export function statusOf(row: OrderRow): OrderStatus {
  const { state } = row.chain;
  if (state === 'settled' || state === 'refunded' || state === 'cancelled') return state;
  switch (row.work) {
    case 'queued':
    case 'leased':
    case 'checking':
    case 'rejected':
    case 'running':
    case 'paused':
    case 'blocked':
      return row.work;
    case 'done':
      return 'delivered';
    default:
      return row.endedAtUs === undefined ? 'closing' : 'cancelled';
  }
}

export function viewOf(row: OrderRow): OrderView {
  const { order } = row.signed;
  const delivered = row.delivery?.delivery;
  return {
    id: row.id,
    name: row.needs.name,
    consumer: order.consumer,
    kind: row.needs.kind ?? 'js',
    tier: row.needs.tier,
    status: statusOf(row),
    work: row.work,
    priceCap: order.priceCap,
    acceptedAtUs: row.acceptedAtUs,
    completeByUs: order.completeByUs,
    attempts: row.fence % FENCE_STEP,
    log: row.log,
    chain: row.chain,
    ...(row.reason && { reason: row.reason }),
    ...(row.lease && { provider: row.lease.provider, price: row.lease.price }),
    ...(delivered && {
      exit: delivered.exit,
      usage: delivered.usage,
      charge: delivered.charge,
      delivery: row.delivery,
    }),
    ...(delivered?.metered && { metered: delivered.metered }),
    ...(delivered?.result !== undefined && { result: delivered.result }),
    ...(row.endedAtUs !== undefined && { endedAtUs: row.endedAtUs }),
    ...(row.logLost === true && { logLost: true }),
    ...(row.array && { array: row.array, charge: row.array.charged }),
    ...(row.sources && { inputs: row.sources }),
    ...(row.array?.result !== undefined && { result: row.array.result }),
  };
}

/** What a database indexes of an order's row. */
export function orderIndexOf(row: OrderRow): OrderIndex {
  return {
    consumer: row.signed.order.consumer,
    status: statusOf(row),
    acceptedAtUs: row.acceptedAtUs,
    ended: row.endedAtUs !== undefined && row.checkpointed === row.log.length && !isReplayDue(row),
    ...(row.lease && { provider: row.lease.provider }),
  };
}

/** The order as it stands, or undefined when it is not in memory (ask the database then). */
export function orderView(market: Market, id: string): OrderView | undefined {
  const row = market.orders.get(id);
  return row && viewOf(row);
}

export function providerViews(market: Market): readonly ProviderView[] {
  return [...market.providers.values()].map((provider) => ({
    provider: provider.row.provider,
    offer: provider.row.offer,
    cell: cellOf(provider.row.offer),
    online: provider.session !== undefined,
    draining: provider.session !== undefined && provider.draining,
    freeSlots: provider.session === undefined ? 0 : freeSlots(provider),
    leases: provider.holding.size,
    completed: provider.row.completed,
    faults: provider.row.faults,
    lastSeenUs: provider.row.lastSeenUs,
  }));
}

/** Sizes of everything that has a cap, and where the market stands with the chain. */
/** Orders of many tasks that have not ended, and what of them is still to be done. */
export function arrayStatus(market: Market) {
  const sums = { orders: 0, paused: 0, unitsPending: 0, batchesUnsettled: 0 };
  for (const { array, endedAtUs, work } of market.orders.values()) {
    if (!array || endedAtUs !== undefined) continue;
    sums.orders += 1;
    if (work === 'paused') sums.paused += 1;
    if (UNFINISHED.has(work)) sums.unitsPending += pendingUnits(array);
    sums.batchesUnsettled += array.open.length;
  }
  return { ...sums, batchesOut: market.batches.size } as const;
}

export function marketStatus(market: Market) {
  return {
    orders: market.orders.size,
    openOrders: market.openOrders,
    waiting: market.places.waiting.size,
    providers: market.providers.size,
    sessions: market.sessions.size,
    leases: market.leases.size,
    transactions: market.transactions.size,
    wantingTransactions: market.wanting.size,
    deadlines: market.deadlines.size,
    height: market.meta.height,
    chainTimeUs: market.meta.chainTimeUs,
    logLeaves: market.meta.operatorLog.size,
    anchoredLeaves: market.meta.anchoredLeaves,
    lastRefusal: market.lastRefusal,
    rebuildTo: market.meta.rebuildTo,
    quotes: market.places.learned.quotes,
  } as const;
}
