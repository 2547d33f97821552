/** Looks at delivered results: there at all, not too large, and pinned so that they stay. */
import { type Bytes, isSeeleError } from '#libs/kernel';
import { type MarketEvent, decodeManifest } from '#libs/market';
import { type Logger, declareFailpoints, failpoint } from '#libs/platform';
import { type BlobStore, fileSize, parseCid } from '#libs/storage';
import { createAskQueue } from './ask-queue.ts';
import { ImpossibleInput, type InputWanted, makeInput } from './make-input.ts';

declareFailpoints(
  'market.result.before',
  'market.result.after',
  'market.units.before',
  'market.units.after',
  'market.array-result.before',
  'market.array-result.after',
  'market.input.before',
  'market.input.after',
);

type ResultChecked = Extract<MarketEvent, { kind: 'resultChecked' }>;
type Outcome = ResultChecked['outcome'];
type ManifestFound = Extract<MarketEvent, { kind: 'manifestFound' }>;

/** Checks at once; more wait their turn. */
const CONCURRENCY = 16;
/** What waits, and how long: beyond either it is forgotten, and the reducer asks again. */
const WAITING_MAX = 20_000;
const WAITING_MAX_MS = 60_000;
const CHECK_TIMEOUT_MS = 20_000;
/** Thousands of outputs may have to be fetched. */
const INPUT_TIMEOUT_MS = 300_000;

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

type InputMade = Extract<MarketEvent, { kind: 'inputMade' }>;

async function madeInput(blobs: BlobStore, wanted: InputWanted): Promise<InputMade['outcome']> {
  try {
    return {
      is: 'good',
      ...(await makeInput(blobs, wanted, AbortSignal.timeout(INPUT_TIMEOUT_MS))),
    };
  } catch (error) {
    if (error instanceof ImpossibleInput) return { is: 'impossible', text: error.message };
    return { is: 'unavailable' };
  }
}

async function readManifest(blobs: BlobStore, cid: string): Promise<ManifestFound['outcome']> {
  const signal = AbortSignal.timeout(CHECK_TIMEOUT_MS);
  try {
    return { is: 'good', manifest: decodeManifest(await blobs.getBlock(cid, { signal })) };
  } catch (error) {
    const code = isSeeleError(error) ? error.code : '';
    const isFault = CONTENT_FAULTS.has(code) || code.startsWith('KERNEL_');
    return { is: isFault ? 'missing' : 'unavailable' };
  }
}

export interface ResultChecker {
  /** Looks that wait for their turn or are under way. */
  readonly waiting: number;
  check(order: string, fence: number, cid: string, maxBytes: number): void;
  /** Looks for the document with a batch's results. */
  checkUnits(lease: string, root: string, cid: string, maxBytes: number): void;
  /** Stores the document over an array's batches. */
  store(order: string, bytes: Bytes): void;
  /** Puts together what a job reads of an order of many tasks. */
  makeInput(order: string, name: string, wanted: InputWanted): void;
  /** Reads the manifest of an order that was taken over from the chain. */
  findManifest(order: string, cid: string): void;
}

export function createResultChecker(options: {
  readonly blobs: BlobStore;
  readonly logger: Logger;
  dispatch(event: MarketEvent): void;
  /** Preset: `performance.now`. */
  readonly nowMs?: () => number;
}): ResultChecker {
  const queue = createAskQueue({
    ...{ concurrency: CONCURRENCY, waitingMax: WAITING_MAX, waitingMaxMs: WAITING_MAX_MS },
    failed: (error, key) => options.logger.warn({ err: error, key }, 'a result was not looked at'),
    nowMs: options.nowMs,
  });
  const once = queue.ask;
  return {
    get waiting() {
      return queue.waiting;
    },
    check: (order, fence, cid, maxBytes) =>
      once(`${order}/${fence}`, async () => {
        failpoint('market.result.before');
        const outcome = await checkResult(options.blobs, cid, maxBytes);
        failpoint('market.result.after');
        if (outcome.is !== 'good')
          options.logger.info({ order, cid, outcome: outcome.is }, 'result not good');
        options.dispatch({ kind: 'resultChecked', order, fence, outcome });
      }),
    checkUnits: (lease, root, cid, maxBytes) =>
      once(`${lease}/${root}`, async () => {
        failpoint('market.units.before');
        const outcome = (await checkResult(options.blobs, cid, maxBytes)).is;
        failpoint('market.units.after');
        if (outcome !== 'good')
          options.logger.info({ lease, cid, outcome }, 'results of a batch not good');
        options.dispatch({ kind: 'unitsChecked', lease, root, outcome });
      }),
    store: (order, bytes) =>
      once(`${order}/result`, async () => {
        failpoint('market.array-result.before');
        try {
          const { cid } = await options.blobs.putBlock(bytes, { codec: 'dag-cbor' });
          failpoint('market.array-result.after');
          options.dispatch({ kind: 'resultStored', order, cid });
        } catch (error) {
          // The reducer asks again.
          options.logger.warn({ err: error, order }, 'the result could not be stored');
        }
      }),
    makeInput: (order, name, wanted) =>
      once(`${order}/input/${name}`, async () => {
        failpoint('market.input.before');
        const outcome = await madeInput(options.blobs, wanted);
        failpoint('market.input.after');
        if (outcome.is !== 'good')
          options.logger.warn({ order, name, outcome }, 'an input could not be put together');
        options.dispatch({ kind: 'inputMade', order, name, outcome });
      }),
    findManifest: (order, cid) =>
      once(`${order}/manifest`, async () => {
        const outcome = await readManifest(options.blobs, cid);
        if (outcome.is !== 'good')
          options.logger.warn({ order, cid, outcome: outcome.is }, 'manifest not found');
        options.dispatch({ kind: 'manifestFound', order, outcome });
      }),
  };
}
