import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_LIMITS } from './limits.ts';
import { LinkTransport } from './link-transport.ts';
import { type TcpCarrier, createTcpCarrier } from './tcp-carrier.ts';
import { describeTransport } from './transport.conformance.ts';

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
      const endMs = Date.now() + 8_000;
      while (!isDone()) {
        if (Date.now() > endMs) return false;
        await sleep(5);
      }
      return true;
    },
    pass: (ms) => sleep(ms),
    kill: (transport) => carriers.get(transport)?.kill(),
    cleanUp: async () => undefined,
  };
});
