import { type Server, createServer } from 'node:http';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { verifySignature } from '#libs/crypto';
import type { MarketEvent } from '#libs/market';
import { createLogger, createMetrics, createSystemRandomness } from '#libs/platform';
import { FakeAgent } from '../testing/fake-agent.ts';
import { newSigner } from '../testing/market-rig.ts';
import { AgentGateway, type GatewayLimits } from './agent-gateway.ts';

const chain = '11'.repeat(32);
const market = newSigner();

let server: Server;
let gateway: AgentGateway;
let events: MarketEvent[];
let url: string;

async function start(limits: Partial<GatewayLimits> = {}): Promise<void> {
  events = [];
  gateway = new AgentGateway({
    chain,
    market: market.account,
    verify: verifySignature,
    dispatch: (event) => {
      events.push(event);
      if (event.kind === 'agentHello')
        gateway.send(event.session, { kind: 'welcome', heartbeatMs: 60_000, leaseMs: 60_000 });
    },
    randomness: createSystemRandomness(),
    logger: createLogger({ name: 'gateway', level: 'silent' }),
    metrics: createMetrics('gateway'),
    limits,
  });
  server = createServer();
  gateway.attach(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
}

afterEach(async () => {
  gateway.stop();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const agent = () => new FakeAgent({ url, chain, signer: newSigner() });
const messages = () => events.filter(({ kind }) => kind === 'agentMessage').length;
/** Until the last event is of this kind; what it is in the end. */
const last = async (kind: MarketEvent['kind']) => {
  for (const endMs = performance.now() + 20_000; performance.now() < endMs; await sleep(5))
    if (events.at(-1)?.kind === kind) break;
  return events.at(-1)?.kind;
};

describe('the agents’ gateway', () => {
  it('turns a proven connection into events, and its end into one more', async () => {
    await start();
    const one = agent();
    await one.next('welcome');
    one.send({ kind: 'heartbeat', freeSlots: 1, leases: [] });
    await last('agentMessage');
    await one.close();
    await last('agentGone');
    expect([...new Set(events.map(({ kind }) => kind))]).toEqual([
      'agentHello',
      'agentMessage',
      'agentGone',
    ]);
    expect(events.at(-1)).toMatchObject({ isCut: false });
  });

  it('closes whoever does not prove a key in time', async () => {
    await start({ helloMs: 50 });
    const ws = new WebSocket(`${url.replace('http', 'ws')}/v1/agent`);
    const code = await new Promise((resolve) => ws.on('close', resolve));
    expect([code, events]).toEqual([1008, []]);
  });

  it('notices an agent that fell silent', async () => {
    await start({ silenceMs: 100 });
    const one = agent();
    await one.next('welcome');
    await one.closed;
    expect(await last('agentGone')).toBe('agentGone');
    expect(events.at(-1)).toMatchObject({ isCut: true });
  });

  it('reads a flood only as fast as allowed, and loses none of it', async () => {
    await start({ framesPerSecond: 100 });
    const one = agent();
    await one.next('welcome');
    const beganMs = performance.now();
    for (let i = 0; i < 260; i++) one.send({ kind: 'heartbeat', freeSlots: 1, leases: [] });
    await sleep(100);
    one.send({ kind: 'heartbeat', freeSlots: 2, leases: [] });
    while (messages() < 262 && performance.now() - beganMs < 20_000) await sleep(10);
    expect(messages()).toBe(262);
    // 200 frames may come at once, the next ones at 100 per second.
    expect(performance.now() - beganMs).toBeGreaterThan(500);
    await one.close();
  });

  it('cuts off an agent that does not read what it is sent', async () => {
    await start({ sendBufferBytes: 64 * 1024 });
    const one = agent();
    await one.next('welcome');
    const hello = events[0];
    if (hello?.kind !== 'agentHello') throw new Error('no hello');
    one.pause();
    const reason = 'x'.repeat(500);
    for (let i = 0; i < 40_000; i++)
      gateway.send(hello.session, { kind: 'cancel', lease: 'aa'.repeat(32), reason });
    expect(await last('agentGone')).toBe('agentGone');
    one.resume();
    await one.closed;
  });

  it('refuses more connections than it can hold, and other paths', async () => {
    await start({ unproven: 1, helloMs: 60_000 });
    const raw = (path: string): Promise<string> =>
      new Promise((resolve) => {
        const { port } = new URL(url);
        const socket = connect(Number(port), '127.0.0.1', () =>
          socket.write(
            `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
          ),
        );
        socket.once('data', (chunk) => {
          resolve(chunk.toString().split('\r\n')[0] ?? '');
          if (!chunk.toString().startsWith('HTTP/1.1 101')) socket.destroy();
        });
      });
    expect(await raw('/elsewhere')).toBe('HTTP/1.1 404 Not Found');
    expect(await raw('/v1/agent')).toMatch(/^HTTP\/1.1 101/);
    expect(await raw('/v1/agent')).toBe('HTTP/1.1 503 Service Unavailable');
  });
});
