/** The webhooks of a market: registered, listed, replayed, tested and removed by their owners. */
import { randomBytes } from 'node:crypto';
import type { AccountId } from '#libs/kernel';
import { type OrderView, marketError } from '#libs/market';
import { type Metrics, platformError } from '#libs/platform';
import type { Outbox } from '../market-loop.ts';
import { type TargetPolicy, checkTarget } from './address-guard.ts';
import { type DispatcherParts, WebhookDispatcher } from './dispatcher.ts';
import { webhookError } from './errors.ts';
import { testRequest } from './event-body.ts';
import type { SendOutcome } from './sender.ts';
import type { WebhookStore } from './webhook-store.ts';
import { DEFAULT_EVENT_KINDS, type Webhook } from './webhook.ts';

export interface NewWebhook {
  readonly url: string;
  readonly order?: string | undefined;
  readonly events?: readonly string[] | undefined;
}

/** A webhook as its owner sees it. */
export interface WebhookView extends Webhook {
  /** Orders with something to send to it. */
  readonly waiting: number;
}

export interface ReplayRange {
  readonly order: string;
  readonly from: number;
  /** The last one; absent: all there are by now. */
  readonly to?: number | undefined;
}

/** What the HTTP edge needs of webhooks. */
export interface Webhooks {
  add(account: AccountId, wanted: NewWebhook): Promise<{ view: WebhookView; isNew: boolean }>;
  list(account: AccountId): readonly WebhookView[];
  remove(account: AccountId, id: string): Promise<void>;
  resume(account: AccountId, id: string): Promise<WebhookView>;
  replay(account: AccountId, id: string, range: ReplayRange): Promise<{ readonly queued: number }>;
  test(account: AccountId, id: string): Promise<SendOutcome & { readonly tookMs: number }>;
}

export interface WebhooksParts extends Omit<DispatcherParts, 'store'> {
  readonly store: WebhookStore;
  readonly policy: TargetPolicy;
  readonly metrics: Metrics;
  orderView(id: string): Promise<OrderView | undefined>;
}

/** Tests under way at once, of all accounts. */
const TESTS_MAX = 16;

function observe(metrics: Metrics, dispatcher: WebhookDispatcher): void {
  const gauges: readonly (readonly [string, string, () => number])[] = [
    ['registered', 'Webhooks', () => dispatcher.webhooks],
    ['disabled', 'Webhooks that were switched off', () => dispatcher.disabled],
    ['queued', 'Orders with events that a webhook has not taken', () => dispatcher.queued],
    ['in_flight', 'Webhooks that are being spoken to', () => dispatcher.inFlight],
    [
      'oldest_failure_seconds',
      'Since the oldest failure that still stands',
      () => dispatcher.oldestFailureS,
    ],
    ['delivered', 'Events taken, since start', () => dispatcher.counts.delivered],
    ['failed', 'Attempts that failed, since start', () => dispatcher.counts.failed],
    ['missed', 'Events not kept or given up, since start', () => dispatcher.counts.missed],
  ];
  for (const [name, help, read] of gauges)
    metrics.gauge(`seele_market_webhooks_${name}`, help, read);
}

class MarketWebhooks implements Webhooks {
  readonly #parts: WebhooksParts;
  readonly #dispatcher: WebhookDispatcher;
  #tests = 0;

  constructor(parts: WebhooksParts, dispatcher: WebhookDispatcher) {
    this.#parts = parts;
    this.#dispatcher = dispatcher;
  }

  #view(webhook: Webhook): WebhookView {
    return { ...webhook, waiting: this.#dispatcher.waitingOf(webhook.id) };
  }

