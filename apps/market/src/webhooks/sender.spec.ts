import { once } from 'node:events';
import { type RequestListener, createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { utf8 } from '#libs/kernel';
import { DEFAULT_TARGET_POLICY } from './address-guard.ts';
import { createSender } from './sender.ts';

const local = { ...DEFAULT_TARGET_POLICY, allowLocal: true };
/** Of what never comes. What does come may take long on a loaded machine. */
const SOON_MS = 300;
const TIMEOUT_MS = 20_000;
const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});

/** A receiver; whatever it does wrong, the market must not suffer. */
async function receiver(listener: RequestListener) {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const request = (url: string) => ({ url, headers: { 'webhook-id': 'x' }, body: utf8('{"a":1}') });
const send = (url: string, more = {}) =>
  createSender({ policy: local, timeoutMs: TIMEOUT_MS, ...more }).send(request(url));

describe('sending to a hostile receiver', () => {
  it('hands over the body and headers, and tells the status only', async () => {
    const seen: unknown[] = [];
    const url = await receiver(async (incoming, answer) => {
      const chunks: Buffer[] = [];
      for await (const chunk of incoming) chunks.push(chunk as Buffer);
      seen.push(incoming.method, incoming.url, incoming.headers['webhook-id'], String(chunks[0]));
      answer.writeHead(204).end();
    });
    expect(await send(`${url}/hook?x=1`)).toEqual({ is: 'delivered', status: 204 });
    expect(seen).toEqual(['POST', '/hook?x=1', 'x', '{"a":1}']);
  });

  it('does not follow a redirect to the metadata service of a cloud', async () => {
    const url = await receiver((_, answer) =>
      answer.writeHead(307, { location: 'http://169.254.169.254/latest/meta-data/' }).end(),
    );
    expect(await send(url)).toMatchObject({ code: 'WEBHOOK_REDIRECT', status: 307 });
  });

  it('gives up a receiver that never answers', async () => {
    const url = await receiver(() => undefined);
    const startedMs = performance.now();
    expect(await send(url, { timeoutMs: SOON_MS })).toMatchObject({ code: 'WEBHOOK_TIMEOUT' });
    expect(performance.now() - startedMs).toBeLessThan(TIMEOUT_MS / 2);
  });

  it('cuts an endless body after some KiB', async () => {
    let sent = 0;
    let cut: () => void = () => undefined;
    const isCut = new Promise<void>((resolve) => (cut = resolve));
    const url = await receiver((_, answer) => {
      answer.on('close', cut);
      const pour = (): void => {
        while (!answer.destroyed && answer.write(Buffer.alloc(64 * 1024))) sent += 64 * 1024;
      };
      answer.on('drain', pour);
      pour();
    });
    expect(await send(url)).toEqual({ is: 'delivered', status: 200 });
    await isCut;
    // What was under way in the sockets' buffers, not what the receiver would have sent.
    expect(sent).toBeLessThan(32 * 2 ** 20);
  });

  it('takes endless headers, garbage and a slammed door for what they are', async () => {
    const tcp = createTcpServer((socket) => {
      socket.on('error', () => undefined);
      socket.write(`HTTP/1.1 200 OK\r\nx-a: ${'a'.repeat(64 * 1024)}\r\n`);
    }).listen(0, '127.0.0.1');
    const garbage = createTcpServer((socket) => {
      socket.on('error', () => undefined);
      socket.end('SSH-2.0-OpenSSH\r\n');
    }).listen(0, '127.0.0.1');
    closing.push(
      async () => void tcp.close(),
      async () => void garbage.close(),
    );
    for (const server of [tcp, garbage]) if (!server.address()) await once(server, 'listening');
    for (const server of [tcp, garbage]) {
      const { port } = server.address() as AddressInfo;
      const outcome = await send(`http://127.0.0.1:${port}`);
      // Nothing of what an inner service says may come back.
      expect(outcome).toMatchObject({ code: 'WEBHOOK_UNREACHABLE' });
      expect(JSON.stringify(outcome)).not.toContain('OpenSSH');
    }
    expect(await send('http://127.0.0.1:1')).toMatchObject({
      code: 'WEBHOOK_UNREACHABLE',
      text: 'the connection failed: ECONNREFUSED',
    });
  });

  it('connects to what it resolved, once: a name that changes its mind (rebinding) gains nothing', async () => {
    let asked = 0;
    const url = await receiver((_, answer) => answer.writeHead(204).end());
    const rebinding = {
      resolve: () => Promise.resolve([(asked += 1) === 1 ? '127.0.0.1' : '10.0.0.1']),
    };
    const named = url.replace('127.0.0.1', 'localhost');
    expect(await send(named, rebinding)).toEqual({ is: 'delivered', status: 204 });
    expect(asked).toBe(1);
    expect(await send(named, rebinding)).toMatchObject({ code: 'WEBHOOK_ADDRESS' });
    const inner = { resolve: () => Promise.resolve(['127.0.0.1']) };
    expect(await send('https://inner.example.com/', inner)).toMatchObject({
      code: 'WEBHOOK_ADDRESS',
    });
    const names = { resolve: () => Promise.reject(new Error('SERVFAIL')) };
    expect(await send('https://gone.example.com/', names)).toMatchObject({ code: 'WEBHOOK_DNS' });
    const silent = { resolve: () => new Promise<never>(() => undefined), timeoutMs: SOON_MS };
    expect(await send('https://silent.example.com/', silent)).toMatchObject({
      code: 'WEBHOOK_DNS',
    });
  });

  it('reads Retry-After within reason, and 410 as gone', async () => {
    const busy = await receiver((_, answer) =>
      answer.writeHead(503, { 'retry-after': '999999' }).end(),
    );
    expect(await send(busy)).toMatchObject({ status: 503, retryAfterMs: 3_600_000 });
    const gone = await receiver((_, answer) => answer.writeHead(410).end());
    expect(await send(gone)).toMatchObject({ code: 'WEBHOOK_GONE' });
  });
});
