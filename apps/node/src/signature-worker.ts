/** A thread that checks signatures for `signature-pool.ts`. It loads no more than that needs. */
import { parentPort, workerData } from 'node:worker_threads';
import { type BatchVerifier, createBatchVerifier } from '#libs/crypto';
import { verifyPacked } from './signature-batch.ts';

export interface SignatureWork {
  /** What the signatures are over, before each message. */
  readonly domain: string;
}

const { domain } = workerData as SignatureWork;
let verify: BatchVerifier | undefined;

parentPort?.on('message', (packed: Uint8Array<ArrayBuffer> | undefined) => {
  if (packed === undefined) {
    parentPort?.close();
    return;
  }
  // Made when it is needed: a thread should be done with loading soon (see `signature-pool.ts`).
  verify ??= createBatchVerifier();
  const results = verifyPacked(packed, domain, verify);
  parentPort?.postMessage(results, [results.buffer]);
});
