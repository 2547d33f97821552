/**
 * Questions and answers over one protocol of a transport. A question is answered, refused or given up
 * after a time; nothing is asked twice here, because only the caller knows whom to ask instead.
 *
 *   u8 kind (0 question, 1 answer, 2 refusal) | u32 big endian number of the question | content
 */
import { type Bytes, concatBytes } from '#libs/kernel';
import { netError } from './errors.ts';
import type { PeerKey, Transport } from './transport.ts';
import type { Timers } from './wire.ts';

const QUESTION = 0;
const ANSWER = 1;
const REFUSAL = 2;
const HEAD_BYTES = 5;

export interface RequestOptions {
  readonly transport: Transport;
  readonly protocol: number;
  readonly timers: Timers;
  /** Answers a peer's question; undefined refuses. A SeeleError ends the link as `misbehaved`. */
  readonly answer: (
    peer: PeerKey,
    question: Bytes,
  ) => Promise<Bytes | undefined> | Bytes | undefined;
  /** Questions of one peer worked on at a time; more are refused. */
  readonly servedAtOnce?: number;
  readonly timeoutMs?: number;
}

export interface Requests {
  /** @throws NET_REQUEST_FAILED: refused, no answer in time, the link ended */
  ask(peer: PeerKey, question: Bytes, timeoutMs?: number): Promise<Bytes>;
  /** Gives up what is asked. */
  close(): void;
}

interface Asked {
  readonly peer: PeerKey;
  readonly settle: (answer: Bytes | undefined, why?: string) => void;
}

function headed(kind: number, number: number, content: Bytes): Bytes {
  const head = new Uint8Array(HEAD_BYTES);
  head[0] = kind;
  new DataView(head.buffer).setUint32(1, number);
  return concatBytes(head, content);
}

const NOTHING = new Uint8Array();

export function createRequests(options: RequestOptions): Requests {
  const { transport, protocol, timers, servedAtOnce = 8, timeoutMs: patienceMs = 10_000 } = options;
  const asked = new Map<number, Asked>();
  const serving = new Map<PeerKey, number>();
  let last = 0;

  async function serve(peer: PeerKey, number: number, question: Bytes): Promise<void> {
    const before = serving.get(peer) ?? 0;
    const refuse = (): void =>
      void transport.send(peer, protocol, headed(REFUSAL, number, NOTHING));
    if (before >= servedAtOnce) return refuse();
    serving.set(peer, before + 1);
    try {
      const answer = await options.answer(peer, question);
      if (answer) transport.send(peer, protocol, headed(ANSWER, number, answer));
      else refuse();
    } finally {
      const left = (serving.get(peer) ?? 1) - 1;
      if (left > 0) serving.set(peer, left);
      else serving.delete(peer);
    }
  }

  transport.onMessage(protocol, (peer, message) => {
    if (message.length < HEAD_BYTES || (message[0] as number) > REFUSAL)
      throw netError('NET_FRAME_INVALID', `${message.length} bytes are no question and no answer`);
    const number = new DataView(message.buffer, message.byteOffset).getUint32(1);
    const content = message.subarray(HEAD_BYTES);
    if (message[0] === QUESTION) return serve(peer, number, content);
    const question = asked.get(number);
    // Late, or never asked: worth nothing, and no crime.
    if (question?.peer !== peer) return undefined;
    if (message[0] === ANSWER) question.settle(content);
    else question.settle(undefined, 'refused');
  });
  const stopListening = transport.onPeer((event) => {
    if (event.kind === 'up') return;
    for (const { peer, settle } of [...asked.values()])
      if (peer === event.peer) settle(undefined, `the link ended: ${event.end}`);
  });

  return {
    ask(peer, question, timeoutMs = patienceMs) {
      last = (last + 1) >>> 0;
      const number = last;
      return new Promise((resolve, reject) => {
        const settle: Asked['settle'] = (answer, why) => {
          cancel();
          asked.delete(number);
          if (answer) resolve(answer);
          else reject(netError('NET_REQUEST_FAILED', `${peer}: ${why}`));
        };
        const cancel = timers.after(timeoutMs, () =>
          settle(undefined, `nothing in ${timeoutMs} ms`),
        );
        asked.set(number, { peer, settle });
        const outcome = transport.send(peer, protocol, headed(QUESTION, number, question));
        if (outcome !== 'queued') settle(undefined, outcome);
      });
    },
    close() {
      stopListening();
      for (const { settle } of [...asked.values()]) settle(undefined, 'closed');
    },
  };
}
