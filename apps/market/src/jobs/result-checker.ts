/** Looks at delivered results: there at all, not too large, and pinned so that they stay. */
import { isSeeleError } from '#libs/kernel';
import type { MarketEvent } from '#libs/market';
import { type Logger, declareFailpoints, failpoint } from '#libs/platform';
import { type BlobStore, fileSize, parseCid } from '#libs/storage';

declareFailpoints('market.result.before', 'market.result.after');

type ResultChecked = Extract<MarketEvent, { kind: 'resultChecked' }>;
type Outcome = ResultChecked['outcome'];

/** Checks at once; more wait their turn. */
const CONCURRENCY = 16;
const CHECK_TIMEOUT_MS = 20_000;

/** Codes that say something about the content; every other failure is the storage's own. */
const CONTENT_FAULTS = new Set([
  'STORAGE_NOT_FOUND',
  'STORAGE_CORRUPT',
  'STORAGE_MALFORMED',
  'STORAGE_CID_INVALID',
  'STORAGE_UNSUPPORTED',
]);

export async function checkResult(
  blobs: BlobStore,
  cid: string,
  maxBytes: number,
): Promise<Outcome> {
  const signal = AbortSignal.timeout(CHECK_TIMEOUT_MS);
  try {
    const read = (block: { toString(): string }) => blobs.getBlock(block.toString(), { signal });
    const sizeBytes = await fileSize(read, parseCid(cid), signal);
    if (sizeBytes > maxBytes) return { is: 'too-large' };
    await blobs.pin(cid, { signal });
    return { is: 'good', sizeBytes };
  } catch (error) {
    const code = isSeeleError(error) ? error.code : '';
    return { is: CONTENT_FAULTS.has(code) ? 'missing' : 'unavailable' };
  }
}

export interface ResultChecker {
  check(order: string, fence: number, cid: string, maxBytes: number): void;
}

export function createResultChecker(options: {
  readonly blobs: BlobStore;
  readonly logger: Logger;
  dispatch(event: MarketEvent): void;
}): ResultChecker {
  const waiting: (() => Promise<void>)[] = [];
  /** One check per grant at a time: the reducer may ask again while one runs. */
  const asked = new Set<string>();
  let running = 0;
  const next = (): void => {
    if (running >= CONCURRENCY) return;
    const task = waiting.shift();
    if (task === undefined) return;
    running += 1;
    void task().finally(() => {
      running -= 1;
      next();
    });
  };
  return {
    check: (order, fence, cid, maxBytes) => {
      const key = `${order}/${fence}`;
      if (asked.has(key)) return;
      asked.add(key);
      waiting.push(async () => {
        failpoint('market.result.before');
        const outcome = await checkResult(options.blobs, cid, maxBytes);
        failpoint('market.result.after');
        asked.delete(key);
        if (outcome.is !== 'good')
          options.logger.info({ order, cid, outcome: outcome.is }, 'result not good');
        options.dispatch({ kind: 'resultChecked', order, fence, outcome });
      });
      next();
    },
  };
}
