import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { createSigner, signRequest } from '#libs/crypto';
import { formatAccount, isSeeleError, utf8 } from '#libs/kernel';
import { createWebhookReceiver, verifyWebhook } from './webhooks.ts';

const signer = createSigner(new Uint8Array(32).fill(1));
const market = formatAccount(signer.account);
const url = 'https://hooks.example.com/seele?tenant=1';
const nowS = Math.floor(Date.now() / 1000);
const id = `${'ab'.repeat(32)}-3`;
const event = { id, kind: 'settled', time: '2027-01-01T00:00:00.000Z', data: { paid: '5' } };

function signed(content: object = event, change: { key?: typeof signer; header?: string } = {}) {
  const body = utf8(JSON.stringify(content));
  const headers = { 'content-type': 'application/json', 'webhook-id': change.header ?? id };
  const more = signRequest({ method: 'POST', url, headers, body }, change.key ?? signer, {
    ...{ nowS, nonce: '0'.repeat(32), lifetimeS: 300 },
    alsoCover: ['content-type', 'webhook-id'],
  });
  return { method: 'POST', url, headers: { ...headers, ...more } as Record<string, string>, body };
}

const codeOf = (run: () => unknown): string => {
  try {
    run();
    return 'ok';
  } catch (error) {
    return isSeeleError(error) ? error.code : String(error);
  }
};
const check = (request: ReturnType<typeof signed>, at = nowS) =>
  codeOf(() => verifyWebhook(request, { market, nowS: at }));

describe('verifyWebhook', () => {
  it('gives the event that the market signed', () => {
    expect(verifyWebhook(signed(), { market, nowS })).toEqual(event);
  });

  it('refuses whatever was changed on the way, another signer, and an old signature', () => {
    const good = signed();
    const { 'webhook-id': _id, ...unnamed } = good.headers;
    expect(check({ ...good, body: utf8(JSON.stringify({ ...event, data: { paid: '6' } })) })).toBe(
      'HTTP_DIGEST_MISMATCH',
    );
    expect(check({ ...good, url: 'https://hooks.example.com/other' })).toBe('HTTP_SIGNATURE_WRONG');
    expect(check({ ...good, method: 'PUT' })).toBe('HTTP_SIGNATURE_WRONG');
    expect(check({ ...good, headers: { ...good.headers, 'webhook-id': 'x' } })).toBe(
      'HTTP_SIGNATURE_WRONG',
    );
    expect(check({ ...good, headers: unnamed as typeof good.headers })).toBe(
      'HTTP_SIGNATURE_WRONG',
    );
    expect(check({ ...good, headers: {} })).toBe('HTTP_SIGNATURE_MISSING');
    const stranger = createSigner(new Uint8Array(32).fill(2));
    expect(check(signed(event, { key: stranger }))).toBe('SDK_WEBHOOK');
    expect(check(signed(event, { header: `${'ab'.repeat(32)}-4` }))).toBe('SDK_WEBHOOK');
    expect(check(signed({ id: 'x' }))).toBe('SDK_WEBHOOK');
    expect(check(good, nowS + 301)).toBe('HTTP_SIGNATURE_EXPIRED');
    expect(check(good, nowS - 60)).toBe('HTTP_SIGNATURE_EXPIRED');
  });

  it('a receiver tells repetitions, and forgets only the oldest', () => {
    const receive = createWebhookReceiver({ market, url, rememberMax: 2 });
    const nth = (seq: number) => {
      const one = { ...event, id: `${'ab'.repeat(32)}-${seq}` };
      return receive(signed(one, { header: one.id })).isRepeated;
    };
    expect([nth(1), nth(1), nth(2), nth(1), nth(3), nth(2)]).toEqual([
      false,
      true,
      false,
      true,
      false,
      true,
    ]);
  });

  it('any bytes and headers give a coded error', () => {
    const good = signed();
    const headers = fc.dictionary(fc.constantFrom(...Object.keys(good.headers)), fc.string());
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), headers, (body, changed) => {
        const request = { ...good, body, headers: { ...good.headers, ...changed } };
        expect(check(request)).toMatch(/^(HTTP|SDK)_/);
      }),
      { numRuns: 60 },
    );
  });
});

// From here to the end mark, docs/webhooks.md shows these very lines.
async function serveWebhooks(market: string, url: string, handle: (event: object) => void) {
  const receive = createWebhookReceiver({ market, url });
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    try {
      const { method = '', headers } = request;
      const { event, isRepeated } = receive({ method, headers, body: Buffer.concat(chunks) });
      if (!isRepeated) handle(event);
      response.writeHead(204).end(); // within 10 s; do long work afterwards
    } catch {
      response.writeHead(400).end(); // not of this market, changed, or too old
    }
  });
  return server.listen(0, '127.0.0.1');
}
// End of the example.

describe('docs/webhooks.md', () => {
  it('shows a receiver that takes an event once and refuses what is not of the market', async () => {
    const page = readFileSync(new URL('../../../docs/webhooks.md', import.meta.url), 'utf8');
    const source = readFileSync(new URL(import.meta.url), 'utf8');
    const [, shown] = /these very lines\.\n([^]*?)\/\/ End of the example/.exec(source) ?? [];
    expect(shown).toBeDefined();
    expect(page).toContain(shown);
    const handled: object[] = [];
    const server = await serveWebhooks(market, url, (one) => handled.push(one));
    await once(server, 'listening');
    const at = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const post = async ({ method, headers, body }: ReturnType<typeof signed>) =>
      (await fetch(at, { method, headers, body: new Uint8Array(body) })).status;
    const good = signed();
    expect([await post(good), await post(good)]).toEqual([204, 204]);
    expect(await post({ ...good, body: utf8('{}') })).toBe(400);
    expect(handled).toEqual([event]);
    server.close();
  });
});
