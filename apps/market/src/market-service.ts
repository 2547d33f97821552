/** The market behind its HTTP edge: reads from memory, falls back to the rows, writes by the loop. */
import { CID } from 'multiformats/cid';
import { LOG_START } from '#libs/audit';
import {
  ORDERS_CONTRACT,
  ORDER_DOMAIN,
  type SignedOrder,
  orderBytes,
  ordersKeys,
  prepaid,
} from '#contracts';
import {
  type AccountId,
  type Bytes,
  type Clock,
  SeeleError,
  decodeWith,
  errorEntry,
} from '#libs/kernel';
import {
  type BalanceRead,
  type Decision,
  type Manifest,
  type Market,
  type OrderView,
  type Reply,
  type Submission,
  decisionsOf,
  decodeRow,
  encodeManifest,
  manifestCid,
  marketError,
  marketStatus,
  needsOf,
  orderView,
  providerViews,
  quoteJob,
  signQuote,
  viewOf,
  waitingOf,
} from '#libs/market';
import { platformError } from '#libs/platform';
import type { BlobStore } from '#libs/storage';
import type { ChainNode } from './chain/chain-node.ts';
import { marketAppError } from './errors.ts';
import type { LogEvent, MarketApi, MarketStatusFacts, OrderReasons } from './http/market-api.ts';
import type { Follower, JobEventHub } from './jobs/job-event-hub.ts';
import type { MarketLoop } from './market-loop.ts';
import type { ReceiptMaker } from './receipts/receipt-maker.ts';
import type { OrderFilter, RowStore } from './store/row-store.ts';

export interface MarketServiceParts {
  readonly name: string;
  readonly market: Market;
  readonly loop: MarketLoop;
  readonly rows: RowStore;
  readonly node: ChainNode;
  readonly blobs: BlobStore;
  readonly hub: JobEventHub;
  readonly isPrivate: boolean;
  readonly clock: Pick<Clock, 'monotonicMs' | 'nowUs'>;
  readonly receipts: ReceiptMaker;
}

const DAG_CBOR = 0x71;

/** @throws the refusal */
function unwrap<K extends Reply['is']>(reply: Reply, is: K): Extract<Reply, { is: K }> {
  if (reply.is === is) return reply as Extract<Reply, { is: K }>;
  if (reply.is !== 'refused') throw platformError('HTTP_INTERNAL', 'the reply is of another kind');
  const { code, message, reasons = [], at } = reply;
  const entry = errorEntry(code) ?? { status: 409, title: 'Refused', fix: 'Read the detail.' };
  const why = reasons.map(({ text }) => text);
  const which = at === undefined ? '' : `orders[${at}]: `;
  throw new SeeleError(code, entry, which + [message, ...why].join('; '));
}

/** An order in memory, or its row. */
export async function findOrder(
  market: Market,
  rows: Pick<RowStore, 'readOne'>,
  id: string,
): Promise<OrderView | undefined> {
  const inMemory = orderView(market, id);
  if (inMemory !== undefined) return inMemory;
  const stored = await rows.readOne('order', id);
  return stored && viewOf(decodeRow('order', stored));
}

/** Durable log entries of a job after `seq`, in order; a page at a time, empty at the end. */
export async function logAfter(
  rows: Pick<RowStore, 'readLog'>,
  order: string,
  seq: number,
): Promise<readonly LogEvent[]> {
  const batches = await rows.readLog(order, seq + 1);
  return batches
    .flatMap(({ bytes }) => decodeRow('batch', bytes).entries)
    .filter((entry) => entry.seq > seq);
}

export class MarketService implements MarketApi {
  readonly #parts: MarketServiceParts;

  constructor(parts: MarketServiceParts) {
    this.#parts = parts;
  }

  get isCrowded(): boolean {
    return this.#parts.loop.isCrowded;
  }

  get isPrivate(): boolean {
    return this.#parts.isPrivate;
  }

  status(): MarketStatusFacts {
    const { name, market } = this.#parts;
    const { height, openOrders, sessions, quotes } = marketStatus(market);
    const { chain, signer } = market.config;
    return {
      ...{ name, market: signer.account, chain, height, openOrders, providersOnline: sessions },
      quotes: {
        ...quotes,
        ...(quotes.ended > 0 && { keptShare: quotes.kept / quotes.ended }),
      },
    };
  }

