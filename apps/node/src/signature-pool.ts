/**
 * Checks signatures beside the main thread, which then has its time for executing blocks. Batches go
 * to the threads in turn; each thread answers in order.
 */
import { once } from 'node:events';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { verifySignature } from '#libs/crypto';
import { TRANSACTION_DOMAIN, type TransactionEnvelope, hasValidSignature } from '#libs/ledger';
import { packSignatures } from './signature-batch.ts';
import type { SignatureWork } from './signature-worker.ts';

export interface SignaturePool {
  /** For each transaction, whether its signature holds. */
  verify(envelopes: readonly TransactionEnvelope[]): Promise<readonly boolean[]>;
  close(): Promise<void>;
}

/** Fewer are checked faster here than sent away. */
const INLINE_MAX = 4;

interface Thread {
  readonly worker: Worker;
  readonly waiting: ((results: Uint8Array) => void)[];
}

function startThread(onFailure: (error: unknown) => void): Thread {
  const file = `./signature-worker${extname(import.meta.filename)}`;
  const workerData: SignatureWork = { domain: TRANSACTION_DOMAIN };
  const worker = new Worker(new URL(file, import.meta.url), { workerData });
  const thread: Thread = { worker, waiting: [] };
  worker.on('message', (results: Uint8Array) => thread.waiting.shift()?.(results));
  worker.on('error', onFailure);
  return thread;
}

/**
 * @param threads 0 checks everything on the calling thread
 * @param onFailure a thread died: answers are missing, so the process should end
 */
export function createSignaturePool(
  threads: number,
  onFailure: (error: unknown) => void,
): SignaturePool {
  const pool = Array.from({ length: threads }, () => startThread(onFailure));
  let turn = 0;
  return {
    async verify(envelopes) {
      if (pool.length === 0 || envelopes.length <= INLINE_MAX)
        return envelopes.map((envelope) => hasValidSignature(envelope, verifySignature));
      const { worker, waiting } = pool[turn++ % pool.length] as Thread;
      const packed = packSignatures(envelopes);
      const results = await new Promise<Uint8Array>((resolve) => {
        waiting.push(resolve);
        worker.postMessage(packed, [packed.buffer]);
      });
      return envelopes.map((_, i) => results[i] === 1);
    },
    async close() {
      // Never ended from outside: while its modules are loading, that may take the process down with it
      // (nodejs/node#43182). It ends by itself when it has answered what it was sent.
      const ended = pool.map(({ worker }) => once(worker, 'exit'));
      for (const { worker } of pool) worker.postMessage(undefined);
      await Promise.all(ended);
    },
  };
}
