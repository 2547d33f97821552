import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { verifyReceipt } from '#libs/audit';
import { signRequest } from '#libs/crypto';
import { utf8 } from '#libs/kernel';
import { AGENT_FRAME_MAX_BYTES, encodeAgentMessage, signHello } from '#libs/market';
import { FakeAgent, type LeaseMessage } from './testing/fake-agent.ts';
import { type MarketRig, newSigner, someManifest, startMarketRig } from './testing/market-rig.ts';

type Json = Record<string, unknown>;

let rig: MarketRig;
let result: string;
beforeAll(async () => {
  rig = await startMarketRig();
  result = (await rig.blobs.put(utf8('hello'))).cid;
});
afterAll(() => rig.stop());

const json = async (response: Promise<Response> | Response): Promise<Json> =>
  (await (await response).json()) as Json;
const get = (path: string): Promise<Json> => json(fetch(rig.url + path));

async function until(id: string, status: string, withinMs = 15_000): Promise<Json> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const order = await get(`/v1/orders/${id}`);
    if (order['status'] === status) return order;
    if (performance.now() > deadline) throw new Error(`still ${JSON.stringify(order)}`);
    await sleep(20);
  }
}

/** Reads events until the stream ends. */
async function eventsOf(id: string, lastEventId?: number): Promise<Json[]> {
  const response = await fetch(`${rig.url}/v1/orders/${id}/events`, {
    headers: lastEventId === undefined ? {} : { 'last-event-id': String(lastEventId) },
  });
  expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/);
  const text = await response.text();
  return text
    .split('\n\n')
    .filter((block) => block.includes('data: {"seq"'))
    .map((block) => JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? '{}') as Json);
}

describe('an order', () => {
  let agent: FakeAgent;
  let id: string;
  let body: object;
  beforeAll(async () => {
    agent = rig.agent({ result });
    await agent.next('welcome');
    ({ id, body } = rig.signOrder(someManifest()));
  });
  afterAll(() => agent.close());

  it('runs from the signed request to its settlement', async () => {
    const answer = await rig.request('POST', '/v1/orders', body);
    expect([answer.status, await json(answer)]).toMatchObject([201, { id, tier: 'A' }]);
    const ended = await until(id, 'settled');
    expect(ended).toMatchObject({ exit: 'ok', result, charge: '2', attempts: 1 });
    expect(ended['chain']).toMatchObject({ state: 'settled', paid: '2', refunded: '99999998' });
    expect(rig.fatal).toEqual([]);
  });

  it('submitted again is the same order, answered 200', async () => {
    const again = await rig.request('POST', '/v1/orders', body);
    expect([again.status, await json(again)]).toMatchObject([200, { id, status: 'settled' }]);
  });

  it('shows its log as events, resumable by Last-Event-ID', async () => {
    const all = await eventsOf(id);
    expect(all.map(({ seq }) => seq)).toEqual(all.map((_, i) => i));
    expect(all.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(['accepted', 'leased', 'delivered', 'settled']),
    );
    expect(await eventsOf(id, 2)).toEqual(all.slice(3));
  });

  it('streams live to a follower that came early', async () => {
    const next = rig.signOrder(someManifest());
    await rig.request('POST', '/v1/orders', next.body);
    const events = await eventsOf(next.id);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, i) => i));
    expect(events.at(-1)).toMatchObject({ kind: 'settled' });
  });

  it('gives its result, and its place in lists', async () => {
    const response = await fetch(`${rig.url}/v1/orders/${id}/result`);
    expect([response.status, await response.text()]).toEqual([200, 'hello']);
    const mine = await json(rig.request('GET', '/v1/orders?limit=1'));
    expect(mine).toMatchObject({ items: [{ status: 'settled' }], next: expect.any(String) });
    const rest = await json(
      rig.request('GET', `/v1/orders?limit=50&cursor=${String(mine['next'])}`),
    );
    expect((rest['items'] as Json[]).map((order) => order['id'])).toContain(id);
    const others = await json(rig.request('GET', '/v1/orders', undefined, newSigner()));
    expect(others).toEqual({ items: [] });
  });

  it('gives a receipt once its log is anchored to the end', async () => {
    const deadline = performance.now() + 10_000;
    let response = await fetch(`${rig.url}/v1/orders/${id}/receipt`);
    while (response.status === 409 && performance.now() < deadline) {
      await sleep(50);
      response = await fetch(`${rig.url}/v1/orders/${id}/receipt`);
    }
    expect(response.status).toBe(200);
    const receipt = new Uint8Array(await response.arrayBuffer());
    const verdict = verifyReceipt(receipt, { trust: rig.chain.id });
    expect(verdict.checks.filter(({ ok }) => !ok)).toEqual([]);
    expect([verdict.ok, verdict.summary?.paid]).toEqual([true, 2n]);
  });

  it('is there after a restart, and its repetition still answered', async () => {
    await rig.restart();
    expect(await get(`/v1/orders/${id}`)).toMatchObject({ status: 'settled', result });
    expect((await rig.request('POST', '/v1/orders', body)).status).toBe(200);
  });
});

