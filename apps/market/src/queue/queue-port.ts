/**
 * The queue between the market's decisions and their hand-over. Messages are hints to look again:
 * the rows hold the truth, so a message may come twice, late or after its work is done, and a lost
 * queue loses nothing (the reducer sends what it misses again).
 */
export interface QueueMessage {
  /** Two messages of one key that wait at the same time are one. At most 200 characters. */
  readonly key: string;
  /** What the consumer gets; small. */
  readonly payload: Readonly<Record<string, string | number>>;
}

/** Resolving acknowledges the message; rejecting has it delivered again a little later. */
export type QueueHandler = (message: QueueMessage) => Promise<void>;

export interface QueueCounts {
  readonly waiting: number;
  readonly active: number;
  readonly delayed: number;
}

/**
 * At least once: a message added is delivered until a handler resolved for it, also when the process
 * that held it was killed.
 */
export interface QueuePort {
  /** Resolves when the message is stored. */
  add(queue: string, message: QueueMessage, options?: { readonly delayMs?: number }): Promise<void>;
  /** Starts consuming; a queue has one handler per port. */
  consume(queue: string, handler: QueueHandler): Promise<void>;
  counts(queue: string): Promise<QueueCounts>;
  /** Rejects when the queue cannot be reached. */
  ping(): Promise<void>;
  /** Finishes running handlers and lets go of everything. */
  close(): Promise<void>;
}
