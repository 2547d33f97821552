import type { Bytes } from '#libs/kernel';

type Step = IteratorResult<Bytes, undefined>;

/**
 * Two streams over one source, in step: the source is asked for its next chunk only when both
 * readers have taken the last one, so nothing piles up. An error of the source reaches both; when
 * one reader stops early, the other sees the end of an unfinished stream as an error.
 */
export function teeBytes(
  source: AsyncIterator<Bytes>,
): [AsyncGenerator<Bytes>, AsyncGenerator<Bytes>] {
  let next = Promise.withResolvers<Step>();
  let waiting = 0;
  let stopped: Error | undefined;

  async function take(): Promise<Step> {
    if (stopped !== undefined) throw stopped;
    const current = next;
    if (++waiting === 2) {
      waiting = 0;
      next = Promise.withResolvers<Step>();
      (source.next() as Promise<Step>).then(current.resolve, current.reject);
    }
    return current.promise;
  }
  async function* reader(): AsyncGenerator<Bytes> {
    let finished = false;
    try {
      for (;;) {
        const step = await take().catch((error: unknown) => {
          finished = true;
          throw error;
        });
        if (step.done === true) {
          finished = true;
          return;
        }
        yield step.value;
      }
    } finally {
      if (!finished) {
        stopped = new Error('the other reader stopped');
        next.promise.catch(() => {});
        next.reject(stopped);
        await source.return?.();
      }
    }
  }
  return [reader(), reader()];
}
