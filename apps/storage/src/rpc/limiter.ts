import { storageError } from '#libs/storage';

export interface Limiter {
  readonly active: number;
  readonly waiting: number;
  /** Resolves with the function that gives the place back. @throws STORAGE_BUSY */
  enter(signal: AbortSignal): Promise<() => void>;
}

/** So many at once; as many as `queue` more wait in order; the rest are refused. */
export function createLimiter(limit: number, queue: number): Limiter {
  let active = 0;
  const waiting = new Set<() => void>();

  function leave(): void {
    active--;
    const [next] = waiting;
    if (next === undefined) return;
    waiting.delete(next);
    next();
  }
  function once(): () => void {
    active++;
    let left = false;
    return () => {
      if (!left) leave();
      left = true;
    };
  }
  return {
    get active() {
      return active;
    },
    get waiting() {
      return waiting.size;
    },
    async enter(signal) {
      if (active < limit) return once();
      if (waiting.size >= queue)
        throw storageError('STORAGE_BUSY', `${active} calls run and ${waiting.size} wait already`);
      return new Promise((resolve, reject) => {
        const start = () => {
          signal.removeEventListener('abort', stop);
          resolve(once());
        };
        const stop = () => {
          waiting.delete(start);
          reject(signal.reason as Error);
        };
        waiting.add(start);
        signal.addEventListener('abort', stop, { once: true });
      });
    },
  };
}
