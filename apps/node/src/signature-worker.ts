/** A thread that checks signatures for `signature-pool.ts`. */
import { parentPort } from 'node:worker_threads';
import { verifySignature } from '#libs/crypto';
import { verifyPacked } from './signature-batch.ts';

parentPort?.on('message', (packed: Uint8Array<ArrayBuffer>) => {
  const results = verifyPacked(packed, verifySignature);
  parentPort?.postMessage(results, [results.buffer]);
});
