/** What the HTTP edge needs of the market; the controllers know nothing else. */
import type { SignedOrder } from '#contracts';
import type { AccountId, Bytes } from '#libs/kernel';
import type {
  BindingQuote,
  Decision,
  JobEvent,
  Manifest,
  OrderView,
  ProviderView,
  QuoteCounts,
  Submission,
  Waiting,
} from '#libs/market';
import type { Follower } from '../jobs/job-event-hub.ts';
import type { OrderFilter } from '../store/row-store.ts';

/** Injection token of the `MarketApi`. */
export const MARKET_API = Symbol('MarketApi');

export interface MarketStatusFacts {
  readonly name: string;
  readonly market: AccountId;
  readonly chain: string;
  readonly height: number;
  readonly openOrders: number;
  readonly providersOnline: number;
  readonly quotes: QuoteCounts & { readonly keptShare?: number };
}

export type LogEvent = Omit<JobEvent, 'order'> & { readonly seq: number };

/** Why an order is where it is. */
export interface OrderReasons {
  readonly view: OrderView;
  readonly waiting: Waiting | undefined;
  readonly decisions: readonly Decision[];
}

export interface MarketApi {
  /** True when new orders are to be sent away for a moment. */
  readonly isCrowded: boolean;
  /** True when logs, results and receipts are told to an order's own parties only. */
  readonly isPrivate: boolean;
  status(): MarketStatusFacts;
  /** Signed: it binds this market until `validUntilUs`. */
  quote(manifest: Manifest, priceCap?: bigint): BindingQuote;
  /** Durable when it resolves; the same order again gives the same answer. */
  submit(
    signed: SignedOrder,
    manifest: Manifest,
    quote?: Bytes,
  ): Promise<{ readonly view: OrderView; readonly repeated: boolean }>;
  /** The same for orders of one account that read each other's results: all are taken or none. */
  submitGraph(
    orders: readonly Submission[],
  ): Promise<{ readonly views: readonly OrderView[]; readonly repeated: boolean }>;
  cancel(order: string, by: AccountId): Promise<OrderView>;
  order(id: string): Promise<OrderView | undefined>;
  orders(filter: OrderFilter): Promise<readonly OrderView[]>;
  providers(): readonly ProviderView[];
  /** Why it waits, and every decision that its log holds. @throws MARKET_ORDER_UNKNOWN */
  why(order: string): Promise<OrderReasons>;
  /** Durable log entries of a job after `seq`, in order; a page at a time, empty at the end. */
  logAfter(order: string, seq: number): Promise<readonly LogEvent[]>;
  /** @returns undefined when too many follow already */
  follow(order: string): Follower | undefined;
  result(cid: string): AsyncIterable<Bytes>;
  /**
   * Of an order, or the small one of one of its tasks.
   *
   * @throws MARKET_NOT_READY while the order is not settled on the chain, MARKET_TASK_UNPAID
   */
  receipt(order: string, task?: number): Promise<Bytes>;
}