describe('work under way', () => {
  it('goes on after a restart: the agent reconnects and its delivery counts once', async () => {
    const signer = newSigner();
    const first = rig.agent({
      signer,
      result,
      onLease: (a, lease) => a.send({ kind: 'accept', lease: lease.lease }),
    });
    await first.next('welcome');
    const { id, body } = rig.signOrder(someManifest());
    const leased = first.next('lease');
    expect((await rig.request('POST', '/v1/orders', body)).status).toBe(201);
    const lease: LeaseMessage = await leased;
    await sleep(200);
    await rig.restart();
    await first.closed;
    const { fence } = lease;
    const second = rig.agent({ signer, result, leases: [{ lease: lease.lease, fence }] });
    await second.next('welcome');
    second.deliver(lease);
    await until(id, 'settled');
    second.deliver(lease);
    const answer = await second.next('delivered');
    expect(answer.lease).toBe(lease.lease);
    const order = await get(`/v1/orders/${id}`);
    expect(order).toMatchObject({ attempts: 1, chain: { paid: '2' } });
    await second.close();
  });

  it('is cancelled by its consumer and by nobody else', async () => {
    const { id, body } = rig.signOrder(someManifest());
    const agent = rig.agent({ onLease: () => undefined });
    await agent.next('welcome');
    expect((await rig.request('POST', '/v1/orders', body)).status).toBe(201);
    const stranger = await rig.request('POST', `/v1/orders/${id}/cancel`, {}, newSigner());
    expect(stranger.status).toBe(403);
    expect((await rig.request('POST', `/v1/orders/${id}/cancel`, {})).status).toBe(200);
    const ended = await until(id, 'cancelled');
    expect(ended['chain']).toMatchObject({ paid: '0' });
    await agent.close();
  });
});

