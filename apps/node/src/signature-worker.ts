/** A thread that checks signatures for `signature-pool.ts`. It loads no more than that needs. */
import { parentPort, workerData } from 'node:worker_threads';
import { createBatchVerifier } from '#libs/crypto';
import { verifyPacked } from './signature-batch.ts';

export interface SignatureWork {
  /** What the signatures are over, before each message. */
  readonly domain: string;
}

const { domain } = workerData as SignatureWork;
const verify = createBatchVerifier();

parentPort?.on('message', (packed: Uint8Array<ArrayBuffer>) => {
  const results = verifyPacked(packed, domain, verify);
  parentPort?.postMessage(results, [results.buffer]);
});
