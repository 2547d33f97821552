/** Verifies signatures as fast as it can for a while: the machine's limit for whoever checks them all. */
import { parentPort, workerData } from 'node:worker_threads';
import { createSigner, verifySignature } from '#libs/crypto';

const MESSAGES = 64;
const DOMAIN = 'seele/bench/1';

const { forMs } = workerData as { forMs: number };
const signer = createSigner(new Uint8Array(32).fill(9));
// As long as the body of a transfer.
const messages = Array.from({ length: MESSAGES }, (_, i) => new Uint8Array(220).fill(i));
const signatures = messages.map((message) => signer.sign(DOMAIN, message));
const endMs = performance.now() + forMs;
let verified = 0;
while (performance.now() < endMs)
  for (const [i, message] of messages.entries())
    if (verifySignature(signer.publicKey, DOMAIN, message, signatures[i] as Uint8Array)) verified++;
parentPort?.postMessage(verified);
