/** Webhooks on real processes: a market that is killed while it sends, a receiver that is down, replays. */
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type WebhookEventDocument, verifyWebhook } from '#libs/sdk';
import { type LocalMachine, startLocalMachine } from '../support/local-machine.ts';

/** A second or so of work, so that there is time to strike. */
const CODE = `export default async ({ params }) => {
  let x = params.n;
  for (let i = 0; i < 1e8; i++) x = (x * 1103515245 + 12345) % 2147483648;
  return x;
};`;

let machine: LocalMachine;
let folder: string;
let server: Server;
let url: string;
let account: string;
let answerWith = 204;
/** Every event that came with a valid signature, in the order in which they came. */
const received: WebhookEventDocument[] = [];
const refused: unknown[] = [];
const struck = () => join(folder, 'strike');

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'seele-webhooks-'));
  writeFileSync(join(folder, 'n.js'), CODE);
  machine = await startLocalMachine({
    SEELE_MARKET_WEBHOOK_LOCAL: 'true',
    SEELE_FAILPOINTS_FILE: struck(),
  });
  ({ market: account } = await machine.market.status());
  server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    try {
      const { method = '', headers } = request;
      const body = new Uint8Array(Buffer.concat(chunks));
      const event = verifyWebhook({ method, url, headers, body }, { market: account });
      if (answerWith < 300) received.push(event);
    } catch (error) {
      refused.push(error);
    }
    response.writeHead(answerWith).end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
}, 180_000);

afterAll(async () => {
  server.closeAllConnections();
  server.close();
  await machine.stop();
  rmSync(folder, { recursive: true });
}, 60_000);

async function until(holds: () => boolean, withinMs = 60_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!holds()) {
    if (performance.now() > deadline)
      throw new Error(`still: ${JSON.stringify(received.map(({ id, kind }) => [id, kind]))}`);
    await sleep(50);
  }
}

const of = (order: string) => received.filter((event) => event.order === order);
const hasEnded = (order: string) => of(order).some(({ kind }) => kind === 'settled');

/** What SSE shows of those kinds, as the market has it. */
async function logOf(order: string): Promise<string[]> {
  const kinds: string[] = [];
  for await (const { kind, seq } of machine.market.events(order))
    if (seq !== undefined && kind !== 'log' && kind !== 'progress') kinds.push(`${seq} ${kind}`);
  return kinds;
}

/** Each once, in sequence. */
function distinct(order: string): string[] {
  return [...new Set(of(order).map(({ seq, kind }) => `${seq} ${kind}`))];
}

async function run(...more: string[]): Promise<string> {
  while ((await machine.market.providers()).filter(({ online }) => online).length === 0)
    await sleep(100);
  const done = await machine.seele(
    'run',
    join(folder, 'n.js'),
    '--param',
    'n=5',
    '--json',
    ...more,
  );
  expect(done.stderr).toBe('');
  return (JSON.parse(done.stdout) as { order: { id: string } }).order.id;
}

describe('webhooks', () => {
  it('an order’s webhook hears each step once, in sequence, signed by the market', async () => {
    const id = await run('--webhook', url, '--follow');
    await until(() => hasEnded(id));
    expect(of(id).map(({ seq, kind }) => `${seq} ${kind}`)).toEqual(await logOf(id));
    expect(refused).toEqual([]);
  });

  it.each(['market.webhook.send.before', 'market.webhook.send.after', 'market.commit.after'])(
    'a market killed at %s loses no event',
    async (place) => {
      const { webhook } = JSON.parse(
        (await machine.seele('webhooks', 'add', url, '--json')).stdout,
      ) as { webhook: { id: string } };
      const id = await run();
      writeFileSync(struck(), `${place}=kill`);
      await until(() => hasEnded(id));
      expect(distinct(id)).toEqual(await logOf(id));
      expect(existsSync(`${struck()}.struck`)).toBe(true);
      rmSync(`${struck()}.struck`);
      expect((await machine.seele('webhooks', 'remove', webhook.id)).code).toBe(0);
    },
    120_000,
  );

  it('a receiver that was down gets everything when it is back, and any range again', async () => {
    const added = await machine.seele('webhooks', 'add', url, '--json');
    const { webhook } = JSON.parse(added.stdout) as { webhook: { id: string } };
    answerWith = 500;
    const id = await run('--follow');
    const test = await machine.seele('webhooks', 'test', webhook.id, '--json');
    expect([test.code, test.stdout]).toEqual([1, expect.stringContaining('WEBHOOK_STATUS')]);
    answerWith = 204;
    expect((await machine.seele('webhooks', 'resume', webhook.id)).code).toBe(0);
    await until(() => hasEnded(id));
    const log = await logOf(id);
    expect(distinct(id)).toEqual(log);

    const before = of(id).length;
    const range = ['--order', id, '--from-sequence', '1', '--to-sequence', '3'];
    const replayed = await machine.seele('webhooks', 'replay', webhook.id, ...range, '--json');
    expect(JSON.parse(replayed.stdout)).toEqual({ order: id, queued: 3 });
    await until(() => of(id).length === before + 3);
    const again = of(id).slice(before);
    expect(again.map(({ seq, kind }) => `${seq} ${kind}`)).toEqual(
      log.filter((line) => [1, 2, 3].includes(Number.parseInt(line, 10))),
    );
    const metrics = await (await fetch(`${machine.urls.market}/metrics`)).text();
    expect(metrics).toMatch(/seele_market_webhooks_delivered\S* [1-9]/);
  }, 120_000);

  it('refuses inner addresses and strangers’ orders with what to do', async () => {
    const inner = await machine.seele('webhooks', 'add', 'https://169.254.169.254/latest');
    expect([inner.code, inner.stderr]).toEqual([1, expect.stringContaining('WEBHOOK_URL')]);
    const unknown = await machine.seele('webhooks', 'remove', 'wh_00');
    expect(unknown.code).not.toBe(0);
  });
});
