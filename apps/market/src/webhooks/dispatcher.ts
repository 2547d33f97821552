/**
 * Hands events to webhooks: at least once, each order's in their sequence. What is to be sent is noted
 * in the commit of the events themselves, so a market that is killed at any instant sends it after its
 * restart; the texts are read from the jobs' logs when they are sent. A webhook that is slow or down
 * holds back nobody but itself.
 */
import type { AccountId } from '#libs/kernel';
import type { MarketEffect } from '#libs/market';
import { type Logger, declareFailpoints, failpoint } from '#libs/platform';
import type { LogEvent } from '../http/market-api.ts';
import type { Outbox } from '../market-loop.ts';
import { EndpointQueue, Lane } from './endpoint-queue.ts';
import { type EventSource, eventRequest } from './event-body.ts';
import type { SendFailure, Sender } from './sender.ts';
import type { WebhookStore } from './webhook-store.ts';
import {
  type QueuedEvents,
  type StoredLane,
  type Webhook,
  type WebhookCaps,
  type WebhookTimes,
  takesKind,
} from './webhook.ts';

declareFailpoints('market.webhook.send.before', 'market.webhook.send.after');

export interface DispatcherParts {
  readonly store: Pick<WebhookStore, 'save' | 'advance' | 'defer' | 'drop' | 'remove'>;
  readonly sender: Sender;
  readonly source: EventSource;
  readonly caps: WebhookCaps;
  readonly times: WebhookTimes;
  readonly logger: Logger;
  /** Durable entries of a job after `seq`, a page at a time. */
  logAfter(order: string, seq: number): Promise<readonly LogEvent[]>;
  /** Whose order it is; undefined when it is not open. */
  consumerOf(order: string): AccountId | undefined;
  nowUs(): number;
  /** In [0, 1). */
  random(): number;
}

export interface DispatcherCounts {
  delivered: number;
  failed: number;
  missed: number;
}

const US_PER_MS = 1000;
const SWEEP_MS = 3_600_000;
const TIMER_MAX_MS = 60_000;
/** How often it is noted what was taken; what was not noted is sent again after a kill. */
const ADVANCE_MS = 200;
const NOTHING: readonly QueuedEvents[] = [];

