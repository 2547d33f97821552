import { connect } from 'node:net';
import { Body, Controller, Get, Module, Param, Post } from '@nestjs/common';
import { z } from 'zod';
import {
  createHealth,
  createHttpApp,
  createHttpServer,
  createLogger,
  createMetrics,
  listenHttp,
  platformError,
} from './index.ts';

const greeting = z.object({ name: z.string().max(10) });

@Controller('v1')
class GreetingController {
  @Post('greet')
  greet(@Body({ schema: greeting }) body: z.infer<typeof greeting>) {
    return { text: `hello ${body.name}` };
  }

  @Get('fail/:how')
  fail(@Param('how') how: string) {
    if (how === 'known') throw platformError('HTTP_FORBIDDEN', 'this belongs to somebody else');
    throw new Error('a secret that must not leave: hunter2');
  }
}

@Module({ controllers: [GreetingController] })
class GreetingModule {}

async function serve(rateLimit?: { perSecond: number; burst: number }) {
  const lines: string[] = [];
  const logger = createLogger({
    name: 'greeting',
    stream: { write: (line) => void lines.push(line) },
  });
  const health = createHealth();
  const metrics = createMetrics('greeting');
  const app = await createHttpApp({
    module: GreetingModule,
    logger,
    health,
    metrics,
    bodyLimitBytes: 1000,
    ...(rateLimit && { rateLimit }),
  });
  const url = await listenHttp(app, { host: '127.0.0.1', port: 0 });
  return { app, url, health, lines };
}

describe('an HTTP service', () => {
  let service: Awaited<ReturnType<typeof serve>>;
  beforeAll(async () => {
    service = await serve();
  });
  afterAll(() => service.app.close());

  const post = (body: string, type = 'application/json') =>
    fetch(`${service.url}/v1/greet`, { method: 'POST', headers: { 'content-type': type }, body });

  it('validates bodies with zod and answers with a request id', async () => {
    const response = await post('{"name":"Ada"}');
    expect(response.status).toBe(201);
    expect(await response.json()).toEqual({ text: 'hello Ada' });
    expect(response.headers.get('x-request-id')).toMatch(/^[a-z0-9-]+$/);
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
  });

  it.each([
    ['a wrong field', '{"name":5}', 'application/json', 400, 'HTTP_BAD_REQUEST', /name/],
    ['malformed JSON', '{"name":', 'application/json', 400, 'HTTP_BAD_REQUEST', /./],
    [
      'too many bytes',
      `{"name":"${'x'.repeat(1000)}"}`,
      'application/json',
      413,
      'HTTP_BODY_TOO_LARGE',
      /./,
    ],
    ['another media type', 'name=Ada', 'text/csv', 415, 'HTTP_MEDIA_TYPE', /./],
  ])('RFC 9457: refuses %s as a problem', async (_what, body, type, status, code, detail) => {
    const response = await post(body, type);
    expect(response.status).toBe(status);
    expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    const problem = (await response.json()) as Record<string, unknown>;
    expect(problem).toMatchObject({ status, code, type: `urn:seele:error:${code}` });
    expect(problem['detail']).toMatch(detail);
    expect(problem['fix']).toEqual(expect.any(String));
  });

  it('RFC 9457: a known error keeps its words, an unknown one keeps them to the log', async () => {
    const known = await fetch(`${service.url}/v1/fail/known`);
    expect(await known.json()).toMatchObject({ status: 403, code: 'HTTP_FORBIDDEN' });
    const unknown = await fetch(`${service.url}/v1/fail/otherwise`);
    const text = await unknown.text();
    expect(unknown.status).toBe(500);
    expect(text).not.toContain('hunter2');
    expect(service.lines.join('')).toContain('hunter2');
    const missing = await fetch(`${service.url}/nowhere`);
    expect(await missing.json()).toMatchObject({ status: 404, code: 'HTTP_NOT_FOUND' });
  });

  it('reports health and metrics, and a failing check makes it not ready', async () => {
    expect(await (await fetch(`${service.url}/health/live`)).json()).toEqual({ live: true });
    expect((await fetch(`${service.url}/health/ready`)).status).toBe(200);
    service.health.add('database', () => Promise.reject(new Error('gone')));
    const ready = await fetch(`${service.url}/health/ready`);
    expect(ready.status).toBe(503);
    expect(await ready.json()).toEqual({ ready: false, checks: { database: 'gone' } });
    const metrics = await (await fetch(`${service.url}/metrics`)).text();
    expect(metrics).toMatch(/request_seconds_count\{[^}]*route="\/v1\/greet"/);
    expect(metrics).toContain('process_resident_memory_bytes');
  });

  it('survives a client that sends garbage instead of HTTP', async () => {
    const { port } = new URL(service.url);
    await new Promise<void>((resolve) => {
      const socket = connect(Number(port), '127.0.0.1', () =>
        socket.write('\x00\xffGET nothing\r\n\r\n'),
      );
      socket.on('close', () => resolve()).on('error', () => resolve());
      socket.resume();
    });
    expect((await fetch(`${service.url}/health/live`)).status).toBe(200);
  });

  it('says in one line that a port is occupied', async () => {
    const second = await createHttpApp({
      module: GreetingModule,
      logger: createLogger({ name: 'second', level: 'silent' }),
      health: createHealth(),
      metrics: createMetrics('second'),
    });
    const { port } = new URL(service.url);
    await expect(
      listenHttp(second, { host: '127.0.0.1', port: Number(port) }),
    ).rejects.toMatchObject({
      code: 'PLATFORM_PORT_IN_USE',
      message: `127.0.0.1:${port} is already in use`,
    });
    await second.close();
  });
});

