/**
 * What must always hold (docs/market.md, docs/reliability): checked after every durable block and
 * after every event of the market. This is a second opinion: it reads the chain's events and records
 * by itself and shares no code with the reducer but codecs.
 */
import {
  ORDERS_CONTRACT,
  type OrderRecord,
  type SignedOrder,
  deliveryBytes,
  signedDelivery,
  orderRecord,
  ordersEvents,
  ordersKeys,
  readEvent,
} from '#contracts';
import { type SignatureVerifier, accountOf } from '#libs/crypto';
import { type Bytes, type SeededRandomness, bytesToHex, decodeWith } from '#libs/kernel';
import {
  type Block,
  type Chain,
  type Genesis,
  type Receipt,
  transaction,
  verifyCertifiedHeader,
} from '#libs/ledger';
import { type Market, type StoredRow, decodeRow } from '#libs/market';
import { BatchChecks } from './batch-checks.ts';
import { checkLogs } from './log-checks.ts';
import { checkMoney } from './money-checks.ts';
import { checkReceipts } from './receipts.ts';
import { Replicas } from './replica-checks.ts';
import type { World } from './world.ts';

/** What the durable chain did with one order, as its events tell. */
interface History {
  placed: number;
  fence: number;
  delivered: number | undefined;
  /** Canonical bytes of the delivery it has, hex. */
  delivery: string;
  ends: number;
  settled: boolean;
}

interface KnownOrder {
  readonly id: string;
  readonly signed: SignedOrder;
}

export interface InvariantsOptions {
  readonly world: World;
  readonly genesis: Genesis;
  readonly supply: bigint;
  readonly verify: SignatureVerifier;
  readonly market: { readonly account: string; readonly publicKey: string };
  readonly chain: () => Chain | undefined;
  /** Whether the storage has such a result within the limit. */
  readonly manifestBytes: (cid: string) => Bytes | undefined;
  readonly hasResult: (cid: string, maxBytes: number) => boolean;
}

const MONEY_EVERY = 8;

export class Invariants {
  readonly #options: InvariantsOptions;
  readonly #histories = new Map<string, History>();
  readonly #known: KnownOrder[] = [];
  readonly #knownIds = new Set<string>();
  readonly #acknowledged = new Set<string>();
  /** Order → fence of the delivery whose acceptance a provider was told, and its bytes. */
  readonly #accepted = new Map<string, number>();
  readonly #acceptedBytes = new Map<string, string>();
  readonly #batches: BatchChecks;
  /** Orders that nothing may keep from being done. */
  readonly #mustBePaid: string[] = [];
  /** Height of the newest durable block. */
  #height = 0;

  constructor(options: InvariantsOptions) {
    this.#options = options;
    const completeByUs = (order: string) => this.#record(order)?.order.completeByUs;
    this.#batches = new BatchChecks({ ...options, completeByUs });
  }

  get acknowledgedOrders(): ReadonlySet<string> {
    return this.#acknowledged;
  }

  knownOrder(id: string, signed: SignedOrder): void {
    if (this.#knownIds.has(id)) return;
    this.#knownIds.add(id);
    this.#known.push({ id, signed });
  }

  mustBePaid(id: string): void {
    this.#mustBePaid.push(id);
  }

  randomOrder(random: SeededRandomness): KnownOrder | undefined {
    return this.#known.length === 0 ? undefined : random.pick(this.#known);
  }

  #check(holds: boolean, name: string, text: () => string): void {
    this.#options.world.check(holds, name, text);
  }

  // ---- the chain ------------------------------------------------------------------------------

