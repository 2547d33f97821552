import { createServer } from 'node:net';
import { freePort, freePorts } from './free-ports.ts';

it('gives ports that no connection of this machine takes meanwhile, each once, and none that is in use', async () => {
  const [taken] = await freePorts(1);
  const server = createServer();
  // Somebody else's already: as good.
  await new Promise<void>((resolve) =>
    server.once('error', () => resolve()).listen(Number(taken) + 1, '127.0.0.1', resolve),
  );
  try {
    const found = [Number(taken), ...(await freePorts(20)), await freePort()];
    expect(new Set(found).size).toBe(22);
    expect(found).not.toContain(Number(taken) + 1);
    // The system's own begin at 32768 (Linux) or 49152 (RFC 6335).
    for (const port of found) expect(port).toBeLessThan(32_768);
  } finally {
    await new Promise((resolve) => server.close(resolve)); // tells an error when it never listened
  }
});