it('answers 429 with Retry-After beyond the rate limit, but still tells its health', async () => {
  const limited = await serve({ perSecond: 1, burst: 2 });
  const statuses: number[] = [];
  for (let i = 0; i < 4; i++) {
    const response = await fetch(`${limited.url}/v1/fail/known`);
    statuses.push(response.status);
    if (response.status === 429)
      expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
  }
  expect(statuses).toEqual([403, 403, 429, 429]);
  expect((await fetch(`${limited.url}/health/live`)).status).toBe(200);
  await limited.app.close();
});

describe('an HTTP service without Nest', () => {
  const lines: string[] = [];
  let url = '';
  let server: Awaited<ReturnType<typeof createHttpServer>>;
  beforeAll(async () => {
    const logger = createLogger({
      name: 'plain',
      stream: { write: (line) => void lines.push(line) },
    });
    const metrics = createMetrics('plain');
    server = await createHttpServer(
      { logger, health: createHealth(), metrics, bodyLimitBytes: 1000 },
      (routes) => {
        routes.post('/v1/size', async ({ body }) => ({
          bytes: body instanceof Uint8Array ? body.length : null,
        }));
        routes.get<{ Params: { how: string } }>('/v1/fail/:how', async ({ params }) => {
          if (params.how === 'full') throw platformError('HTTP_RATE_LIMITED', 'come back later');
          throw new Error('a secret that must not leave: hunter2');
        });
      },
    );
    url = await listenHttp(server, { host: '127.0.0.1', port: 0 });
  });
  afterAll(() => server.close());

  const post = (body: string | Uint8Array<ArrayBuffer>, type: string) =>
    fetch(`${url}/v1/size`, { method: 'POST', headers: { 'content-type': type }, body });

  it('takes CBOR as bytes and answers as an app with Nest does', async () => {
    const response = await post(new Uint8Array(7), 'application/cbor');
    expect(await response.json()).toEqual({ bytes: 7 });
    expect(response.headers.get('x-request-id')).toMatch(/^[a-z0-9-]+$/);
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect((await fetch(`${url}/health/ready`)).status).toBe(200);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toMatch(/request_seconds_count\{[^}]*route="\/v1\/size"/);
  });

  it.each([
    ['too many bytes', () => post(new Uint8Array(1001), 'application/cbor'), 'HTTP_BODY_TOO_LARGE'],
    ['another media type', () => post('a', 'text/csv'), 'HTTP_MEDIA_TYPE'],
    ['malformed JSON', () => post('{', 'application/json'), 'HTTP_BAD_REQUEST'],
    ['an unknown path', () => fetch(`${url}/nowhere`), 'HTTP_NOT_FOUND'],
    ['a wrong method', () => fetch(`${url}/v1/size`), 'HTTP_NOT_FOUND'],
    ['what time cures', () => fetch(`${url}/v1/fail/full`), 'HTTP_RATE_LIMITED'],
    ['an error of ours', () => fetch(`${url}/v1/fail/else`), 'HTTP_INTERNAL'],
  ])('RFC 9457: refuses %s as a problem', async (_what, ask, code) => {
    const response = await ask();
    expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    const text = await response.text();
    expect(JSON.parse(text)).toMatchObject({ status: response.status, code });
    expect(text).not.toContain('hunter2');
    expect(response.headers.get('retry-after')).toBe(code === 'HTTP_RATE_LIMITED' ? '1' : null);
  });
});
