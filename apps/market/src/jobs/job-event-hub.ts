/**
 * Live job events. Followers get each step as it becomes durable; one who reads too slowly loses
 * events, is told so, and gets a fresh snapshot instead of a growing buffer.
 */
import type { JobEvent } from '#libs/market';

export type FollowerSignal =
  | { readonly is: 'event'; readonly event: JobEvent }
  /** Events were dropped: read the order and its log again. */
  | { readonly is: 'lagged' };

export interface Follower {
  /** Takes what came since, at once; empty when nothing did. */
  take(): readonly FollowerSignal[];
  /** Resolves when something came or the follower was closed. */
  ready(): Promise<void>;
  readonly isClosed: boolean;
  close(): void;
}

export interface JobEventHub {
  publish(event: JobEvent): void;
  /** @returns undefined when there are too many followers already */
  follow(order: string): Follower | undefined;
  readonly followers: number;
  close(): void;
}

const FOLLOWER_EVENTS_MAX = 1_000;
const FOLLOWERS_MAX = 2_000;

class QueueFollower implements Follower {
  isClosed = false;
  readonly #onClose: (follower: QueueFollower) => void;
  #signals: FollowerSignal[] = [];
  #wake: (() => void) | undefined;

  constructor(onClose: (follower: QueueFollower) => void) {
    this.#onClose = onClose;
  }

  push(event: JobEvent): void {
    if (this.#signals.length < FOLLOWER_EVENTS_MAX) this.#signals.push({ is: 'event', event });
    else this.#signals = [{ is: 'lagged' }];
    this.#wake?.();
  }

  take(): readonly FollowerSignal[] {
    const taken = this.#signals;
    this.#signals = [];
    return taken;
  }

  ready(): Promise<void> {
    if (this.#signals.length > 0 || this.isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#onClose(this);
    this.#wake?.();
  }
}

export function createJobEventHub(): JobEventHub {
  const byOrder = new Map<string, Set<QueueFollower>>();
  let count = 0;
  return {
    get followers() {
      return count;
    },
    publish: (event) => {
      for (const follower of byOrder.get(event.order) ?? []) follower.push(event);
    },
    follow: (order) => {
      if (count >= FOLLOWERS_MAX) return undefined;
      const followers = byOrder.get(order) ?? new Set();
      byOrder.set(order, followers);
      const follower = new QueueFollower((closed) => {
        if (!followers.delete(closed)) return;
        count -= 1;
        if (followers.size === 0 && byOrder.get(order) === followers) byOrder.delete(order);
      });
      followers.add(follower);
      count += 1;
      return follower;
    },
    close: () => {
      for (const followers of [...byOrder.values()]) for (const one of [...followers]) one.close();
    },
  };
}