  #own(account: AccountId, id: string): Webhook {
    const webhook = this.#dispatcher.get(id);
    // Another account's is not told apart from none.
    if (webhook?.account !== account)
      throw webhookError('WEBHOOK_UNKNOWN', `you have no webhook ${id}`);
    return webhook;
  }

  async add(account: AccountId, { url: text, order, events }: NewWebhook) {
    const { url } = checkTarget(text, this.#parts.policy);
    const own = this.#dispatcher.of(account);
    const kinds = [...new Set(events ?? DEFAULT_EVENT_KINDS)];
    const same = own.find(
      (webhook) =>
        webhook.url === url.href &&
        webhook.order === order &&
        webhook.events.join() === kinds.join(),
    );
    if (same) return { view: this.#view(same), isNew: false };
    this.#checkCaps(own, order);
    if (order !== undefined) await this.#checkOrder(account, order);
    const webhook: Webhook = {
      ...{ id: `wh_${randomBytes(12).toString('hex')}`, account, url: url.href, events: kinds },
      ...(order !== undefined && { order }),
      ...{ createdAtUs: this.#parts.nowUs(), missed: 0 },
    };
    await this.#parts.store.save(webhook);
    this.#dispatcher.add(webhook);
    return { view: this.#view(webhook), isNew: true };
  }

  #checkCaps(own: readonly Webhook[], order: string | undefined): void {
    const { webhooks, perAccount, perAccountOrders } = this.#parts.caps;
    if (this.#dispatcher.webhooks >= webhooks)
      throw webhookError('WEBHOOK_LIMIT', `this market has ${webhooks} webhooks already`);
    const isSingle = order !== undefined;
    const alike = own.filter((webhook) => (webhook.order !== undefined) === isSingle).length;
    if (alike >= (isSingle ? perAccountOrders : perAccount))
      throw webhookError(
        'WEBHOOK_LIMIT',
        `you have ${alike} webhooks for ${isSingle ? 'single orders' : 'your orders'} already`,
      );
  }

  /** An order that is not there yet may still come: it is told of only if it is of the same account. */
  async #checkOrder(account: AccountId, order: string): Promise<OrderView | undefined> {
    const view = await this.#parts.orderView(order);
    if (view !== undefined && view.consumer !== account)
      throw platformError(
        'HTTP_FORBIDDEN',
        `order ${order} is of another account than the request`,
      );
    return view;
  }

  list(account: AccountId) {
    return this.#dispatcher
      .of(account)
      .map((webhook) => this.#view(webhook))
      .toSorted((a, b) => a.createdAtUs - b.createdAtUs);
  }

  async remove(account: AccountId, id: string): Promise<void> {
    this.#own(account, id);
    this.#dispatcher.forget(id);
    await this.#parts.store.remove(id);
  }

  async resume(account: AccountId, id: string): Promise<WebhookView> {
    const { disabled: _off, failingSinceUs: _since, ...webhook } = this.#own(account, id);
    await this.#parts.store.save(webhook);
    this.#dispatcher.resume(webhook);
    return this.#view(webhook);
  }

  async replay(account: AccountId, id: string, { order, from, to }: ReplayRange) {
    const webhook = this.#own(account, id);
    const view = await this.#checkOrder(account, order);
    if (view === undefined) throw marketError('MARKET_ORDER_UNKNOWN', `there is no order ${order}`);
    if ((webhook.order ?? order) !== order)
      throw webhookError('WEBHOOK_RANGE', `${id} is of order ${webhook.order} alone`);
    const last = Math.min(to ?? Infinity, view.log.length - 1);
    if (from > last)
      throw webhookError(
        'WEBHOOK_RANGE',
        `order ${order} has events 0 to ${view.log.length - 1}; asked for ${from} to ${to ?? 'the end'}`,
      );
    if (!this.#dispatcher.hasRoomFor(id))
      throw webhookError('WEBHOOK_BUSY', `${id} has too many orders waiting`);
    const range = { webhook: id, order, lane: 'replay', next: from, last } as const;
    await this.#parts.store.queue(range);
    this.#dispatcher.replay(range);
    return { queued: last - from + 1 };
  }

  async test(account: AccountId, id: string) {
    const webhook = this.#own(account, id);
    if (this.#tests >= TESTS_MAX)
      throw webhookError('WEBHOOK_BUSY', `${TESTS_MAX} tests are under way`, {
        detail: { retryAfterSeconds: 5 },
      });
    this.#tests += 1;
    try {
      const { source, sender, nowUs } = this.#parts;
      const startedMs = performance.now();
      const outcome = await sender.send(testRequest(webhook, source, nowUs()));
      return { ...outcome, tookMs: Math.round(performance.now() - startedMs) };
    } finally {
      this.#tests -= 1;
    }
  }
}

export interface RunningWebhooks {
  readonly api: Webhooks;
  readonly outbox: Outbox;
  /** Begins to send what is stored; the log must be readable. */
  start(): void;
  stop(): Promise<void>;
}

/** Reads what is stored; sends nothing before `start`. */
export async function openWebhooks(parts: WebhooksParts): Promise<RunningWebhooks> {
  const dispatcher = new WebhookDispatcher(parts);
  const webhooks = await parts.store.webhooks();
  dispatcher.load(webhooks, await parts.store.lanes());
  observe(parts.metrics, dispatcher);
  return {
    api: new MarketWebhooks(parts, dispatcher),
    outbox: dispatcher,
    start: () => dispatcher.start(),
    stop: async () => {
      await dispatcher.stop();
      await parts.store.close();
    },
  };
}
