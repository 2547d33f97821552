/** What waits for one webhook: which order's next event may be tried now, and when the next may. */
import {
  type LaneKind,
  type QueuedEvents,
  type StoredLane,
  type Webhook,
  type WebhookTimes,
  backoffOf,
} from './webhook.ts';

/** Failures in a row after which a receiver is taken to be down and only looked at now and then. */
export const DOWN_AFTER = 3;
/** An answer that took longer makes it one request at a time. */
const SLOW_MS = 2_000;

export class Lane {
  readonly webhook: string;
  readonly order: string;
  readonly lane: LaneKind;
  next: number;
  last: number;
  attempts: number;
  dueUs: number;
  failingSinceUs: number | undefined;
  isRunning = false;

  constructor(stored: QueuedEvents & Partial<StoredLane>) {
    this.webhook = stored.webhook;
    this.order = stored.order;
    this.lane = stored.lane;
    this.next = stored.next;
    this.last = stored.last;
    this.attempts = stored.attempts ?? 0;
    this.dueUs = stored.dueUs ?? 0;
    this.failingSinceUs = stored.failingSinceUs;
  }

  get stored(): StoredLane {
    const { webhook, order, lane, next, last, attempts, dueUs, failingSinceUs } = this;
    return {
      ...{ webhook, order, lane, next, last, attempts, dueUs },
      ...(failingSinceUs !== undefined && { failingSinceUs }),
    };
  }
}

const laneKey = (order: string, lane: LaneKind): string => `${order} ${lane}`;

export class EndpointQueue {
  webhook: Webhook;
  readonly #lanes = new Map<string, Lane>();
  /** Lanes that may run, oldest first; the others of `#lanes` run or back off. */
  readonly #ready = new Set<Lane>();
  readonly #backingOff = new Set<Lane>();
  #failuresInARow = 0;
  #notBeforeUs = 0;
  #isSlow = false;
  running = 0;

  constructor(webhook: Webhook) {
    this.webhook = webhook;
  }

  get size(): number {
    return this.#lanes.size;
  }

  lane(order: string, kind: LaneKind): Lane | undefined {
    return this.#lanes.get(laneKey(order, kind));
  }

  lanes(): IterableIterator<Lane> {
    return this.#lanes.values();
  }

  add(lane: Lane): void {
    this.#lanes.set(laneKey(lane.order, lane.lane), lane);
  }

  /** @returns false when another one is in its place already */
  remove(lane: Lane): boolean {
    this.#ready.delete(lane);
    this.#backingOff.delete(lane);
    if (this.lane(lane.order, lane.lane) !== lane) return false;
    return this.#lanes.delete(laneKey(lane.order, lane.lane));
  }

  /** Something is there to be sent, and durable. */
  wake(lane: Lane): void {
    if (lane.isRunning || this.lane(lane.order, lane.lane) !== lane) return;
    if (lane.attempts > 0) this.#backingOff.add(lane);
    else this.#ready.add(lane);
  }

  /** The lane to run now, if one may; it counts as running from here on. */
  take(nowUs: number, inFlightMax: number): Lane | undefined {
    const isDown = this.#failuresInARow >= DOWN_AFTER;
    const most = isDown || this.#isSlow ? 1 : inFlightMax;
    if (this.webhook.disabled || this.running >= most || nowUs < this.#notBeforeUs)
      return undefined;
    for (const lane of this.#backingOff) if (lane.dueUs <= nowUs) this.#makeReady(lane);
    const [lane] = this.#ready;
    if (lane === undefined) return undefined;
    this.#ready.delete(lane);
    lane.isRunning = true;
    this.running += 1;
    return lane;
  }

  #makeReady(lane: Lane): void {
    this.#backingOff.delete(lane);
    this.#ready.add(lane);
  }

  /** When `take` may give something although it gives nothing now; undefined when a wake tells. */
  nextUs(inFlightMax: number): number | undefined {
    if (this.webhook.disabled || this.running >= inFlightMax) return undefined;
    if (this.#ready.size > 0) return this.#notBeforeUs;
    let first: number | undefined;
    for (const { dueUs } of this.#backingOff)
      if (first === undefined || dueUs < first) first = dueUs;
    return first === undefined ? undefined : Math.max(first, this.#notBeforeUs);
  }

  done(lane: Lane): void {
    lane.isRunning = false;
    this.running -= 1;
  }

  /** It took an event. What had to wait because it was down need not any more. */
  succeeded(tookMs: number): void {
    const wasDown = this.#failuresInARow >= DOWN_AFTER;
    this.#failuresInARow = 0;
    this.#notBeforeUs = 0;
    this.#isSlow = tookMs > SLOW_MS;
    if (wasDown) for (const lane of this.#backingOff) this.#makeReady(lane);
  }

  /** It did not: the order backs off, and after some in a row everything does. */
  failed(lane: Lane, nowUs: number, times: WebhookTimes, random: number, retryAfterMs = 0): void {
    this.#failuresInARow += 1;
    lane.attempts += 1;
    lane.failingSinceUs ??= nowUs;
    const pauseMs = Math.max(retryAfterMs, backoffOf(lane.attempts, times, random));
    lane.dueUs = nowUs + Math.round(pauseMs * 1000);
    if (this.#failuresInARow < DOWN_AFTER) return;
    const probe = { backoffMs: times.backoffMs, backoffMaxMs: times.probeMaxMs };
    const quietMs = backoffOf(this.#failuresInARow - DOWN_AFTER + 1, probe, random);
    this.#notBeforeUs = nowUs + Math.round(Math.max(quietMs, retryAfterMs) * 1000);
  }

  /** Everything is tried again at once. */
  resume(): void {
    this.#failuresInARow = 0;
    this.#notBeforeUs = 0;
    for (const lane of this.#lanes.values()) {
      lane.failingSinceUs = undefined;
      if (!lane.isRunning) this.#makeReady(lane);
    }
  }
}