  quote(manifest: Manifest, priceCap?: bigint) {
    const { market, clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    const quote = quoteJob(market, needsOf(manifest), { priceCap, nowMs });
    return signQuote(market.config, manifest, quote, clock.nowUs());
  }

  async #balance(account: AccountId): Promise<BalanceRead> {
    try {
      const key = ordersKeys.prepaid(account);
      const { value, height } = await this.#parts.node.state(ORDERS_CONTRACT, key);
      return { amount: value === undefined ? 0n : decodeWith(prepaid, value).balance, height };
    } catch (error) {
      throw marketAppError('MARKET_CHAIN_UNAVAILABLE', 'the prepaid balance cannot be read', {
        cause: error,
        detail: { retryAfterSeconds: 1 },
      });
    }
  }

  /** Stores the manifest for agents, but only for an order that could be accepted at all. */
  async #storeManifest(signed: SignedOrder, manifest: Manifest, balance: BalanceRead) {
    const { order, publicKey, signature } = signed;
    const { verify } = this.#parts.market.config;
    if (balance.amount < order.priceCap || manifestCid(manifest) !== order.manifest) return;
    if (!verify(publicKey, ORDER_DOMAIN, orderBytes(order), signature)) return;
    await this.#parts.blobs.putBlock(encodeManifest(manifest), { codec: 'dag-cbor' });
  }

  async submit(signed: SignedOrder, manifest: Manifest, quote?: Bytes) {
    const balance = await this.#balance(signed.order.consumer);
    await this.#storeManifest(signed, manifest, balance);
    return unwrap(
      await this.#parts.loop.request({
        ...{ kind: 'submitOrder', order: signed, manifest, balance },
        ...(quote && { quote }),
      }),
      'order',
    );
  }

  async submitGraph(orders: readonly Submission[]) {
    const [first] = orders;
    if (!first) throw marketError('MARKET_GRAPH_LIMIT', 'no orders were sent');
    const balance = await this.#balance(first.order.order.consumer);
    for (const { order, manifest } of orders) await this.#storeManifest(order, manifest, balance);
    return unwrap(
      await this.#parts.loop.request({ kind: 'submitGraph', orders, balance }),
      'orders',
    );
  }

  async cancel(order: string, by: AccountId): Promise<OrderView> {
    const reply = await this.#parts.loop.request({ kind: 'cancelOrder', order, by });
    return unwrap(reply, 'order').view;
  }

  order(id: string): Promise<OrderView | undefined> {
    return findOrder(this.#parts.market, this.#parts.rows, id);
  }

  async orders(filter: OrderFilter): Promise<readonly OrderView[]> {
    const found = await this.#parts.rows.readOrders(filter);
    return found.map(({ bytes }) => viewOf(decodeRow('order', bytes)));
  }

  providers() {
    return providerViews(this.#parts.market);
  }

  logAfter(order: string, seq: number): Promise<readonly LogEvent[]> {
    return logAfter(this.#parts.rows, order, seq);
  }

  async why(id: string): Promise<OrderReasons> {
    const { market } = this.#parts;
    const view = await this.order(id);
    if (view === undefined) throw marketError('MARKET_ORDER_UNKNOWN', `there is no order ${id}`);
    const decisions: Decision[] = [];
    for (let seq = -1; ;) {
      const page = await this.logAfter(id, seq);
      if (page.length === 0) break;
      decisions.push(...decisionsOf(page));
      seq = page.at(-1)?.seq ?? seq;
    }
    const row = market.orders.get(id);
    const waiting = row && waitingOf(market, row, this.#parts.clock.monotonicMs());
    return { view, waiting, decisions };
  }

  follow(order: string): Follower | undefined {
    return this.#parts.hub.follow(order);
  }

  result(cid: string): AsyncIterable<Bytes> {
    const { blobs } = this.#parts;
    // The document over an array's batches is one block and no file.
    if (CID.parse(cid).code !== DAG_CBOR) return blobs.get(cid);
    return (async function* () {
      yield await blobs.getBlock(cid);
    })();
  }

  async receipt(id: string, task?: number): Promise<Bytes> {
    const view = await this.order(id);
    if (view === undefined) throw marketError('MARKET_ORDER_UNKNOWN', `there is no order ${id}`);
    if (view.logLost === true)
      throw marketAppError('MARKET_LOG_LOST', `order ${id} was taken over from the chain`);
    if (view.endedAtUs === undefined || view.log.head === LOG_START)
      throw marketAppError('MARKET_NOT_READY', `order ${id} is ${view.status}: it has not ended`);
    if (task === undefined) return this.#parts.receipts.whole(view);
    if (!view.array || task >= view.array.tasks)
      throw marketAppError(
        'MARKET_TASK_UNPAID',
        `order ${id} has ${view.array?.tasks ?? 1} tasks, counted from 0`,
      );
    return this.#parts.receipts.ofTask(view, task);
  }
}
