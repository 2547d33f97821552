/**
 * The market in memory: rows, and indexes that follow from them. One thread owns it; the reducer
 * changes it in place and reports each change as a `save`, so rows and memory never differ after an
 * event. Rows themselves are immutable values.
 */
import type { TaskAnswers } from './arrays/task-answers.ts';
import { type Bytes, type Randomness, invariant } from '#libs/kernel';
import { EMPTY_FRONTIER } from '#libs/merkle';
import { Deadlines } from './deadlines.ts';
import type { MarketConfig } from './model/config.ts';
import type { JobEvent, MarketEffect } from './model/effects.ts';
import type { BalanceRead, Now } from './model/events.ts';
import {
  META_ID,
  type MetaRow,
  type OrderRow,
  type ProviderRow,
  ROW_VERSION,
  type RowOf,
  type StoredRow,
  type Table,
  type TransactionRow,
  type UnitGroup,
  type UnitsRow,
  encodeRow,
} from './model/rows.ts';
import type { EventEntry } from '#libs/audit';
import { Places } from './placement/places.ts';
import type { LeaseEnd } from './retry.ts';

/** A provider in memory: its row, its session and what our leases take of it. */
export interface ProviderState {
  row: ProviderRow;
  session: string | undefined;
  /** Not there, but back in a moment: orders are taken that only it can do. */
  isExpected: boolean;
  /** Free slots by its last heartbeat, less what was granted since. */
  reportedFree: number;
  /** It finishes what it has and takes nothing new. */
  draining: boolean;
  /** Orders it holds a live lease of. */
  readonly holding: Set<string>;
  /** Leases of batches that it holds. */
  readonly batches: Set<string>;
  usedCores: number;
  usedMemoryBytes: number;
  /** Share of its slots that it is believed to have. */
  trust: number;
  /** Smallest units in its bond, as last read; of level `assured` only. */
  bonded?: bigint;
}

/** A provider nobody has heard of since the start: whoever was there before will be back. */
export const absentProvider = (row: ProviderRow): ProviderState => ({
  row,
  session: undefined,
  isExpected: row.goneUs === undefined,
  reportedFree: 0,
  draining: false,
  holding: new Set(),
  batches: new Set(),
  usedCores: 0,
  usedMemoryBytes: 0,
  trust: 1,
});

export interface TransactionState {
  row: TransactionRow;
  /** Monotonic time of the last submission. */
  sentAtMs: number;
}

/** Money an ended order took for good, and the height from which readings know of it. */
export interface Spending {
  readonly placedHeight: number;
  readonly paid: bigint;
}

/** Balances read more blocks ago than this are refused. */
export const RECENT_BLOCKS = 64;

export interface Market {
  readonly config: MarketConfig;
  readonly orders: Map<string, OrderRow>;
  readonly providers: Map<string, ProviderState>;
  /** Session → provider. */
  readonly sessions: Map<string, string>;
  /** Lease → order, for the newest lease of each order in memory. */
  readonly leases: Map<string, string>;
  /** Lease → batch of units, while a provider has it or its results are looked at. */
  readonly batches: Map<string, UnitsRow>;
  /** Order of many tasks → its batches by fence, until the order ended. */
  readonly batchesOf: Map<string, Map<number, UnitsRow>>;
  /** When units that were lost may be handed out again (monotonic); at once where nothing stands. */
  readonly readyMs: WeakMap<UnitGroup, number>;
  /** Lease → why a batch was lost whose delivered part is still being looked at. */
  readonly batchEnds: Map<string, LeaseEnd>;
  /** Whose audit is due: orders, and batches as `order/fence`. */
  readonly audits: Set<string>;
  /** Batch that is audited → its leaves, as the database has them. */
  readonly auditLeaves: Map<string, Bytes>;
  /** Order → open orders that read its result. */
  readonly followers: Map<string, Set<string>>;
  /** Order with replicas → what its tasks came to, by number; read from its rows when needed. */
  readonly replicas: Map<string, TaskAnswers[]>;
  /** Newest reading of the prepaid balance of consumers with orders of many tasks. */
  readonly balances: Map<string, BalanceRead>;
  /** Consumers whose balance is being read. */
  readonly readingBalance: Set<string>;
  /** Lease → monotonic time at which it is lost unless extended. */
  readonly leaseEndsMs: Map<string, number>;
  /** Whose turn it is, who fits, what runs have taught. */
  readonly places: Places;
  /** Consumer → open orders. */
  readonly openByConsumer: Map<string, Set<string>>;
  openOrders: number;
  /** Consumer → what ended orders took lately, for balances read before they were placed. */
  readonly recentSpending: Map<string, Spending[]>;
  /** Idempotency key → transaction under way, by rising nonce. */
  readonly transactions: Map<string, TransactionState>;
  /** Order → key of its transaction under way. */
  readonly transactionOf: Map<string, string>;
  /** Orders that want a transaction but found no room or no nonce. */
  readonly wanting: Set<string>;
  /** Next nonce to use; undefined until the chain said it. */
  nextNonce: number | undefined;
  /** One more than the highest own nonce seen in a block. */
  confirmedNonce: number;
  /** Code of the node's last refusal, for the status page. */
  lastRefusal: string | undefined;
  /** Order → reverts of its current chain step, for the back-off. */
  readonly chainTries: Map<string, number>;
  /** Order → first time its result was found missing (monotonic). */
  readonly missingSinceMs: Map<string, number>;
  /** Orders whose log moved since it was last entered into the operator's log. */
  readonly unanchored: Set<string>;
  /** An anchor is on its way to the chain. */
  anchoring: boolean;
  readonly deadlines: Deadlines;
  meta: MetaRow;
}

