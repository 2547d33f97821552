import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_LIMITS } from './limits.ts';
import { LinkTransport } from './link-transport.ts';
import { type TcpCarrier, createTcpCarrier } from './tcp-carrier.ts';
import { createTcpTransport } from './tcp-transport.ts';
import {
  TEST_NETWORK,
  TEST_PROTOCOLS,
  describeTransport,
  testSigner,
} from './transport.conformance.ts';

const clock = { nowUs: () => Date.now() * 1000, monotonicMs: () => performance.now() };
const randomness = { bytes: (length: number) => crypto.getRandomValues(new Uint8Array(length)) };

describeTransport('tcp', () => {
  const carriers = new Map<unknown, TcpCarrier>();
  return {
    create(options) {
      const limits = { ...DEFAULT_LIMITS, ...options.limits };
      const carrier = createTcpCarrier({ host: '127.0.0.1', port: 0, clock, limits });
      const transport = new LinkTransport({ ...options, clock, randomness }, carrier);
      carriers.set(transport, carrier);
      return transport;
    },
    async until(isDone) {
      const endMs = Date.now() + 20_000;
      while (!isDone()) {
        if (Date.now() > endMs) return false;
        await sleep(5);
      }
      return true;
    },
    pass: (ms) => sleep(ms),
    nowMs: () => performance.now(),
    kill: (transport) => carriers.get(transport)?.kill(),
    cleanUp: async () => undefined,
  };
});

test('a process that stood still blames no peer for what it did not hear meanwhile', async () => {
  const heard: number[] = [];
  const ends: string[] = [];
  const create = (n: number) =>
    createTcpTransport({
      ...{ network: TEST_NETWORK, protocols: TEST_PROTOCOLS, admit: () => true },
      ...{ signer: testSigner(n), clock, randomness, host: '127.0.0.1', port: 0 },
      limits: { silenceMs: 300, stallMs: 300 },
      onNote: ({ what, end = '' }) => void (what === 'down' && ends.push(end)),
    });
  const [a, b] = [create(1), create(2)];
  b.onMessage(2, (_, bytes) => void heard.push(bytes.length));
  a.dial(b.publicKey, await b.listen());
  try {
    while (!a.isLinked(b.publicKey)) await sleep(5);
    a.send(b.publicKey, 2, new Uint8Array(50_000));
    for (const untilMs = Date.now() + 1_000; Date.now() < untilMs;); // as a machine that was suspended
    while (heard.length + ends.length === 0) await sleep(5);
    await sleep(150);
    expect([heard, ends]).toEqual([[50_000], []]);
  } finally {
    await Promise.all([a.close(), b.close()]);
  }
});
