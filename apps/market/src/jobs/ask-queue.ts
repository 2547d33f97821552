/**
 * Things the reducer asks the outside about: few at once, each key once at a time. Bounded: beyond its
 * cap a question is not taken, and one that waited too long is forgotten; the reducer asks both again.
 */
export interface AskQueueOptions {
  readonly concurrency: number;
  readonly waitingMax: number;
  readonly waitingMaxMs: number;
  /** Told of tasks that reject. */
  failed(error: unknown, key: string): void;
  /** Preset: `performance.now`. */
  readonly nowMs?: (() => number) | undefined;
}

export interface AskQueue {
  /** Questions that wait for their turn or are under way. */
  readonly waiting: number;
  ask(key: string, task: () => Promise<void>): void;
}

interface Waiting {
  readonly key: string;
  readonly sinceMs: number;
  readonly task: () => Promise<void>;
}

export function createAskQueue(options: AskQueueOptions): AskQueue {
  const { concurrency, waitingMax, waitingMaxMs, failed } = options;
  const nowMs = options.nowMs ?? (() => performance.now());
  const asked = new Set<string>();
  let waiting: Waiting[] = [];
  let running = 0;

  const dropOld = (): void => {
    const young = waiting.findIndex(({ sinceMs }) => nowMs() - sinceMs <= waitingMaxMs);
    if (young === 0) return;
    const old = young < 0 ? waiting : waiting.slice(0, young);
    for (const { key } of old) asked.delete(key);
    waiting = young < 0 ? [] : waiting.slice(young);
  };
  const next = (): void => {
    if (running >= concurrency || waiting.length === 0) return;
    dropOld();
    const one = waiting.shift();
    if (!one) return;
    running += 1;
    void one
      .task()
      .catch((error: unknown) => failed(error, one.key))
      .finally(() => {
        asked.delete(one.key);
        running -= 1;
        next();
      });
  };
  return {
    get waiting() {
      return asked.size;
    },
    ask: (key, task) => {
      if (asked.has(key) || waiting.length >= waitingMax) return;
      asked.add(key);
      waiting.push({ key, sinceMs: nowMs(), task });
      next();
    },
  };
}
