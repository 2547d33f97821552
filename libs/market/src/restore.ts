/** From stored rows back to a market. Feed the `resume` event next. */
import { indexBatch, isBatchOpen } from './arrays/batches.ts';
import { marketError } from './errors.ts';
import { indexSources } from './graph/followers.ts';
import type { MarketConfig } from './model/config.ts';
import {
  type OrderRow,
  ROW_VERSION,
  type StoredRow,
  type TransactionRow,
  type UnitsRow,
  decodeRow,
} from './model/rows.ts';
import { takeBatchRoom, takeRoom } from './room.ts';
import { type Market, absentProvider, createMarket, indexOpen } from './state.ts';

/** Tables whose rows `restoreMarket` wants; the others are only ever read by people and receipts. */
export const RESTORED_TABLES = [
  'meta',
  'provider',
  'order',
  'units',
  'transaction',
  'learned',
] as const;

/**
 * Rebuilds the market from its rows, in any order. Of table `order` it needs those whose index
 * does not say `ended`, and those that might be submitted again: accepted less than
 * `placeByMaxMs` ago. It may be given all.
 *
 * @throws MARKET_ROW_INVALID when a row does not decode or is of a newer version
 */
export function restoreMarket(config: MarketConfig, rows: Iterable<StoredRow>): Market {
  const market = createMarket(config);
  const orders: OrderRow[] = [];
  const batches: UnitsRow[] = [];
  const transactions: TransactionRow[] = [];
  for (const row of rows) {
    if (row.table === 'meta') market.meta = read('meta', row);
    else if (row.table === 'provider') {
      const provider = read('provider', row);
      market.providers.set(provider.provider, absentProvider(provider));
      market.places.tenants.offered(undefined, provider.offer);
    } else if (row.table === 'learned') market.places.learned.restore(read('learned', row));
    else if (row.table === 'order') orders.push(read('order', row));
    else if (row.table === 'units') batches.push(read('units', row));
    else if (row.table === 'transaction') transactions.push(read('transaction', row));
  }
  for (const [id, provider] of market.providers) provider.trust = market.places.learned.trustOf(id);
  orders.sort((a, b) => a.acceptedAtUs - b.acceptedAtUs || (a.id < b.id ? -1 : 1));
  for (const row of orders) restoreOrder(market, row);
  batches.sort((a, b) => a.fence - b.fence);
  for (const row of batches) restoreBatch(market, row);
  transactions.sort((a, b) => a.nonce - b.nonce);
  for (const row of transactions) restoreTransaction(market, row);
  return market;
}

function read<T extends (typeof RESTORED_TABLES)[number]>(table: T, { id, bytes }: StoredRow) {
  let version: number;
  try {
    const row = decodeRow(table, bytes);
    ({ version } = row);
    if (version === ROW_VERSION) return row;
  } catch (cause) {
    throw marketError('MARKET_ROW_INVALID', `row ${table}/${id} does not decode`, { cause });
  }
  throw marketError('MARKET_ROW_INVALID', `row ${table}/${id} has version ${version}`);
}

function restoreOrder(market: Market, row: OrderRow): void {
  market.orders.set(row.id, row);
  indexOpen(market, row, row.endedAtUs === undefined);
  indexSources(market, row, row.endedAtUs === undefined);
  if (!row.lease || row.rebuilding === true) return;
  market.leases.set(row.lease.lease, row.id);
  if (row.work !== 'leased' && row.work !== 'checking') return;
  const provider = market.providers.get(row.lease.provider);
  // After a rebuild from the chain the provider may not have come back yet.
  if (!provider) return;
  takeRoom(provider, row);
  market.places.tenants.take(row.id, row.signed.order.consumer, row.needs);
}

function restoreBatch(market: Market, row: UnitsRow): void {
  const order = market.orders.get(row.order);
  if (!order) return;
  indexBatch(market, row);
  const provider = market.providers.get(row.provider);
  if (!provider || !isBatchOpen(row)) return;
  takeBatchRoom(provider, row.lease, order.needs);
  market.places.tenants.take(row.lease, order.signed.order.consumer, order.needs);
}

function restoreTransaction(market: Market, row: TransactionRow): void {
  market.transactions.set(row.key, { row, sentAtMs: 0 });
  if (row.order !== undefined) market.transactionOf.set(row.order, row.key);
  if (row.call.kind === 'anchor') market.anchoring = true;
  market.nextNonce = row.nonce + 1;
}
