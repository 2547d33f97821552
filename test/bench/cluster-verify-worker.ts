/**
 * Verifies signatures as fast as it can for a while, in batches of keys it has met, as a validator under
 * load does: the machine's limit for whoever checks them all.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { createBatchVerifier, createSigner, sha256 } from '#libs/crypto';
import { utf8 } from '#libs/kernel';

const BATCH = 100;
const BATCHES = 8;
const WARM_ROUNDS = 4;
const DOMAIN = 'seele/bench/1';

const { forMs } = workerData as { forMs: number };
const verify = createBatchVerifier();
// As long as the body of a transfer.
const batches = Array.from({ length: BATCHES }, (_, batch) =>
  Array.from({ length: BATCH }, (__, i) => {
    const signer = createSigner(sha256(utf8(`verified ${batch} ${i}`)));
    const message = new Uint8Array(220).fill(i);
    return { publicKey: signer.publicKey, message, signature: signer.sign(DOMAIN, message) };
  }),
);
for (let round = 0; round < WARM_ROUNDS; round++)
  for (const batch of batches) verify(DOMAIN, batch);
const startMs = performance.now();
let verified = 0;
for (let turn = 0; performance.now() < startMs + forMs; turn++)
  verified += verify(DOMAIN, batches[turn % BATCHES] as (typeof batches)[0]).filter(Boolean).length;
parentPort?.postMessage((verified * forMs) / (performance.now() - startMs));
