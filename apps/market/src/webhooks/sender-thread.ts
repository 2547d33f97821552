/** A `Sender` on a thread of its own, started with the first request and again when it died. */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Logger } from '#libs/platform';
import type { TargetPolicy } from './address-guard.ts';
import type { SenderAnswer, SenderQuestion } from './sender-worker.ts';
import { type SendOutcome, SEND_TIMEOUT_MS, type Sender } from './sender.ts';

export interface ThreadedSenderOptions {
  readonly policy: TargetPolicy;
  readonly logger: Logger;
}

const HEAP_MB = 128;
/** A thread that answers nothing for so long has hung. */
const SILENCE_MS = 3 * SEND_TIMEOUT_MS;
const LOST: SendOutcome = {
  is: 'failed',
  code: 'WEBHOOK_SENDER',
  text: 'the sending thread ended',
};

interface Waiting {
  readonly answer: (outcome: SendOutcome) => void;
  readonly timer: NodeJS.Timeout;
}

export function createThreadedSender({ policy, logger }: ThreadedSenderOptions): Sender {
  const waiting = new Map<number, Waiting>();
  let worker: Worker | undefined;
  let lastId = 0;
  let stopped = false;

  const settle = (id: number, outcome: SendOutcome): void => {
    const one = waiting.get(id);
    if (one === undefined) return;
    waiting.delete(id);
    clearTimeout(one.timer);
    one.answer(outcome);
  };
  const start = (): Worker => {
    const file = `./sender-worker${extname(import.meta.filename)}`;
    const started = new Worker(new URL(file, import.meta.url), {
      workerData: policy,
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
    });
    started.on('message', ({ id, outcome }: SenderAnswer) => settle(id, outcome));
    started.on('error', (error) => logger.error({ err: error }, 'the sender of webhooks died'));
    started.on('exit', () => {
      if (worker === started) worker = undefined;
      for (const id of waiting.keys()) settle(id, LOST);
    });
    return started;
  };

  return {
    send: (request) => {
      if (stopped) return Promise.resolve(LOST);
      worker ??= start();
      const id = (lastId += 1);
      return new Promise((answer) => {
        const timer = setTimeout(() => {
          settle(id, LOST);
          void worker?.terminate();
        }, SILENCE_MS);
        waiting.set(id, { answer, timer });
        worker?.postMessage({ id, request } satisfies SenderQuestion);
      });
    },
    stop: async () => {
      stopped = true;
      await worker?.terminate();
    },
  };
}