describe('hostile requests', () => {
  const signedParts = (body: object, change: { nowS?: number; nonce?: string } = {}) => {
    const bytes = utf8(JSON.stringify(body));
    const url = `${rig.url}/v1/orders`;
    const headers: Record<string, string> = {
      'content-type': 'application/json',
      ...signRequest({ method: 'POST', url, body: bytes }, rig.consumer, {
        nowS: Math.floor(Date.now() / 1000),
        nonce: randomBytes(16).toString('hex'),
        ...change,
      }),
    };
    return { url, headers, bytes };
  };
  const post = ({ url, headers, bytes }: ReturnType<typeof signedParts>, body = bytes) =>
    fetch(url, { method: 'POST', headers, body: Uint8Array.from(body) });
  /** Status and code of a refusal; the two must agree with the problem document. */
  const refusal = async (response: Response) => {
    const problem = await json(response);
    return [response.status === problem['status'] ? response.status : -1, problem['code']];
  };

  it('without a signature', async () => {
    const { url, bytes } = signedParts({});
    const headers = { 'content-type': 'application/json' };
    expect(await refusal(await post({ url, headers, bytes }))).toEqual([
      401,
      'HTTP_SIGNATURE_MISSING',
    ]);
  });

  it('with a body other than the signed one', async () => {
    const parts = signedParts(rig.signOrder(someManifest()).body);
    const other = utf8(JSON.stringify(rig.signOrder(someManifest()).body));
    expect(await refusal(await post(parts, other))).toEqual([400, 'HTTP_DIGEST_MISMATCH']);
  });

  it('with a wrong signature', async () => {
    const parts = signedParts(rig.signOrder(someManifest()).body);
    const signature = `seele=:${randomBytes(64).toString('base64')}:`;
    const forged = { ...parts, headers: { ...parts.headers, signature } };
    expect(await refusal(await post(forged))).toEqual([401, 'HTTP_SIGNATURE_WRONG']);
  });

  it('expired, and from the future', async () => {
    const { body } = rig.signOrder(someManifest());
    const nowS = Math.floor(Date.now() / 1000);
    expect(await refusal(await post(signedParts(body, { nowS: nowS - 600 })))).toEqual([
      401,
      'HTTP_SIGNATURE_EXPIRED',
    ]);
    expect(await refusal(await post(signedParts(body, { nowS: nowS + 600 })))).toEqual([
      401,
      'HTTP_SIGNATURE_EXPIRED',
    ]);
  });

  it('replayed', async () => {
    const parts = signedParts(rig.signOrder(someManifest(), { priceCap: 1n }).body);
    await post(parts);
    expect(await refusal(await post(parts))).toEqual([409, 'HTTP_SIGNATURE_REPLAYED']);
  });

  it('signed for another host', async () => {
    const parts = signedParts(rig.signOrder(someManifest()).body);
    const { port } = new URL(rig.url);
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(Number(port), '127.0.0.1', () => {
        const lines = Object.entries(parts.headers).map(([k, v]) => `${k}: ${v}`);
        socket.write(
          `POST /v1/orders HTTP/1.1\r\nHost: other.example\r\n${lines.join('\r\n')}\r\nContent-Length: ${parts.bytes.length}\r\nConnection: close\r\n\r\n`,
        );
        socket.end(parts.bytes);
      });
      let text = '';
      socket.on('data', (chunk) => (text += chunk.toString())).on('close', () => resolve(text));
    });
    expect(answer).toMatch(/^HTTP\/1.1 401/);
    expect(answer).toContain('HTTP_SIGNATURE_WRONG');
  });

  it('over the size limit', async () => {
    const parts = signedParts({ padding: 'x'.repeat(600 * 1024) });
    expect(await refusal(await post(parts))).toEqual([413, 'HTTP_BODY_TOO_LARGE']);
  });

  it('for an unknown order, or something that is no id', async () => {
    const unknown = 'ab'.repeat(32);
    for (const path of ['', '/events', '/result', '/receipt'])
      expect(await refusal(await fetch(`${rig.url}/v1/orders/${unknown}${path}`))).toEqual([
        404,
        'MARKET_ORDER_UNKNOWN',
      ]);
    const cancel = await rig.request('POST', `/v1/orders/${unknown}/cancel`, {});
    expect(await refusal(cancel)).toEqual([404, 'MARKET_ORDER_UNKNOWN']);
    const strange = await fetch(`${rig.url}/v1/orders/1;drop`);
    expect(await refusal(strange)).toEqual([400, 'HTTP_BAD_REQUEST']);
  });

  it('with an order that its own market, chain, manifest or balance does not fit', async () => {
    const manifest = someManifest();
    const submit = async (change: object, sent = manifest) => {
      const { body } = rig.signOrder(manifest, change);
      return rig.request('POST', '/v1/orders', { ...body, manifest: sent });
    };
    expect(await refusal(await submit({ chain: '00'.repeat(32) }))).toEqual([
      422,
      'MARKET_ORDER_FOREIGN',
    ]);
    expect(await refusal(await submit({ market: newSigner().account }))).toEqual([
      422,
      'MARKET_ORDER_FOREIGN',
    ]);
    expect(await refusal(await submit({ consumer: newSigner().account }))).toEqual([
      403,
      'HTTP_FORBIDDEN',
    ]);
    expect(await refusal(await submit({}, someManifest({ name: 'swapped' })))).toEqual([
      422,
      'MARKET_MANIFEST_MISMATCH',
    ]);
    const agent = rig.agent({ onLease: () => undefined });
    await agent.next('welcome');
    expect(await refusal(await submit({ priceCap: 10n ** 17n }))).toEqual([
      402,
      'MARKET_BALANCE_TOO_LOW',
    ]);
    expect(await refusal(await submit({ priceCap: 1n }))).toEqual([422, 'MARKET_CAP_TOO_LOW']);
    expect(await refusal(await submit({ placeByUs: 1 }))).toEqual([422, 'MARKET_ORDER_EXPIRED']);
    await agent.close();
  });
});