export class WebhookDispatcher implements Outbox {
  readonly #parts: DispatcherParts;
  readonly #queues = new Map<string, EndpointQueue>();
  readonly #byAccount = new Map<AccountId, Set<EndpointQueue>>();
  readonly counts: DispatcherCounts = { delivered: 0, failed: 0, missed: 0 };
  /** Queues that may have something to run; a queue that ran goes to the end. */
  readonly #turn = new Set<EndpointQueue>();
  readonly #running = new Set<Promise<void>>();
  #queued = 0;
  #timer: NodeJS.Timeout | undefined;
  #timerUs = Infinity;
  #sweeper: NodeJS.Timeout | undefined;
  #isStarted = false;
  #stopped = false;

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
  }

  /** Orders with something to send, in all. */
  get queued(): number {
    return this.#queued;
  }
  get inFlight(): number {
    return this.#running.size;
  }
  get webhooks(): number {
    return this.#queues.size;
  }
  get disabled(): number {
    return [...this.#queues.values()].filter(({ webhook }) => webhook.disabled).length;
  }
  /** Seconds since the oldest failure that still stands. */
  get oldestFailureS(): number {
    const since = [...this.#queues.values()].map(
      (queue) => queue.webhook.failingSinceUs ?? Infinity,
    );
    const first = Math.min(...since, Infinity);
    return first === Infinity ? 0 : Math.round((this.#parts.nowUs() - first) / 1_000_000);
  }

  /** Takes in what was stored; from here on events are noted. */
  load(webhooks: readonly Webhook[], lanes: readonly StoredLane[]): void {
    for (const webhook of webhooks) this.add(webhook);
    for (const stored of lanes) {
      const queue = this.#queues.get(stored.webhook);
      if (queue) queue.wake(this.#insert(queue, new Lane(stored)));
    }
  }

  /** Begins to send. */
  start(): void {
    this.#isStarted = true;
    for (const queue of this.#queues.values()) this.#turn.add(queue);
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS).unref();
    this.#pump();
  }

  of(account: AccountId): readonly Webhook[] {
    return [...(this.#byAccount.get(account) ?? [])].map(({ webhook }) => webhook);
  }

  get(id: string): Webhook | undefined {
    return this.#queues.get(id)?.webhook;
  }

  waitingOf(id: string): number {
    return this.#queues.get(id)?.size ?? 0;
  }

  add(webhook: Webhook): void {
    const queue = new EndpointQueue(webhook);
    this.#queues.set(webhook.id, queue);
    const own = this.#byAccount.get(webhook.account) ?? new Set();
    own.add(queue);
    this.#byAccount.set(webhook.account, own);
  }

  forget(id: string): void {
    const queue = this.#queues.get(id);
    if (!queue) return;
    this.#queues.delete(id);
    this.#turn.delete(queue);
    this.#queued -= queue.size;
    const own = this.#byAccount.get(queue.webhook.account);
    own?.delete(queue);
    if (own?.size === 0) this.#byAccount.delete(queue.webhook.account);
  }

  hasRoomFor(id: string): boolean {
    const queue = this.#queues.get(id);
    return queue !== undefined && this.#hasRoom(queue);
  }

  /** Begins to send a range that `queue` of the store made durable; it takes the place of an earlier one. */
  replay(range: QueuedEvents): void {
    const queue = this.#queues.get(range.webhook);
    if (!queue) return;
    const earlier = queue.lane(range.order, 'replay');
    if (earlier) this.#remove(queue, earlier);
    this.committed([range]);
  }

  /** It is on again: what waited is sent at once. */
  resume(webhook: Webhook): void {
    const queue = this.#queues.get(webhook.id);
    if (!queue) return;
    queue.webhook = webhook;
    queue.resume();
    this.#turn.add(queue);
    this.#pump();
  }

  take(effects: readonly MarketEffect[]): readonly QueuedEvents[] {
    if (this.#queues.size === 0) return NOTHING;
    const due = new Map<EndpointQueue, Map<string, QueuedEvents>>();
    for (const effect of effects) {
      if (effect.kind !== 'jobEvent' || effect.event.seq === undefined) continue;
      const { order, seq, kind } = effect.event;
      for (const queue of this.#receivers(order, kind)) {
        const own = due.get(queue) ?? new Map<string, QueuedEvents>();
        due.set(queue, own);
        const first = own.get(order)?.next;
        if (first === undefined && !this.#admits(queue, order, own.size)) continue;
        const { id: webhook } = queue.webhook;
        own.set(order, { webhook, order, lane: 'live', next: first ?? seq, last: seq });
      }
    }
    return [...due.values()].flatMap((own) => [...own.values()]);
  }

  committed(due: readonly QueuedEvents[]): void {
    for (const events of due) {
      const { webhook, order, lane: kind, last } = events;
      const queue = this.#queues.get(webhook);
      if (!queue) continue;
      const lane = queue.lane(order, kind) ?? this.#insert(queue, new Lane(events));
      lane.last = Math.max(lane.last, last);
      queue.wake(lane);
      this.#turn.add(queue);
    }
    this.#pump();
  }

  *#receivers(order: string, kind: string): Generator<EndpointQueue> {
    const account = this.#parts.consumerOf(order);
    const own = account === undefined ? undefined : this.#byAccount.get(account);
    for (const queue of own ?? []) {
      const { webhook } = queue;
      if ((webhook.order ?? order) === order && takesKind(webhook, kind)) yield queue;
    }
  }

  /** @param added orders that this commit already put into the queue, at most */
  #admits(queue: EndpointQueue, order: string, added: number): boolean {
    if (queue.lane(order, 'live') || this.#hasRoom(queue, added)) return true;
    this.#miss(queue);
    return false;
  }

  #hasRoom(queue: EndpointQueue, added = 0): boolean {
    const { queued, queuedInAll } = this.#parts.caps;
    return queue.size + added < queued && this.#queued + added < queuedInAll;
  }

  #insert(queue: EndpointQueue, lane: Lane): Lane {
    queue.add(lane);
    this.#queued += 1;
    return lane;
  }

  #remove(queue: EndpointQueue, lane: Lane): void {
    const isThere = queue.remove(lane);
    if (isThere && this.#queues.get(queue.webhook.id) === queue) this.#queued -= 1;
  }

  #miss(queue: EndpointQueue): void {
    this.counts.missed += 1;
    queue.webhook = { ...queue.webhook, missed: queue.webhook.missed + 1 };
  }

  /** Starts what may start, one of each webhook in turn. */
  #pump(): void {
    if (!this.#isStarted) return;
    const { caps, nowUs } = this.#parts;
    let nextUs = Infinity;
    for (const queue of this.#turn) {
      if (this.#stopped || this.#running.size >= caps.inFlightInAll) return;
      this.#turn.delete(queue);
      const lane = queue.take(nowUs(), caps.inFlight);
      if (lane) {
        this.#start(queue, lane);
        // To the end: the iteration comes to it again.
        this.#turn.add(queue);
        continue;
      }
      nextUs = Math.min(nextUs, queue.nextUs(caps.inFlight) ?? Infinity);
    }
    if (nextUs !== Infinity) this.#wakeAt(nextUs);
  }

  #wakeAt(timeUs: number): void {
    const waitMs = Math.ceil((timeUs - this.#parts.nowUs()) / US_PER_MS);
    if (this.#timerUs <= timeUs) return;
    clearTimeout(this.#timer);
    this.#timerUs = timeUs;
    this.#timer = setTimeout(
      () => {
        this.#timerUs = Infinity;
        for (const queue of this.#queues.values()) if (queue.size > 0) this.#turn.add(queue);
        this.#pump();
      },
      Math.min(TIMER_MAX_MS, Math.max(1, waitMs)),
    );
    this.#timer.unref();
  }

  #start(queue: EndpointQueue, lane: Lane): void {
    const run = this.#run(queue, lane)
      .catch((error: unknown) => {
        // The log or the database could not be read: as if the receiver had failed.
        const { logger, nowUs, times, random } = this.#parts;
        logger.warn({ err: error, webhook: lane.webhook }, 'a webhook could not be served');
        queue.failed(lane, nowUs(), times, random());
      })
      .finally(() => {
        this.#running.delete(run);
        queue.done(lane);
        queue.wake(lane);
        this.#turn.add(queue);
        this.#pump();
      });
    this.#running.add(run);
  }

  /** Sends what the lane holds until it is empty or something is not taken. */
  async #run(queue: EndpointQueue, lane: Lane): Promise<void> {
    const { store, logAfter } = this.#parts;
    let advancedMs = performance.now();
    while (lane.next <= lane.last && this.#serves(queue, lane)) {
      const page = await logAfter(lane.order, lane.next - 1);
      if (page.length === 0) {
        // The log does not reach there: nothing can be told of it any more.
        lane.next = lane.last + 1;
        this.#miss(queue);
        break;
      }
      for (const event of page) {
        if (event.seq > lane.last || !this.#serves(queue, lane)) break;
        if (event.seq < lane.next) continue;
        if (takesKind(queue.webhook, event.kind) && !(await this.#send(queue, lane, event))) return;
        lane.next = event.seq + 1;
        lane.attempts = 0;
        lane.failingSinceUs = undefined;
        if (lane.next > lane.last || performance.now() - advancedMs < ADVANCE_MS) continue;
        advancedMs = performance.now();
        await store.advance(lane.stored);
      }
    }
    if (lane.next <= lane.last || queue.lane(lane.order, lane.lane) !== lane) return;
    const { stored } = lane;
    this.#remove(queue, lane);
    await store.advance(stored);
  }

  #serves(queue: EndpointQueue, lane: Lane): boolean {
    const isCurrent = this.#queues.get(queue.webhook.id) === queue;
    return !this.#stopped && isCurrent && queue.lane(lane.order, lane.lane) === lane;
  }

  /** @returns whether it was taken */
  async #send(queue: EndpointQueue, lane: Lane, event: LogEvent): Promise<boolean> {
    const { sender, source, nowUs } = this.#parts;
    const request = eventRequest(queue.webhook, lane.order, event, source, nowUs());
    const startedMs = performance.now();
    failpoint('market.webhook.send.before');
    const outcome = await sender.send(request);
    failpoint('market.webhook.send.after');
    if (this.#stopped) return false;
    if (outcome.is === 'failed') {
      await this.#notTaken(queue, lane, outcome);
      return false;
    }
    this.counts.delivered += 1;
    queue.succeeded(performance.now() - startedMs);
    await this.#noteSuccess(queue);
    return true;
  }

  async #noteSuccess(queue: EndpointQueue): Promise<void> {
    const { failingSinceUs, lastFailure: _failure, ...webhook } = queue.webhook;
    const lastDeliveredUs = this.#parts.nowUs();
    if (failingSinceUs === undefined) {
      queue.webhook = { ...queue.webhook, lastDeliveredUs };
      return;
    }
    queue.webhook = { ...webhook, lastDeliveredUs };
    await this.#parts.store.save(queue.webhook);
  }

  async #notTaken(queue: EndpointQueue, lane: Lane, outcome: SendFailure): Promise<void> {
    const { store, times, nowUs, random } = this.#parts;
    const { code, text, retryAfterMs } = outcome;
    const now = nowUs();
    this.counts.failed += 1;
    queue.failed(lane, now, times, random(), retryAfterMs);
    const isFirst = queue.webhook.failingSinceUs === undefined;
    queue.webhook = {
      ...queue.webhook,
      failingSinceUs: queue.webhook.failingSinceUs ?? now,
      lastFailure: { code, text },
    };
    const isOver = (sinceUs = now) => now - sinceUs >= times.giveUpMs * US_PER_MS;
    if (code === 'WEBHOOK_GONE' || isOver(queue.webhook.failingSinceUs)) {
      const days = Math.round(times.giveUpMs / 86_400_000);
      const why =
        code === 'WEBHOOK_GONE'
          ? { code, text }
          : { code: 'WEBHOOK_EXPIRED', text: `nothing was taken for ${days} days; last: ${text}` };
      queue.webhook = { ...queue.webhook, disabled: { ...why, atUs: now } };
      await store.save(queue.webhook);
    } else if (isFirst) await store.save(queue.webhook);
    if (isOver(lane.failingSinceUs) && !queue.webhook.disabled) {
      // Others are taken, this order's are not: they are given up rather than block the order for ever.
      this.#miss(queue);
      this.#remove(queue, lane);
      await store.drop(lane.stored);
      await store.save(queue.webhook);
      return;
    }
    await store.defer(lane.stored);
  }

  /** Age limits: webhooks of single orders, and what waits for webhooks that are off. */
  #sweep(): void {
    const { nowUs, times, store, logger } = this.#parts;
    const before = nowUs() - times.keepMs * US_PER_MS;
    for (const queue of this.#queues.values()) {
      const { id, order, createdAtUs, disabled } = queue.webhook;
      const isOld = order !== undefined && createdAtUs < before;
      if (!isOld && (disabled?.atUs ?? Infinity) >= before) continue;
      this.forget(id);
      store
        .remove(id)
        .catch((error: unknown) => logger.warn({ err: error, webhook: id }, 'webhook not removed'));
    }
  }

  /** What is under way is broken off: it is tried again at the next start. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearInterval(this.#sweeper);
    await this.#parts.sender.stop();
    await Promise.all(this.#running);
  }
}