/** A market that has seen nothing yet. */
export function createMarket(config: MarketConfig): Market {
  return {
    config,
    orders: new Map(),
    providers: new Map(),
    sessions: new Map(),
    leases: new Map(),
    batches: new Map(),
    batchesOf: new Map(),
    readyMs: new WeakMap(),
    batchEnds: new Map(),
    audits: new Set(),
    auditLeaves: new Map(),
    followers: new Map(),
    replicas: new Map(),
    balances: new Map(),
    readingBalance: new Set(),
    leaseEndsMs: new Map(),
    places: new Places(config.tenants),
    openByConsumer: new Map(),
    openOrders: 0,
    recentSpending: new Map(),
    transactions: new Map(),
    transactionOf: new Map(),
    wanting: new Set(),
    nextNonce: undefined,
    confirmedNonce: 0,
    lastRefusal: undefined,
    chainTries: new Map(),
    missingSinceMs: new Map(),
    unanchored: new Set(),
    anchoring: false,
    deadlines: new Deadlines(),
    meta: {
      version: ROW_VERSION,
      height: 0,
      chainTimeUs: 0,
      operatorLog: EMPTY_FRONTIER,
      anchoredLeaves: 0,
    },
  };
}

/** The rows were lost: orders are being taken over from the chain, nothing new is taken on. */
export const isRebuilding = (market: Market): boolean => market.meta.rebuildTo !== undefined;

/** One event being applied: the market, the moment, and what came out so far. */
export interface Step {
  readonly market: Market;
  readonly now: Now;
  readonly randomness: Randomness;
  /** Everything but saves, in the order it was asked for. */
  readonly effects: MarketEffect[];
  readonly dirtyOrders: Set<string>;
  /** Entries appended to jobs' logs in this step, not yet signed. */
  readonly entries: Map<string, EventEntry[]>;
  readonly events: JobEvent[];
  readonly saves: Map<string, MarketEffect>;
}

export function createStep(market: Market, now: Now, randomness: Randomness): Step {
  return {
    market,
    now,
    randomness,
    effects: [],
    dirtyOrders: new Set(),
    entries: new Map(),
    events: [],
    saves: new Map(),
  };
}

export function emit(step: Step, effect: MarketEffect): void {
  step.effects.push(effect);
}

/** Records that a row must be stored with this event; a later save of the same row replaces it. */
export function saveRow<T extends Exclude<Table, 'order'>>(
  step: Step,
  table: T,
  id: string,
  row: RowOf<T>,
): void {
  saveBytes(step, table, id, encodeRow(table, row));
}

export function saveBytes(step: Step, table: Table, id: string, bytes: Bytes): void {
  step.saves.set(`${table}/${id}`, { kind: 'save', table, id, bytes });
}

export function removeRow(step: Step, table: Table, id: string): void {
  step.saves.set(`${table}/${id}`, { kind: 'remove', table, id });
}

export function saveMeta(step: Step, change: Partial<MetaRow>): void {
  const { market } = step;
  market.meta = { ...market.meta, ...change };
  saveRow(step, 'meta', META_ID, market.meta);
}

/** The order as it stands. Only for ids that came from our own indexes. */
export function orderOf(market: Market, id: string): OrderRow {
  const row = market.orders.get(id);
  invariant(row, `order ${id} is not in memory`);
  return row;
}

/** Replaces an order's row; it is saved once when the event has been applied. */
export function updateOrder(step: Step, id: string, change: Partial<OrderRow>): OrderRow {
  const row = { ...orderOf(step.market, id), ...change };
  step.market.orders.set(id, row);
  step.dirtyOrders.add(id);
  return row;
}

/** Removes optional fields, which a spread cannot do under exact optional types. */
export function withoutFields<K extends keyof OrderRow>(
  step: Step,
  id: string,
  ...fields: readonly K[]
): OrderRow {
  const row = { ...orderOf(step.market, id) };
  for (const field of fields) delete row[field];
  step.market.orders.set(id, row);
  step.dirtyOrders.add(id);
  return row;
}

/** Counts an order as open (or no longer), for caps and balance cover. */
export function indexOpen(market: Market, row: OrderRow, open: boolean): void {
  const { consumer } = row.signed.order;
  const orders = market.openByConsumer.get(consumer) ?? new Set<string>();
  if (open === orders.has(row.id)) return;
  if (open) {
    orders.add(row.id);
    market.openOrders += 1;
    market.openByConsumer.set(consumer, orders);
  } else {
    orders.delete(row.id);
    market.openOrders -= 1;
    if (orders.size === 0) market.openByConsumer.delete(consumer);
  }
}

export type { StoredRow };