describe('hostile agents', () => {
  const code = async (agent: FakeAgent): Promise<string | undefined> => {
    await agent.closed;
    const refusal = agent.received.find((message) => message.kind === 'refuse');
    return refusal?.kind === 'refuse' ? refusal.code : undefined;
  };

  it('that sign with another key, or an old challenge, are refused', async () => {
    const [one, other] = [newSigner(), newSigner()];
    const liar = new FakeAgent({
      url: rig.url,
      chain: rig.chain.id,
      signer: one,
      offer: { provider: other.account },
    });
    expect(await code(liar)).toBe('MARKET_AGENT_REFUSED');
    const replayer = rig.agent({ signer: one });
    const challenge = { nonce: '11'.repeat(32), market: rig.market.account };
    await replayer.next('welcome');
    const old = rig.agent({ signer: one });
    await old.next('challenge');
    old.send(signHello(one, challenge, old.offer, []));
    expect(await code(old)).toBe('MARKET_AGENT_REFUSED');
    await replayer.close();
  });

  it('that send garbage, text or oversized frames are cut off, and nobody else notices', async () => {
    const good = rig.agent();
    await good.next('welcome');
    for (const frame of [
      new Uint8Array([0xff, 0x00]),
      'hello',
      new Uint8Array(AGENT_FRAME_MAX_BYTES + 1),
    ]) {
      const bad = rig.agent();
      await bad.next('welcome');
      bad.sendRaw(frame);
      await bad.closed;
    }
    const providers = (await get('/v1/providers'))['items'] as Json[];
    expect(providers.filter(({ online }) => online === true)).toHaveLength(1);
    good.sendRaw(encodeAgentMessage({ kind: 'heartbeat', freeSlots: 1, leases: [] }));
    expect(rig.fatal).toEqual([]);
    await good.close();
  });

  it('that speak of leases they never had change nothing', async () => {
    const agent = rig.agent();
    await agent.next('welcome');
    agent.send({ kind: 'accept', lease: 'ee'.repeat(32) });
    agent.send({ kind: 'decline', lease: 'ee'.repeat(32), code: 'X', reason: 'x' });
    agent.send({ kind: 'progress', lease: 'ee'.repeat(32), share: 2, note: 'x' });
    await sleep(100);
    expect(rig.fatal).toEqual([]);
    await agent.close();
  });
});

it('exposed beyond loopback, tells logs, results and receipts to the parties only', async () => {
  const exposed = await startMarketRig({ publicUrl: 'https://market.example' });
  try {
    const { cid } = await exposed.blobs.put(utf8('mine'));
    const agent = exposed.agent({ result: cid });
    await agent.next('welcome');
    const { id, body } = exposed.signOrder(someManifest());
    expect((await exposed.request('POST', '/v1/orders', body)).status).toBe(201);
    const path = `/v1/orders/${id}`;
    const deadline = performance.now() + 10_000;
    while ((await json(fetch(exposed.url + path)))['status'] !== 'settled')
      if (performance.now() > deadline) throw new Error('not settled');
      else await sleep(20);
    for (const part of ['events', 'result', 'receipt']) {
      const whole = `${path}/${part}`;
      expect([part, (await fetch(exposed.url + whole)).status]).toEqual([part, 401]);
      const other = await exposed.request('GET', whole, undefined, newSigner());
      expect([part, other.status]).toEqual([part, 403]);
    }
    const own = await exposed.request('GET', `${path}/result`, undefined);
    expect(await own.text()).toBe('mine');
  } finally {
    await exposed.stop();
  }
});

it('answers quotes, status, providers, documentation and health', async () => {
  const agent = rig.agent();
  await agent.next('welcome');
  const quote = await json(
    fetch(`${rig.url}/v1/quotes`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ manifest: someManifest() }),
    }),
  );
  expect((quote['options'] as Json[]).length).toBeGreaterThan(0);
  expect(await get('/v1/status')).toMatchObject({ chain: rig.chain.id, providersOnline: 1 });
  expect((await fetch(`${rig.url}/docs`)).status).toBe(200);
  expect(await get('/docs/openapi.json')).toMatchObject({ openapi: '3.1.0' });
  expect(await get('/health/ready')).toMatchObject({ ready: true });
  const metrics = await (await fetch(`${rig.url}/metrics`)).text();
  // Every queue has the metric that docs/operations.md names.
  const page = readFileSync(join(import.meta.dirname, '../../../docs/operations.md'), 'utf8');
  const table = /\n## Queues\n[^]*?\n## /.exec(page)?.[0] ?? '';
  const rows = table.split('\n').filter((line) => line.startsWith('| ') && line.includes('`'));
  const named = rows.flatMap(
    (row) =>
      row
        .split('|')
        .at(-2)
        ?.match(/[a-z_]+/g) ?? [],
  );
  expect(named.length).toBeGreaterThan(10);
  for (const name of named)
    expect(metrics).toContain(`# TYPE ${name.startsWith('seele_') ? '' : 'seele_market_'}${name} `);
  await agent.close();
});