  durableBlock(block: Block, receipts: readonly Receipt[]): void {
    const { genesis, verify, world } = this.#options;
    const { header, certificate } = block;
    this.#check(
      header.height === this.#height + 1,
      'I5',
      () => `block ${header.height} follows ${this.#height}`,
    );
    this.#height = header.height;
    this.#check(
      verifyCertifiedHeader(genesis, header, certificate, verify),
      'I4',
      () => `block ${header.height} has no certificate`,
    );
    for (const [i, receipt] of receipts.entries()) {
      world.count(`receipt ${receipt.code ?? receipt.status}`);
      if (receipt.status !== 'ok') continue;
      this.#rememberDelivery(block.transactions[i] as Bytes);
      for (const event of receipt.events) this.#chainEvent(event, header);
    }
    // Money that is lost or made once stays so: looking at every few blocks misses nothing.
    if (header.height % MONEY_EVERY === 0) this.#checkMoney();
  }

  #rememberDelivery(bytes: Bytes): void {
    for (const { method, args } of decodeWith(transaction, bytes).body.calls) {
      if (method !== 'deliver') continue;
      const { delivery } = decodeWith(signedDelivery, args);
      this.#history(delivery.order).delivery = bytesToHex(deliveryBytes(delivery));
    }
  }

  #history(order: string): History {
    const known = this.#histories.get(order);
    if (known) return known;
    const fresh = {
      placed: 0,
      fence: 0,
      delivered: undefined,
      delivery: '',
      ends: 0,
      settled: false,
    };
    this.#histories.set(order, fresh);
    return fresh;
  }

  #chainEvent(event: Receipt['events'][number], { timeUs }: Block['header']): void {
    if (event.contract !== ORDERS_CONTRACT) return;
    this.#options.world.count(`chain ${event.topic}`);
    const placed = readEvent(ordersEvents.placed, event);
    if (placed) {
      const history = this.#history(placed.order);
      history.placed += 1;
      this.#check(history.placed === 1, 'I2', () => `order ${placed.order} placed twice`);
    }
    const bound = readEvent(ordersEvents.bound, event);
    if (bound) {
      const history = this.#history(bound.order);
      this.#check(bound.fence > history.fence, 'I3', () => `fence ${bound.fence} does not rise`);
      this.#check(history.ends === 0, 'I2', () => `order ${bound.order} bound after its end`);
      history.fence = bound.fence;
    }
    const delivered = readEvent(ordersEvents.delivered, event);
    if (delivered) {
      const history = this.#history(delivered.order);
      this.#check(
        delivered.fence === history.fence,
        'I3',
        () => `delivery under dead fence ${delivered.fence}`,
      );
      this.#check(
        history.delivered === undefined,
        'I3',
        () => `order ${delivered.order} delivered twice`,
      );
      history.delivered = delivered.fence;
    }
    const rejected = readEvent(ordersEvents.rejected, event);
    if (rejected) {
      const { delivery } = this.#history(rejected.order);
      this.#check(
        this.#acceptedBytes.get(rejected.order) !== delivery,
        'I3',
        () => `accepted delivery of ${rejected.order} rejected`,
      );
      this.#history(rejected.order).delivered = undefined;
    }
    this.#batches.chainEvent(event);
    this.#chainEnd(event, timeUs);
  }

  #chainEnd(event: Receipt['events'][number], timeUs: number): void {
    const settled = readEvent(ordersEvents.settled, event);
    const back =
      readEvent(ordersEvents.refunded, event) ?? readEvent(ordersEvents.cancelled, event);
    const order = settled?.order ?? back?.order;
    if (order === undefined) return;
    const history = this.#history(order);
    history.ends += 1;
    this.#check(history.ends === 1, 'I2', () => `order ${order} ended ${history.ends} times`);
    const record = this.#record(order);
    const isArray = record?.order.array !== undefined;
    if (settled && !isArray) {
      history.settled = true;
      const accepted = this.#acceptedBytes.get(order) ?? history.delivery;
      this.#check(
        accepted === history.delivery,
        'I3',
        () => `order ${order}: another delivery is paid than was accepted`,
      );
      this.#check(
        history.delivered === settled.fence,
        'I4',
        () => `order ${order} paid without a delivery`,
      );
    }
    if (back)
      this.#check(
        history.delivered === undefined,
        'I2',
        () => `order ${order} delivered, then refunded`,
      );
    const isWhole = (paid: bigint, refunded: bigint, cap: bigint): boolean =>
      isArray ? paid <= cap : paid + refunded === cap;
    if (record)
      this.#check(
        record.escrow === 0n && isWhole(record.paid, record.refunded, record.order.priceCap),
        'I2',
        () => `order ${order} ended with ${record.escrow} held`,
      );
    const refunded = readEvent(ordersEvents.refunded, event);
    if (refunded && record)
      this.#check(
        timeUs >= record.order.completeByUs,
        'I2',
        () => `order ${order} refunded before its time`,
      );
  }

  #record(order: string): OrderRecord | undefined {
    const bytes = this.#options.chain()?.get(ORDERS_CONTRACT, ordersKeys.order(order));
    return bytes && decodeWith(orderRecord, bytes);
  }

  #checkMoney(): void {
    const chain = this.#options.chain();
    if (chain) checkMoney(chain, this.#options.supply, (...given) => this.#check(...given));
  }

  // ---- the market -----------------------------------------------------------------------------

  /** I4 and I10, after every event. */
  afterEvent(market: Market): void {
    const { caps } = market.config;
    this.#batches.marketSeen(this.#options.chain() !== undefined);
    this.#check(
      market.meta.height <= this.#height,
      'I4',
      () => `the market believes in block ${market.meta.height}, ${this.#height} is final`,
    );
    const sizes: readonly [string, number, number][] = [
      ['orders', market.orders.size, caps.orders],
      ['open orders', market.openOrders, caps.openOrders],
      ['waiting', market.places.waiting.size, caps.waiting],
      ['providers', market.providers.size, caps.providers],
      ['sessions', market.sessions.size, caps.sessions],
      ['transactions', market.transactions.size, caps.transactions],
      ['leases', market.leases.size, caps.orders],
    ];
    for (const [what, size, cap] of sizes)
      this.#check(size <= cap, 'I10', () => `${size} ${what} above ${cap}`);
  }

  /** A reply left the market that says it has this order. */
  acknowledged(order: string): void {
    this.#acknowledged.add(order);
  }

  /** A provider was told that its delivery counts. */
  deliveryAccepted(lease: string, market: Market | undefined): void {
    const id = market?.leases.get(lease);
    const row = id === undefined ? undefined : market?.orders.get(id);
    if (!row?.delivery) return;
    const { fence } = row.delivery.delivery;
    const told = this.#accepted.get(row.id) ?? fence;
    this.#check(
      told === fence,
      'I3',
      () => `deliveries ${told} and ${fence} of ${row.id} accepted`,
    );
    this.#accepted.set(row.id, fence);
    this.#acceptedBytes.set(row.id, bytesToHex(deliveryBytes(row.delivery.delivery)));
  }

  /** A provider was told that a batch counts. */
  unitsAccepted(lease: string, market: Market | undefined): void {
    this.#batches.accepted(lease, market);
  }

  /** I4: a pay-out is asked for only when a final block holds the delivery. */
  submitted(key: string, market: Market | undefined): void {
    const [kind, order = '', fence] = key.split('/');
    if (kind !== 'settle' || !market) return;
    const history = this.#histories.get(order);
    this.#check(
      history !== undefined && (history.settled || history.delivered === Number(fence)),
      'I4',
      () => `pay-out of ${order} asked for before its delivery was final`,
    );
  }

  /** What was promised is there after every restart. */
  marketStarted(rows: ReadonlyMap<string, StoredRow>): void {
    for (const id of this.#acknowledged)
      this.#check(rows.has(`order/${id}`), 'durability', () => `acknowledged order ${id} is gone`);
    for (const [id, fence] of this.#accepted) {
      const stored = rows.get(`order/${id}`);
      const row = stored && decodeRow('order', stored.bytes);
      this.#check(
        row?.delivery?.delivery.fence === fence,
        'durability',
        () => `accepted delivery of ${id} is gone`,
      );
    }
  }

  // ---- the end --------------------------------------------------------------------------------

  /** True when every order that somebody relies on has ended everywhere. */
  allEnded(rows: ReadonlyMap<string, StoredRow>): boolean {
    for (const history of this.#histories.values())
      if (history.placed > 0 && history.ends === 0) return false;
    for (const id of this.#acknowledged) {
      const stored = rows.get(`order/${id}`);
      if (!stored || decodeRow('order', stored.bytes).endedAtUs === undefined) return false;
    }
    return true;
  }

  /** Everything is quiet: the chain's records, the market's rows and the logs must agree. */
  final(rows: ReadonlyMap<string, StoredRow>): void {
    this.marketStarted(rows);
    const replicas = new Replicas(rows);
    this.#batches.final(rows, replicas);
    this.#checkMoney();
    for (const [key, stored] of rows) {
      if (!key.startsWith('order/')) continue;
      const row = decodeRow('order', stored.bytes);
      const record = this.#record(row.id);
      this.#check(
        (record?.state ?? 'none') === row.chain.state,
        'I2',
        () => `order ${row.id}: market ${row.chain.state}, chain ${record?.state}`,
      );
      if (row.array) {
        const paid = replicas.unitsPaid(row);
        this.#check(
          (record?.array?.settled ?? 0) === paid,
          'I3',
          () => `array ${row.id}: ${paid} units done, ${record?.array?.settled} paid`,
        );
        replicas.checkResults(row, this.#options.world);
      }
      this.#check(
        (record?.paid ?? 0n) === row.chain.paid,
        'I2',
        () => `order ${row.id}: sums differ`,
      );
      const result = row.delivery?.delivery.result;
      if (row.chain.state === 'settled' && row.work === 'done' && result !== undefined)
        this.#check(
          this.#options.hasResult(result, row.needs.limits.outputBytes),
          'results',
          () => `order ${row.id} was paid without a result`,
        );
      this.#options.world.count(`ended ${row.work}/${row.chain.state}`);
      this.#options.world.count(`reason ${row.reason?.code ?? 'none'}`);
    }
    for (const id of this.#mustBePaid)
      this.#check(
        this.#record(id)?.state === 'settled',
        'I9',
        () => `order ${id}, made in peace, is ${this.#record(id)?.state}`,
      );
    const { market, verify, world, chain } = this.#options;
    const anchors = chain();
    checkLogs({ world, rows, verify, market, anchors, accountOf });
    if (!anchors) return;
    const { genesis, manifestBytes } = this.#options;
    const { account } = market;
    checkReceipts({ world, rows, verify, market: account, chain: anchors, genesis, manifestBytes });
  }
}
