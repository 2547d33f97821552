/** The thread that talks to webhooks: look-ups, TLS and slow receivers never take the market's own time. */
import { parentPort, workerData } from 'node:worker_threads';
import { invariant } from '#libs/kernel';
import { type SendOutcome, type SendRequest, createSender } from './sender.ts';
import type { TargetPolicy } from './address-guard.ts';

export interface SenderQuestion {
  readonly id: number;
  readonly request: SendRequest;
}
export interface SenderAnswer {
  readonly id: number;
  readonly outcome: SendOutcome;
}

invariant(parentPort !== null, 'this file is the start of a thread');
const port = parentPort;
const sender = createSender({ policy: workerData as TargetPolicy });
port.on('message', (question: SenderQuestion | 'stop') => {
  if (question === 'stop') return port.close();
  const { id, request } = question;
  void sender
    .send(request)
    .then((outcome) => port.postMessage({ id, outcome } satisfies SenderAnswer));
});
