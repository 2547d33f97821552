/**
 * The one thread that owns the market. Every event is applied at once, in memory; what it saved is
 * committed together with whatever else happened while the previous commit was under way; only then
 * are the other effects let out, in order. So nobody ever hears of something that a crash could undo.
 *
 * A commit that fails has an unknown outcome: the process ends, and restarting from the rows decides.
 */
import type { MarketEffect, MarketEvent, Reply } from '#libs/market';
import { type Metrics, declareFailpoints, failpoint, platformError } from '#libs/platform';
import type { RowChanges, RowStore } from './store/row-store.ts';
import type { QueuedEvents } from './webhooks/webhook.ts';

declareFailpoints(
  'market.commit.before',
  'market.commit.during',
  'market.commit.after',
  'market.release.before',
  'market.release.during',
  'market.release.after',
);

/** Who is to be told of events outside this process: noted in their own commit, sent after it. */
export interface Outbox {
  /** What these effects make due; called once for each commit, in order. */
  take(effects: readonly MarketEffect[]): readonly QueuedEvents[];
  /** That is durable now. */
  committed(due: readonly QueuedEvents[]): void;
}

/** The pure reducer bound to its state, clock and randomness. */
export interface MarketMachine {
  apply(event: MarketEvent): readonly MarketEffect[];
  /** Monotonic time at which a `tick` is due, if any. */
  nextTickMs(): number | undefined;
}

export interface MarketLoopOptions {
  readonly machine: MarketMachine;
  readonly rows: Pick<RowStore, 'commit'>;
  /** Does an effect other than `save`, `remove` and `reply`. Must not throw. */
  perform(effect: MarketEffect): void;
  /** Called once; the process must end. */
  onFatal(error: unknown, why: string): void;
  readonly monotonicMs: () => number;
  readonly metrics?: Metrics;
  readonly outbox?: Outbox;
}

type Request = Extract<MarketEvent, { request: string }>;
type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

/** Requests waiting for their commit; more are refused rather than queued. */
const PENDING_REQUESTS_MAX = 2_000;
/** The loop counts as crowded from this share on: new orders wait, running work does not. */
const CROWDED_SHARE = 0.8;
/** Never sleep longer than this, so that a wrong deadline heals. */
const TICK_MAX_MS = 60_000;

class Batch {
  readonly saves = new Map<string, RowChangeOf<'saves'>>();
  readonly removes = new Map<string, RowChangeOf<'removes'>>();
  readonly effects: MarketEffect[] = [];

  get isEmpty(): boolean {
    return this.effects.length === 0 && !this.hasChanges;
  }

  get hasChanges(): boolean {
    return this.saves.size > 0 || this.removes.size > 0;
  }

  take(effect: MarketEffect): void {
    if (effect.kind === 'save') {
      const key = `${effect.table} ${effect.id}`;
      this.removes.delete(key);
      this.saves.set(key, effect);
    } else if (effect.kind === 'remove') {
      const key = `${effect.table} ${effect.id}`;
      this.saves.delete(key);
      this.removes.set(key, effect);
    } else this.effects.push(effect);
  }
}

type RowChangeOf<K extends keyof RowChanges> =
  RowChanges[K] extends ReadonlyMap<string, infer V> ? V : never;

export class MarketLoop {
  readonly #options: MarketLoopOptions;
  readonly #waiting = new Map<string, (reply: Reply) => void>();
  readonly #idle: (() => void)[] = [];
  #batch = new Batch();
  #flushing = false;
  #stopped = false;
  #lastRequest = 0;
  #timer: NodeJS.Timeout | undefined;
  #timerDueMs = Infinity;

  constructor(options: MarketLoopOptions) {
    this.#options = options;
    options.metrics?.gauge(
      'seele_market_requests_pending',
      'Requests waiting for their commit',
      () => this.#waiting.size,
    );
  }

  /** True when new orders should be sent away; heartbeats, results and money never are. */
  get isCrowded(): boolean {
    return this.#waiting.size > PENDING_REQUESTS_MAX * CROWDED_SHARE;
  }

  /** Applies an event. Effects come out after its commit. */
  dispatch(event: MarketEvent): void {
    if (this.#stopped) return;
    try {
      for (const effect of this.#options.machine.apply(event)) this.#batch.take(effect);
    } catch (error) {
      // The state in memory may be half-changed; the rows are not.
      this.#fail(error, `the market could not take in ${event.kind}`);
      return;
    }
    if (!this.#flushing) {
      this.#flushing = true;
      // Events of the same turn (one socket read, one worker batch) share a commit.
      queueMicrotask(() => void this.#flush());
    }
  }

  /**
   * Applies an event that asks for a reply; resolves after its commit.
   *
   * @throws HTTP_OVERLOADED when too many wait already
   */
  request(event: DistributiveOmit<Request, 'request'>): Promise<Reply> {
    if (this.#waiting.size >= PENDING_REQUESTS_MAX || this.#stopped)
      return Promise.reject(
        platformError('HTTP_OVERLOADED', `${this.#waiting.size} requests are waiting already`, {
          detail: { retryAfterSeconds: 1 },
        }),
      );
    const request = `r${(this.#lastRequest += 1)}`;
    return new Promise((resolve) => {
      this.#waiting.set(request, resolve);
      this.dispatch({ ...event, request });
    });
  }

  async #flush(): Promise<void> {
    const { rows, outbox } = this.#options;
    try {
      while (!this.#batch.isEmpty) {
        const batch = this.#batch;
        this.#batch = new Batch();
        const due = outbox?.take(batch.effects) ?? [];
        if (batch.hasChanges)
          await rows.commit({ saves: batch.saves, removes: batch.removes, due });
        if (this.#stopped) return;
        this.#release(batch.effects);
        if (due.length > 0) outbox?.committed(due);
      }
    } catch (error) {
      this.#fail(error, 'a commit failed: its outcome is unknown');
      return;
    } finally {
      this.#flushing = false;
    }
    this.#armTick();
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #release(effects: readonly MarketEffect[]): void {
    failpoint('market.release.before');
    for (const effect of effects) {
      if (effect.kind === 'reply') this.#answer(effect.request, effect.reply);
      else this.#options.perform(effect);
      failpoint('market.release.during');
    }
    failpoint('market.release.after');
  }

  #answer(request: string, reply: Reply): void {
    const resolve = this.#waiting.get(request);
    this.#waiting.delete(request);
    resolve?.(reply);
  }

  #armTick(): void {
    const due = this.#options.machine.nextTickMs();
    if (this.#stopped || due === undefined || due === this.#timerDueMs) return;
    clearTimeout(this.#timer);
    this.#timerDueMs = due;
    const waitMs = Math.min(TICK_MAX_MS, Math.max(0, Math.ceil(due - this.#options.monotonicMs())));
    this.#timer = setTimeout(() => {
      this.#timerDueMs = Infinity;
      this.dispatch({ kind: 'tick' });
    }, waitMs);
  }

  #fail(error: unknown, why: string): void {
    if (this.#stopped) return;
    this.#stopped = true;
    clearTimeout(this.#timer);
    for (const resolve of this.#idle.splice(0)) resolve();
    this.#options.onFatal(error, why);
  }

  /** Takes no further events and resolves when everything applied is durable and let out. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    while (this.#flushing && !this.#stopped)
      await new Promise<void>((resolve) => this.#idle.push(resolve));
    this.#stopped = true;
    clearTimeout(this.#timer);
  }
}
