import { createMemoryNetwork } from './memory-network.ts';
import { describeTransport } from './transport.conformance.ts';

describeTransport('memory', () => {
  const network = createMemoryNetwork({ seed: 7, delayMs: [1, 5], bytesPerSecond: 20_000_000 });
  const names = new Map<unknown, string>();
  return {
    create(options) {
      const name = `node-${names.size}`;
      const transport = network.create(name, options);
      names.set(transport, name);
      return transport;
    },
    until: (isDone) => network.until(isDone, 20_000),
    pass: (ms) => network.advance(ms),
    nowMs: () => network.nowMs,
    kill: (transport) => network.kill(names.get(transport) as string),
    cleanUp: async () => undefined,
  };
});
